import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { RegraftError } from '../../src/errors.ts'
import { appendLine, appendLines } from '../../src/files/append-lines.ts'
import { writeFolderAtomic } from '../../src/files/atomic-folder.ts'
import { writeFileAtomic } from '../../src/files/atomic-write.ts'
import { withFileSystem } from '../../src/files/file-system.ts'
import { compareCodePoints, createFolder, listFolder, pathFacts, removeFolder } from '../../src/files/folder.ts'
import { faultyFileSystem, systemError } from './faulty-file-system.ts'
import { temporaryFolder } from './temporary-folder.ts'

const folder = temporaryFolder()
let counter = 0
function emptyFolder(): string {
  const made = join(folder, `case-${(counter += 1)}`)
  mkdirSync(made)
  return made
}

async function failure(work: Promise<unknown>): Promise<RegraftError> {
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof RegraftError)) throw new Error(`expected a RegraftError, got ${error}`)
  return error
}

describe('writeFileAtomic', () => {
  it('writes text, bytes and pieces, and leaves nothing else', async () => {
    const at = emptyFolder()
    await writeFileAtomic(join(at, 'a'), 'größe\n')
    await writeFileAtomic(join(at, 'b'), Uint8Array.of(1, 2, 3))
    await writeFileAtomic(join(at, 'c'), [Uint8Array.of(1), new Uint8Array(0), Uint8Array.of(2)])
    await writeFileAtomic(
      join(at, 'd'),
      (async function* () {
        yield Uint8Array.of(7)
        yield Uint8Array.of(8)
      })(),
    )
    await writeFileAtomic(join(at, 'a'), 'new')
    expect(readFileSync(join(at, 'a'), 'utf8')).toBe('new')
    expect([...readFileSync(join(at, 'b'))]).toEqual([1, 2, 3])
    expect([...readFileSync(join(at, 'c'))]).toEqual([1, 2])
    expect([...readFileSync(join(at, 'd'))]).toEqual([7, 8])
    expect(readdirSync(at).sort()).toEqual(['a', 'b', 'c', 'd'])
    writeFileSync(join(at, 'plain'), '')
    expect(statSync(join(at, 'a')).mode).toBe(statSync(join(at, 'plain')).mode)
  })

  it('syncs the file before the rename and the folder after it', async () => {
    const calls: string[] = []
    const file = join(emptyFolder(), 'a')
    await withFileSystem(
      faultyFileSystem((call) => calls.push(call), 2),
      () => writeFileAtomic(file, 'hello'),
    )
    expect(readFileSync(file, 'utf8')).toBe('hello')
    expect(calls).toEqual([
      'facts',
      'open',
      'write',
      'write',
      'write',
      'sync',
      'close',
      'rename',
      'open folder',
      'sync folder',
      'list',
    ])
  })

  it('keeps a complete file and leaves no other when the n-th call fails, for every n and every fault', async () => {
    for (const fault of ['EIO', 'ENOSPC', 'EACCES']) {
      for (let n = 1; ; n++) {
        const at = emptyFolder()
        const file = join(at, 'a')
        writeFileSync(file, 'old')
        let calls = 0
        const faulty = faultyFileSystem(() => {
          calls += 1
          if (calls === n) throw systemError(fault)
        }, 2)
        const error: unknown = await withFileSystem(faulty, () => writeFileAtomic(file, 'fresh')).then(
          () => undefined,
          (thrown: unknown) => thrown,
        )
        const content = readFileSync(file, 'utf8')
        expect(['old', 'fresh'], `${fault} at call ${n}`).toContain(content)
        if (error === undefined) expect(content).toBe('fresh')
        else expect(error).toBeInstanceOf(RegraftError)
        await writeFileAtomic(file, 'good')
        expect(readdirSync(at)).toEqual(['a'])
        if (calls < n) {
          expect(n).toBeGreaterThan(10)
          break
        }
      }
    }
  })

  it('says that the disk is full and how much is needed', async () => {
    const file = join(emptyFolder(), 'a')
    const full = faultyFileSystem((call) => {
      if (call === 'write') throw systemError('ENOSPC')
    })
    const error = await withFileSystem(full, () => failure(writeFileAtomic(file, new Uint8Array(3 * 2 ** 20))))
    expect(error.code).toBe('memory')
    expect(error.message).toContain('disk is full')
    expect(error.message).toContain('3.0 MiB')
    expect(error.message).toContain(file)
    const pieces = [new Uint8Array(10)]
    const other = await withFileSystem(full, () => failure(writeFileAtomic(file, pieces, { expectedBytes: 2048 })))
    expect(other.message).toContain('2.0 KiB')
  })

  it('explains a missing folder, a folder in the way and a read-only disk', async () => {
    const at = emptyFolder()
    expect((await failure(writeFileAtomic(join(at, 'no', 'a'), ''))).message).toContain('does not exist')
    expect((await failure(writeFileAtomic(at, ''))).message).toContain('is a folder')
    const readOnly = faultyFileSystem((call) => {
      if (call === 'open') throw systemError('EROFS')
    })
    const error = await withFileSystem(readOnly, () => failure(writeFileAtomic(join(at, 'a'), '')))
    expect([error.code, error.message]).toEqual(['usage', expect.stringContaining('read-only')])
  })

  it('removes what it began when it is interrupted', async () => {
    const at = emptyFolder()
    const stop = new AbortController()
    const pieces = (function* () {
      yield Uint8Array.of(1)
      stop.abort()
      yield Uint8Array.of(2)
    })()
    const error = await failure(writeFileAtomic(join(at, 'a'), pieces, { signal: stop.signal }))
    expect(error.code).toBe('interrupted')
    expect(readdirSync(at)).toEqual([])
  })

  it('passes on errors of the content itself as they are', async () => {
    const at = emptyFolder()
    const pieces = (function* (): Generator<Uint8Array> {
      yield Uint8Array.of(1)
      throw new TypeError('our bug')
    })()
    await expect(writeFileAtomic(join(at, 'a'), pieces)).rejects.toThrow(TypeError)
    expect(readdirSync(at)).toEqual([])
  })

  it('clears away what a killed process left, and nothing else', async () => {
    const at = emptyFolder()
    // No process can have this number: it is above the largest that Linux gives.
    for (const name of ['.a.tmp-4194999-1', '.b.tmp-4194999-1', '.a.tmp-x', '.a.tmp-1-1'])
      writeFileSync(join(at, name), '')
    await writeFileAtomic(join(at, 'a'), 'x')
    expect(readdirSync(at).sort()).toEqual(['.a.tmp-1-1', '.a.tmp-x', '.b.tmp-4194999-1', 'a'])
  })

  it('follows links and survives two writers at once', async () => {
    const at = emptyFolder()
    writeFileSync(join(at, 'real'), 'old')
    symlinkSync('real', join(at, 'link'))
    await writeFileAtomic(join(at, 'link'), 'new')
    expect(lstatSync(join(at, 'link')).isSymbolicLink()).toBe(true)
    expect(readFileSync(join(at, 'real'), 'utf8')).toBe('new')
    const texts = Array.from({ length: 8 }, (_, i) => String(i).repeat(100_000))
    await Promise.all(texts.map((text) => writeFileAtomic(join(at, 'real'), text)))
    expect(texts).toContain(readFileSync(join(at, 'real'), 'utf8'))
    expect(readdirSync(at).sort()).toEqual(['link', 'real'])
  })

  it.skipIf(process.platform === 'win32')('writes to a device as it is', async () => {
    await writeFileAtomic('/dev/null', 'x')
    expect(statSync('/dev/null').isCharacterDevice()).toBe(true)
  })
})

describe('appendLines', () => {
  it('adds lines, and starts anew after a torn one', async () => {
    const file = join(emptyFolder(), 'log')
    await appendLines(file, ['a', 'b'])
    await appendLine(file, 'c')
    await appendLines(file, [])
    expect(readFileSync(file, 'utf8')).toBe('a\nb\nc\n')
    writeFileSync(file, 'whole\ntor')
    await withFileSystem(
      faultyFileSystem(() => undefined, 1),
      () => appendLine(file, 'next'),
    )
    expect(readFileSync(file, 'utf8')).toBe('whole\ntor\nnext\n')
    await expect(appendLine(file, 'two\nlines')).rejects.toThrow('line end')
  })
})

describe('folders', () => {
  it('are made with those above them, and removed with all in them', async () => {
    const at = emptyFolder()
    const deep = join(at, 'x', 'y', 'z')
    await createFolder(deep)
    await createFolder(deep)
    expect((await pathFacts(deep))?.kind).toBe('folder')
    writeFileSync(join(deep, 'f'), '')
    writeFileSync(join(at, 'keep'), '')
    symlinkSync('../../keep', join(at, 'x', 'y', 'link'))
    await removeFolder(join(at, 'x'))
    await removeFolder(join(at, 'x'))
    expect(readdirSync(at)).toEqual(['keep'])
    expect((await failure(createFolder(join(at, 'keep', 'in')))).message).toContain('is a file')
    expect(await pathFacts(join(at, 'keep', 'in'))).toBeUndefined()
  })

  it('are listed by code point', async () => {
    const at = emptyFolder()
    for (const name of ['b', 'B', '10', '9', 'é', '😀', '\ufffd']) writeFileSync(join(at, name), '')
    const names = (await listFolder(at)).map((entry) => entry.name)
    expect(names).toEqual(['10', '9', 'B', 'b', 'é', '\ufffd', '😀'])
    expect(compareCodePoints('a', 'ab')).toBeLessThan(0)
    expect(compareCodePoints('a', 'a')).toBe(0)
  })
})

describe('writeFolderAtomic', () => {
  it('gives the folder its name when all in it is synced, and syncs that name', async () => {
    const at = emptyFolder()
    const calls: string[] = []
    const log = faultyFileSystem((call, path) =>
      calls.push(`${call} ${path.replace(/\.tmp-\d+-\d+/, '.tmp').slice(at.length)}`),
    )
    await withFileSystem(log, () =>
      writeFolderAtomic(join(at, 'f'), (folder) =>
        writeFileAtomic(join(folder, 'a'), 'hello', { inFreshFolder: true }),
      ),
    )
    expect(readFileSync(join(at, 'f', 'a'), 'utf8')).toBe('hello')
    const writes = calls.filter((call) => !/^(facts|list) /.test(call))
    expect(writes).toEqual([
      'make folder /.f.tmp',
      'open /.f.tmp/a',
      'write /.f.tmp/a',
      'sync /.f.tmp/a',
      'close /.f.tmp/a',
      'open folder /.f.tmp',
      'sync folder /.f.tmp',
      'rename /.f.tmp',
      'open folder ',
      'sync folder ',
    ])
  })

  it('keeps the former folder or none, and nothing else, when the n-th call fails, for every n', async () => {
    const fill = (text: string) => async (folder: string) => {
      for (const name of ['a', 'b']) await writeFileAtomic(join(folder, name), text, { inFreshFolder: true })
    }
    for (let n = 1; ; n++) {
      const at = emptyFolder()
      const target = join(at, 'f')
      await writeFolderAtomic(target, fill('old'))
      let calls = 0
      const faulty = faultyFileSystem(() => {
        calls += 1
        if (calls === n) throw systemError('EIO')
      })
      const error: unknown = await withFileSystem(faulty, () => writeFolderAtomic(target, fill('fresh'))).then(
        () => undefined,
        (thrown: unknown) => thrown,
      )
      if (error !== undefined) expect(error).toBeInstanceOf(RegraftError)
      if (existsSync(target)) {
        const texts = ['a', 'b'].map((name) => readFileSync(join(target, name), 'utf8'))
        expect([['old', 'old'], error === undefined ? ['fresh', 'fresh'] : texts]).toContainEqual(texts)
        expect(texts[0]).toBe(texts[1])
      } else expect(error).toBeDefined()
      await writeFolderAtomic(target, fill('good'))
      expect(readdirSync(at)).toEqual(['f'])
      expect(readdirSync(target).sort()).toEqual(['a', 'b'])
      if (calls < n) {
        expect(n).toBeGreaterThan(15)
        break
      }
    }
  })

  it('clears away what killed processes left beside it', async () => {
    const at = emptyFolder()
    mkdirSync(join(at, '.other.tmp-4194999-1'))
    writeFileSync(join(at, '.other.tmp-4194999-1', 'half'), '')
    mkdirSync(join(at, '.mine.tmp-1-1'))
    await writeFolderAtomic(join(at, 'f'), async () => undefined)
    // Process 1 lives.
    expect(readdirSync(at).sort()).toEqual(['.mine.tmp-1-1', 'f'])
  })
})
