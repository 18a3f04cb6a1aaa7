// Two processes do not fetch the same file at once. The holder writes into the lock again and again; one that no longer does, or whose
// process is gone, has lost it. No file is damaged when that errs: see `download.ts`.
import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import * as path from 'node:path'
import { RegraftError, throwIfAborted } from '../errors.ts'
import { writeAll } from '../files/atomic-write.ts'
import { diskError, systemCode } from '../files/disk-error.ts'
import { fileSystem } from '../files/file-system.ts'
import { createFolder } from '../files/folder.ts'
import { readTextLimited } from '../files/read-file.ts'
import { pause } from './remote-file.ts'

export interface LockOptions {
  readonly signal: AbortSignal | undefined
  /** Hears once that another process has it. */
  readonly onWait: () => void
  readonly times?: LockTimes
}

export interface LockTimes {
  readonly refreshMs: number
  /** Without a sign of life for so long, the holder is gone. */
  readonly goneMs: number
  readonly lookMs: number
}

const usualTimes: LockTimes = { refreshMs: 5000, goneMs: 60_000, lookMs: 200 }
const mostLockBytes = 4096

/** Waits for the lock, works, and gives it back whatever happens. */
export async function withLock<T>(file: string, options: LockOptions, work: () => Promise<T>): Promise<T> {
  const times = options.times ?? usualTimes
  const mark = randomBytes(8).toString('hex')
  await createFolder(path.dirname(file))
  await take(file, mark, options, times)
  let beats = 0
  const timer = setInterval(() => {
    beats += 1
    // The work does not depend on it, and the next one may succeed.
    void refresh(file, mark, beats).catch(() => undefined)
  }, times.refreshMs)
  timer.unref()
  try {
    return await work()
  } finally {
    clearInterval(timer)
    if ((await held(file))?.mark === mark) await remove(file)
  }
}

async function take(file: string, mark: string, { signal, onWait }: LockOptions, times: LockTimes): Promise<void> {
  let seen: { readonly text: string; readonly sinceMs: number } | undefined
  let told = false
  for (;;) {
    throwIfAborted(signal)
    if (await create(file, mark)) return
    const now = performance.now()
    const holder = await held(file)
    if (holder === undefined) continue
    if (seen?.text !== holder.text) seen = { text: holder.text, sinceMs: now }
    if (holder.gone || now - seen.sinceMs > times.goneMs) {
      await remove(file)
      continue
    }
    if (!told) onWait()
    told = true
    await pause(times.lookMs, signal)
  }
}

async function create(file: string, mark: string): Promise<boolean> {
  try {
    const handle = await fileSystem().open(file, 'create')
    try {
      await writeAll(handle, text(mark, 0))
    } finally {
      await handle.close()
    }
    return true
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false
    throw diskError(error, { verb: 'write', path: file })
  }
}

async function refresh(file: string, mark: string, beats: number): Promise<void> {
  if ((await held(file))?.mark !== mark) return
  const handle = await fileSystem().open(file, 'overwrite')
  try {
    await writeAll(handle, text(mark, beats))
  } finally {
    await handle.close()
  }
}

function text(mark: string, beats: number): Uint8Array {
  return new TextEncoder().encode(`${mark} ${process.pid} ${beats} ${hostname()}\n`)
}

async function held(file: string): Promise<{ text: string; mark: string; gone: boolean } | undefined> {
  try {
    const content = await readTextLimited(file, mostLockBytes, { code: 'weights' })
    const [mark = '', pid = '', , host] = content.trim().split(' ')
    const gone = host === hostname() && /^\d+$/.test(pid) && !isAlive(Number(pid))
    return { text: content, mark, gone }
  } catch (error) {
    if (error instanceof RegraftError && systemCode(error.cause) === 'ENOENT') return undefined
    throw error
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0) // signal 0 only asks
    return true
  } catch (error) {
    return systemCode(error) === 'EPERM'
  }
}

/** Another one may have been quicker. */
async function remove(file: string): Promise<void> {
  await fileSystem()
    .unlink(file)
    .catch(() => undefined)
}
