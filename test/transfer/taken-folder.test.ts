import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { checkTaken, emptiedFolder } from '../../src/transfer/taken-folder.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'

const rules = (overwrite: boolean) => ({
  overwrite,
  whose: "a cook's",
  foreign: (_: string, names: readonly string[]) => names.filter((name) => !name.endsWith('.soup')),
  instead: 'or replace the soup in it',
})

function folderWith(...names: readonly string[]): string {
  const folder = join(temporaryFolder(), 'out')
  mkdirSync(folder)
  for (const name of names) name.endsWith('/') ? mkdirSync(join(folder, name)) : writeFileSync(join(folder, name), '')
  return folder
}

test('what does not exist, or is empty, is free', async () => {
  const absent = join(temporaryFolder(), 'absent')
  expect(await checkTaken(absent, rules(false))).toEqual([])
  expect(await checkTaken(folderWith(), rules(false))).toEqual([])
  await emptiedFolder(absent, rules(false))
  expect(readdirSync(absent)).toEqual([])
})

test('a file is refused', async () => {
  const file = join(folderWith('a.soup'), 'a.soup')
  await expect(checkTaken(file, rules(true))).rejects.toThrow(/a\.soup is a file, not a folder/)
})

test('own files make room when that is said, and only then', async () => {
  const folder = folderWith('a.soup', 'b.soup/')
  await expect(emptiedFolder(folder, rules(false))).rejects.toThrow(
    /not empty\. Choose another folder, or replace the soup in it \(--overwrite\)/,
  )
  expect(readdirSync(folder).sort()).toEqual(['a.soup', 'b.soup'])
  await emptiedFolder(folder, rules(true))
  expect(readdirSync(folder)).toEqual([])
})

test('what is somebody else’s never does, and --overwrite is not advised', async () => {
  const folder = folderWith('a.soup', 'thesis\u001b.txt')
  for (const overwrite of [false, true]) {
    const refused = await emptiedFolder(folder, rules(overwrite)).catch((error: Error) => error.message)
    expect(refused).toMatch(/files that are not a cook's \(thesis.*\.txt\)\. Choose another folder\.$/)
    expect(refused).not.toContain('\u001b')
  }
  expect(existsSync(join(folder, 'a.soup'))).toBe(true)
})
