// The command line as a user has it: real verbs, a real engine, real files.
import { spawn } from 'node:child_process'
import { PassThrough, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { StopSignal } from '../../src/cli/host.ts'
import { run } from '../../src/cli/run.ts'
import { verbs } from '../../src/cli/verbs.ts'
import { createEngine } from '../../src/kernels/engine.ts'

export interface Ran {
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Surroundings {
  readonly stdin?: string
  /** Hears what is said to people, and may send a signal. */
  readonly onStderr?: (text: string, send: (signal: StopSignal) => void) => void
}

/** Runs words in this process. */
export async function regraft(words: readonly string[], surroundings: Surroundings = {}): Promise<Ran> {
  let send: (signal: StopSignal) => void = () => undefined
  const stdin = new PassThrough()
  stdin.end(surroundings.stdin ?? '')
  const stdout = collector()
  const stderr = collector((text) => surroundings.onStderr?.(text, send))
  const exitCode = await run(words, {
    stdin,
    stdout: stdout.stream,
    stderr: stderr.stream,
    environment: {},
    program: processOf([]),
    verbs,
    createEngine,
    onSignal(listener) {
      send = listener
      return () => undefined
    },
    exit: (code) => {
      throw new Error(`an exit with ${code} that does not wait`)
    },
    now: () => performance.now(),
  })
  return { exitCode, stdout: stdout.text(), stderr: stderr.text() }
}

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

/** The words of a command that runs regraft in a process of its own. */
export function processOf(words: readonly string[]): readonly string[] {
  return [process.execPath, '--import', 'tsx', main, ...words]
}

/** Runs a command in a process of its own. */
export function inProcess(command: readonly string[], surroundings: Surroundings = {}): Promise<Ran> {
  const [program = '', ...rest] = command
  return new Promise((resolve, reject) => {
    const child = spawn(program, rest, { stdio: ['ignore', 'pipe', 'pipe'] })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (part) => {
      stdout += part
    })
    child.stderr.on('data', (part) => {
      stderr += part
      surroundings.onStderr?.(String(part), (signal) => child.kill(signal))
    })
    child.on('error', reject)
    child.on('close', (exitCode) => resolve({ exitCode, stdout, stderr }))
  })
}

function collector(hear: (text: string) => void = () => undefined) {
  let text = ''
  const stream = new Writable({
    decodeStrings: false,
    write(chunk, _, done) {
      text += String(chunk)
      hear(String(chunk))
      done()
    },
  })
  return { stream, text: () => text }
}
