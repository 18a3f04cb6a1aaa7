import { symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { isPattern, matchingPaths } from '../../src/data/glob.ts'
import { fill, temporaryFolder } from './pictures.ts'

test('a pattern matches as a shell would', async () => {
  const root = temporaryFolder()
  await fill(root, {
    'a/1.jpg': 'x',
    'a/10.jpg': 'x',
    'a/2.png': 'x',
    'a/b/3.jpg': 'x',
    'a/b/c/4.JPG': 'x',
    'a/.hidden/5.jpg': 'x',
    'a/.6.jpg': 'x',
    'a/[x].jpg': 'x',
    'a+b/7.jpg': 'x',
    'ü/8.jpg': 'x',
    'Thumbs.db': 'x',
  })
  await symlink(join(root, 'a'), join(root, 'link'))
  const matches = async (pattern: string) =>
    (await matchingPaths(`${root}/${pattern}`)).map((path) => path.slice(root.length + 1))
  expect(await matches('a/*.jpg')).toEqual(['a/1.jpg', 'a/10.jpg', 'a/[x].jpg'])
  expect(await matches('a/?.{jpg,png}')).toEqual(['a/1.jpg', 'a/2.png'])
  expect(await matches('a/**/*.jpg')).toEqual(['a/1.jpg', 'a/10.jpg', 'a/[x].jpg', 'a/b/3.jpg'])
  expect(await matches('**/[0-9].[jJ][pP][gG]')).toEqual([
    'a+b/7.jpg',
    'a/1.jpg',
    'a/b/3.jpg',
    'a/b/c/4.JPG',
    'ü/8.jpg',
  ])
  expect(await matches('a/[!0-9]*')).toEqual(['a/[x].jpg', 'a/b'])
  expect(await matches('a+b/*')).toEqual(['a+b/7.jpg'])
  expect(await matches('link/*.png')).toEqual(['link/2.png'])
  expect(await matches('*')).toEqual(['a', 'a+b', 'link', 'ü'])
  expect(await matches('a/.*.jpg')).toEqual(['a/.6.jpg'])
  expect(await matches('none/*')).toEqual([])
  expect(await matches('a/1.jpg/*')).toEqual([])
  expect(await matches('{a/1,a/2,{ü/8,no}}.{jpg,png}')).toEqual(['a/1.jpg', 'a/2.png', 'ü/8.jpg'])
})

test('ordinary names are no patterns', () => {
  expect(['a.jpg', 'a b', 'a[', 'a]', '(1).jpg'].map(isPattern)).toEqual([false, false, false, false, false])
  expect(['*.jpg', 'a?', 'a[1].jpg', '{a,b}'].map(isPattern)).toEqual([true, true, true, true])
})
