import { execFileSync } from 'node:child_process'
import { symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { walkInOrder } from '../../src/data/walk-in-order.ts'
import { compareCodePoints } from '../../src/files/folder.ts'
import { fill, temporaryFolder } from './pictures.ts'

async function walk(root: string): Promise<(readonly [string, string | undefined])[]> {
  const found: (readonly [string, string | undefined])[] = []
  for await (const { path, reason } of walkInOrder(root)) found.push([path, reason])
  return found
}

test('pictures come in code point order of their whole paths', async () => {
  const root = temporaryFolder()
  const names = [
    'a.jpg',
    'a/1.jpg',
    'a/b/1.jpg',
    'a-b/1.jpg',
    'a!.jpg',
    'a b/1.jpg',
    'ab.jpg',
    '\u{10000}.jpg',
    '\uff41.jpg',
    'B.jpg',
  ]
  await fill(
    root,
    Object.fromEntries([...names, 'x.txt', '.a/1.jpg', '__MACOSX/1.jpg', 'a/._1.jpg'].map((name) => [name, 'x'])),
  )
  const paths = (await walk(root)).map(([path]) => path)
  expect(paths).toEqual([...names].sort(compareCodePoints))
})

test.skipIf(process.platform === 'win32')('what looks like a picture and is none has a reason', async () => {
  const root = temporaryFolder()
  const other = temporaryFolder()
  await fill(other, { '1.jpg': 'x', 'deep/2.jpg': 'x' })
  await fill(root, { 'a/1.jpg': 'x', 'old.psd': 'x' })
  await symlink(other, join(root, 'b'))
  await symlink(other, join(root, 'c'))
  await symlink('..', join(root, 'a', 'loop'))
  await symlink('a', join(root, 'inside'))
  await symlink('nowhere', join(root, 'lost.jpg'))
  await symlink(join(other, '1.jpg'), join(root, 'one.jpg'))
  execFileSync('mkfifo', [join(root, 'pipe.jpg')])
  expect(await walk(root)).toEqual([
    ['a/1.jpg', undefined],
    ['a/loop', 'is a link to a folder that is read anyway'],
    ['b/1.jpg', undefined],
    ['b/deep/2.jpg', undefined],
    ['c', 'is a link to a folder that is read anyway'],
    ['inside', 'is a link to a folder that is read anyway'],
    ['lost.jpg', 'is a link to nothing'],
    ['old.psd', 'is in Photoshop format, which is not supported: convert it to PNG or JPEG'],
    ['one.jpg', undefined],
    ['pipe.jpg', 'is a pipe, socket or device'],
  ])
})
