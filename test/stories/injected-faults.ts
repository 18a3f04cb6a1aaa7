// A whole training on a disk on which one call fails, and what must hold afterwards.
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { RegraftError } from '../../src/errors.ts'
import { diskFileSystem, type FileSystem, type OpenFile, withFileSystem } from '../../src/files/file-system.ts'
import { loadModel } from '../../src/model/load.ts'
import { checkpointFolders, readCheckpoint } from '../../src/train/checkpoint.ts'
import type { TrainOptions } from '../../src/transfer/options.ts'
import { train } from '../../src/transfer/train.ts'
import { systemError } from '../files/faulty-file-system.ts'
import { errorOf } from './interrupted.ts'
import { resultOf } from './run-result.ts'

/** What goes wrong with a call. `torn`: half of the bytes are written before the disk is full. */
export type Fault = 'EIO' | 'ENOSPC' | 'short' | 'torn'

export type CallKind = 'open' | 'write' | 'sync' | 'rename' | 'unlink' | 'folder' | 'look' | 'read'

/** The faults of each kind of call that changes something. */
export const faultsOfWriting: readonly (readonly [CallKind, Fault])[] = [
  ['open', 'EIO'],
  ['write', 'short'],
  ['write', 'torn'],
  ['write', 'EIO'],
  ['sync', 'EIO'],
  ['rename', 'ENOSPC'],
  ['unlink', 'EIO'],
  ['folder', 'ENOSPC'],
]

/** And those of each that only looks. */
export const faultsOfReading: readonly (readonly [CallKind, Fault])[] = [
  ['look', 'EIO'],
  ['read', 'EIO'],
]

export interface Injection {
  readonly disk: FileSystem
  /** Calls of the kind so far. */
  count(): number
  /** Where the fault struck. */
  place(): string | undefined
}

/** The disk, on which the n-th call of a kind fails, counted from 1; with 0 none does. */
export function injected(kind: CallKind, fault: Fault, n: number): Injection {
  let calls = 0
  let place: string | undefined
  const due = (what: CallKind, path: string): boolean => {
    if (what !== kind || ++calls !== n) return false
    place = path
    return true
  }
  const fail = () => {
    throw systemError(fault === 'ENOSPC' || fault === 'torn' ? 'ENOSPC' : 'EIO')
  }
  const before = (what: CallKind, path: string) => {
    if (due(what, path)) fail()
  }
  const file = (real: OpenFile, path: string): OpenFile => ({
    async read(into, position) {
      before('read', path)
      return real.read(into, position)
    },
    async write(from) {
      if (!due('write', path)) return real.write(from)
      if (fault !== 'EIO') {
        const written = await real.write(from.subarray(0, Math.ceil(from.length / 2)))
        if (fault === 'short') return written
      }
      return fail() ?? 0
    },
    async sync() {
      before('sync', path)
      return real.sync()
    },
    async facts() {
      before('look', path)
      return real.facts()
    },
    close: () => real.close(),
  })
  const disk: FileSystem = {
    async open(path, mode) {
      before(mode === 'read' || mode === 'read-pipe' ? 'read' : 'open', path)
      return file(await diskFileSystem.open(path, mode), path)
    },
    async openFolder(path) {
      before('open', path)
      const real = await diskFileSystem.openFolder(path)
      return {
        close: () => real.close(),
        async sync() {
          before('sync', path)
          return real.sync()
        },
      }
    },
    async rename(from, to) {
      before('rename', from)
      return diskFileSystem.rename(from, to)
    },
    async unlink(path) {
      before('unlink', path)
      return diskFileSystem.unlink(path)
    },
    async makeLink(target, path) {
      before('open', path)
      return diskFileSystem.makeLink(target, path)
    },
    async removeEmptyFolder(path) {
      before('folder', path)
      return diskFileSystem.removeEmptyFolder(path)
    },
    async makeFolder(path) {
      before('folder', path)
      return diskFileSystem.makeFolder(path)
    },
    async list(path) {
      before('look', path)
      return diskFileSystem.list(path)
    },
    async facts(path) {
      before('look', path)
      return diskFileSystem.facts(path)
    },
    freeBytes: async () => 2 ** 40,
    async realPath(path) {
      before('look', path)
      return diskFileSystem.realPath(path)
    },
  }
  return { disk, count: () => calls, place: () => place }
}

/** What nobody should find in a run after it has saved well. */
export function leftovers(run: string): readonly string[] {
  return readdirSync(run, { recursive: true, encoding: 'utf8' }).filter((name) =>
    /(^|\/)(\.[^/]*\.tmp-[^/]*|best\.(new|old))$/.test(name),
  )
}

/** That whatever has the name of something in a run is that thing, whole. */
export async function expectWhole(run: string): Promise<void> {
  const notes: string[] = []
  if ((await checkpointFolders(run)).length > 0) await readCheckpoint(run, (note) => notes.push(note))
  expect(notes).toEqual([])
  if (existsSync(join(run, 'best')) || existsSync(join(run, 'best.old'))) await loadModel(run)
}

/** Whether a picture was unreadable when its contents were looked at, or later. */
function hasBadPictures(run: string): boolean {
  const text = (name: string) => (existsSync(join(run, name)) ? readFileSync(join(run, name), 'utf8') : '')
  return text('bad.jsonl') !== '' || text('split.jsonl').includes('"sha256":null')
}

/**
 * Trains on a faulty disk, and goes on or begins anew on a sound one.
 * @param expected  of the undisturbed run
 * @returns         false when the training was over before the fault
 */
export async function survives(
  options: TrainOptions,
  { disk, place }: Injection,
  expected: ReturnType<typeof resultOf>,
): Promise<boolean> {
  const { out } = options
  const error: unknown = await withFileSystem(disk, () => train(options)).then(
    () => undefined,
    (reason) => reason,
  )
  const where = place()
  if (where === undefined) {
    if (error !== undefined) throw error
    return false
  }
  if (error !== undefined) {
    // A user reads what happened, where, and what to do; nobody reads a stack.
    if (!(error instanceof RegraftError)) throw new Error(`a fault at ${where} came through`, { cause: error })
    expect([3, 6], `${where}: ${error.message}`).toContain(error.exitCode)
    expect(error.message).toMatch(/EIO|disk/)
  }
  if (existsSync(out)) await expectWhole(out)
  const resumable = existsSync(out) && (await checkpointFolders(out)).length > 0
  if (existsSync(out) && hasBadPictures(out)) {
    // It was trained without a picture that can be read again: that is another training.
    if (resumable) {
      const again = await errorOf(train({ data: '', out: '', resume: out, engine: options.engine }))
      expect(again.message, `after a fault at ${where}`).toMatch(/can be read now|could not be read before/)
    }
    rmSync(out, { recursive: true })
    return true
  }
  if (error !== undefined || !existsSync(join(out, 'metrics.json'))) {
    if (resumable) await train({ data: '', out: '', resume: out, engine: options.engine })
    else await train({ ...options, overwrite: true })
    expect(leftovers(out), `after a fault at ${where}`).toEqual([])
  }
  expect(resultOf(out), `after a fault at ${where}`).toEqual(expected)
  rmSync(out, { recursive: true })
  return true
}
