// A job as a process of its own: what it says goes to files, and signals are passed on to it.
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { constants } from 'node:os'
import { RegraftError } from '../errors.ts'
import { diskError } from '../files/disk-error.ts'

export interface JobEnd {
  /** As a shell would say it: 128 and the number of the signal for a process that was killed. */
  readonly exitCode: number
  readonly killedBy: NodeJS.Signals | undefined
  readonly seconds: number
}

export interface JobOptions {
  /** What starts this program. */
  readonly program: readonly string[]
  readonly words: readonly string[]
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Files for stdout and stderr; begun anew. */
  readonly output: string
  readonly log: string
  readonly signal: AbortSignal
}

/** Runs a job to its end, also when the signal fires: then the job is told to stop, and saves what it has. */
export async function runJob(options: JobOptions): Promise<JobEnd> {
  const begun = performance.now()
  const output = opened(options.output)
  const log = opened(options.log)
  const [program = '', ...first] = options.program
  let child: ChildProcess
  try {
    child = spawn(program, [...first, ...options.words], {
      stdio: ['ignore', output, log],
      env: { ...options.environment },
      // Not in our group: Ctrl-C would reach it directly and through us, and the second time ends it without saving.
      detached: process.platform !== 'win32',
    })
  } finally {
    closeSync(output)
    closeSync(log)
  }
  const pass = () => child.kill(wordOf(options.signal.reason))
  // When this process is ended at once, nobody is left behind.
  const end = () => child.kill('SIGKILL')
  process.once('exit', end)
  if (options.signal.aborted) pass()
  else options.signal.addEventListener('abort', pass, { once: true })
  try {
    const [code, killedBy] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code, signal) => resolve([code, signal]))
    })
    const exitCode = code ?? 128 + (killedBy === null ? 0 : constants.signals[killedBy])
    return { exitCode, killedBy: killedBy ?? undefined, seconds: (performance.now() - begun) / 1000 }
  } finally {
    process.off('exit', end)
    options.signal.removeEventListener('abort', pass)
  }
}

function opened(file: string): number {
  try {
    return openSync(file, 'w')
  } catch (error) {
    throw diskError(error, { verb: 'write', path: file })
  }
}

function wordOf(reason: unknown): NodeJS.Signals {
  return reason instanceof RegraftError && reason.exitCode === 143 ? 'SIGTERM' : 'SIGINT'
}
