import { PassThrough, Writable } from 'node:stream'
import type { Host, OutputStream, StopSignal } from '../../src/cli/host.ts'
import { run } from '../../src/cli/run.ts'
import type { Verbs } from '../../src/cli/verbs.ts'
import type { Engine, EngineOptions } from '../../src/kernels/engine.ts'
import type { Prediction, TrainResult } from '../../src/transfer/options.ts'

/** A command line without a process: streams in memory, verbs that play their part. */
export interface Stage {
  readonly verbs: Partial<Verbs>
  readonly stdin: string | Buffer
  readonly environment: Record<string, string>
  /** What starts a process of this program. */
  readonly program: readonly string[]
  /** stderr is a terminal. */
  readonly terminal: boolean
  readonly stdoutTerminal: boolean
  /** stdout breaks like a pipe whose reader has gone, after so many writes. */
  readonly readerLeavesAfter: number
  /** Milliseconds that pass from one look at the clock to the next. */
  readonly tickMs: number
  /** Called with what sends a signal, before the command begins. */
  onStart(send: (signal: StopSignal) => void): void
}

export interface Performance {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
  readonly engines: readonly EngineOptions[]
  readonly enginesClosed: number
  /** Codes of exits without waiting. */
  readonly exits: readonly number[]
}

export async function perform(words: readonly string[], stage: Partial<Stage> = {}): Promise<Performance> {
  const engines: EngineOptions[] = []
  const exits: number[] = []
  let enginesClosed = 0
  let clockMs = 0
  const stdout = collector(stage.stdoutTerminal ?? false, stage.readerLeavesAfter)
  const stderr = collector(stage.terminal ?? false)
  const stdin = new PassThrough()
  stdin.end(stage.stdin ?? '')
  const host: Host = {
    stdin,
    stdout: stdout.stream,
    stderr: stderr.stream,
    environment: stage.environment ?? {},
    program: stage.program ?? [],
    // Verbs that the test did not give must not be called; a call fails loudly as not a function.
    verbs: (stage.verbs ?? {}) as Verbs,
    createEngine(options) {
      engines.push(options)
      const engine: Partial<Engine> = {
        async close() {
          enginesClosed += 1
        },
      }
      // The verbs of these tests only pass it on.
      return engine as Engine
    },
    onSignal(listener) {
      stage.onStart?.(listener)
      return () => undefined
    },
    exit: (code) => exits.push(code),
    now: () => (clockMs += stage.tickMs ?? 1),
  }
  const exitCode = await run(words, host)
  return { exitCode, stdout: stdout.text(), stderr: stderr.text(), engines, enginesClosed, exits }
}

function collector(isTTY: boolean, failAfter = Number.POSITIVE_INFINITY): { stream: OutputStream; text(): string } {
  let text = ''
  let writes = 0
  const stream = new Writable({
    decodeStrings: false,
    write(chunk, _, done) {
      writes += 1
      if (writes > failAfter) return done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }))
      text += String(chunk)
      done()
    },
  })
  return { stream: Object.assign(stream, isTTY ? { isTTY, columns: 100 } : {}), text: () => text }
}

export const trained: TrainResult = {
  out: 'runs/flowers-1',
  classes: ['daisy', 'rose'],
  best: {
    epoch: 3,
    valAccuracy: 0.9125,
    valLoss: 0.31,
    valTopAccuracy: 1,
    valBalancedAccuracy: 0.9,
    valMacroF1: 0.9,
  },
  final: { valAccuracy: 0.9, valLoss: 0.33, trainAccuracy: 0.97 },
  images: { train: 80, val: 20, bad: 1 },
  seconds: { total: 61, decode: 20, compute: 41 },
  belowMinimum: false,
}

/** A verb that gives these rows. */
export function predicting(...rows: Partial<Prediction>[]): Verbs['predict'] {
  return async function* () {
    for (const row of rows) {
      const { label = null, score = null } = row
      const top = label !== null && score !== null ? [{ label, score }] : []
      yield { path: 'a.jpg', label, score, error: null, top, ...row }
    }
  }
}
