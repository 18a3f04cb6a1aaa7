import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openShelf, type ShelfOptions } from '../../src/files/blob-cache.ts'
import { sha256 } from '../../src/files/digest.ts'
import { withFileSystem } from '../../src/files/file-system.ts'
import { faultyFileSystem, systemError } from './faulty-file-system.ts'
import { temporaryFolder } from './temporary-folder.ts'

const root = temporaryFolder()
const shelf = sha256('shelf')
const key = (n: number) => sha256(`key ${n}`)
const entry = (n: number) => Uint8Array.from({ length: 100 }, (_, at) => (n * 31 + at) % 256)
/** With its checksum. */
const FILE_BYTES = 132

function open(folder: string, more: Partial<ShelfOptions> = {}) {
  const problems: string[] = []
  const onProblem = (message: string) => problems.push(message)
  return openShelf(folder, { maxBytes: 1e6, shelf, entryBytes: 100, onProblem, ...more }).then((opened) => ({
    ...opened,
    problems,
  }))
}

test('what was written is read, also by others and later', async () => {
  const folder = join(root, 'plain', 'below')
  const one = await open(folder)
  expect(one.has(key(1))).toBe(false)
  expect(await one.read(key(1))).toBeUndefined()
  await one.write(key(1), entry(1))
  await one.write(key(1), entry(1))
  expect(one.has(key(1))).toBe(true)
  expect(await one.read(key(1))).toEqual(entry(1))
  const two = await open(folder)
  expect(two.has(key(1))).toBe(true)
  expect(await two.read(key(1))).toEqual(entry(1))
  const other = await open(folder, { shelf: sha256('another shelf') })
  expect(other.has(key(1))).toBe(false)
})

test('a damaged entry is missing, whatever the damage', async () => {
  const folder = join(root, 'damaged')
  const damages: readonly ((file: string) => void)[] = [
    (file) =>
      writeFileSync(
        file,
        readFileSync(file).map((byte, at) => (at === 40 ? byte ^ 1 : byte)),
      ),
    (file) =>
      writeFileSync(
        file,
        readFileSync(file).map((byte, at) => (at === 3 ? byte ^ 128 : byte)),
      ),
    (file) => truncateSync(file, 131),
    (file) => truncateSync(file, 0),
    (file) => writeFileSync(file, new Uint8Array(FILE_BYTES)),
    (file) => writeFileSync(file, Buffer.concat([readFileSync(file), Buffer.from([0])])),
    (file) => rmSync(file),
    // Another entry under its name.
    (file) => renameSync(join(folder, shelf, key(99)), file),
  ]
  for (const [n, damage] of damages.entries()) {
    const opened = await open(folder)
    await opened.write(key(99), entry(99))
    await opened.write(key(n), entry(n))
    damage(join(folder, shelf, key(n)))
    expect(await opened.read(key(n)), `damage ${n}`).toBeUndefined()
    expect(opened.has(key(n))).toBe(false)
    await opened.write(key(n), entry(n))
    expect(await opened.read(key(n))).toEqual(entry(n))
    expect(opened.problems).toEqual([])
  }
})

test('a full folder takes no more, and the longest unused shelf gives way first', async () => {
  const folder = join(root, 'bounded')
  const names = ['old', 'older', 'own'].map(sha256)
  const maxBytes = 6 * FILE_BYTES
  for (const [index, name] of names.slice(0, 2).entries()) {
    const opened = await open(folder, { shelf: name, maxBytes })
    for (let n = 0; n < 2; n++) await opened.write(key(n), entry(n))
    const when = new Date(Date.now() - (1 + index) * 1e6)
    utimesSync(join(folder, name, 'shelf.json'), when, when)
  }
  // Somebody else's things stay.
  mkdirSync(join(folder, sha256('foreign')))
  writeFileSync(join(folder, sha256('foreign'), key(1)), 'mine')
  writeFileSync(join(folder, 'notes.txt'), 'mine')
  const [old = '', older = '', own = ''] = names
  const opened = await open(folder, { shelf: own, maxBytes })
  for (let n = 0; n < 2; n++) await opened.write(key(n), entry(n))
  expect(readdirSync(join(folder, older))).toHaveLength(3)
  await opened.write(key(2), entry(2))
  expect(existsSync(join(folder, older))).toBe(false)
  expect(readdirSync(join(folder, old))).toHaveLength(3)
  for (let n = 3; n < 10; n++) await opened.write(key(n), entry(n))
  expect(existsSync(join(folder, old))).toBe(false)
  expect(readdirSync(join(folder, own)).filter((name) => name !== 'shelf.json')).toHaveLength(6)
  expect(opened.has(key(5))).toBe(true)
  expect(opened.has(key(6))).toBe(false)
  expect(readdirSync(folder).sort()).toEqual([own, sha256('foreign'), 'notes.txt'].sort())
})

test('two that write at the same time do not disturb each other', async () => {
  const folder = join(root, 'both')
  const [one, two] = await Promise.all([open(folder), open(folder)])
  const write = async (opened: typeof one) => {
    for (let n = 0; n < 40; n++) await opened.write(key(n), entry(n))
  }
  await Promise.all([write(one), write(two)])
  for (let n = 0; n < 40; n++) {
    expect(await one.read(key(n))).toEqual(entry(n))
    expect(await two.read(key(n))).toEqual(entry(n))
  }
  expect(readdirSync(join(folder, shelf))).toHaveLength(41)
})

test('a disk that fails at any call of a write ends the keeping, says so once, and leaves nothing torn', async () => {
  for (let failing = 1; ; failing++) {
    const folder = join(root, `failing ${failing}`)
    const opened = await open(folder)
    await opened.write(key(1), entry(1))
    let calls = 0
    const faulty = faultyFileSystem((call) => {
      if (call !== 'unlink' && ++calls === failing) throw systemError('ENOSPC')
    }, 50)
    await withFileSystem(faulty, () => opened.write(key(2), entry(2)))
    if (calls < failing) break
    expect(opened.problems).toHaveLength(1)
    expect(opened.problems[0]).toMatch(/ENOSPC/)
    expect(opened.has(key(2))).toBe(false)
    await opened.write(key(3), entry(3))
    expect(opened.has(key(3))).toBe(false)
    const again = await open(folder)
    expect(await again.read(key(1))).toEqual(entry(1))
    expect(readdirSync(join(folder, shelf)).filter((name) => name.startsWith('.'))).toEqual([])
    expect(failing).toBeLessThan(20)
  }
})
