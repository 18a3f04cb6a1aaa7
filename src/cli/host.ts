import type { Readable, Writable } from 'node:stream'
import type { Engine, EngineOptions } from '../kernels/engine.ts'
import type { Verbs } from './verbs.ts'

/** A stream to write to that may be a terminal. */
export type OutputStream = Writable & { readonly isTTY?: boolean; readonly columns?: number }

/** Signals that end the work in an orderly way. */
export type StopSignal = 'SIGINT' | 'SIGTERM'

/** What surrounds the command line: the process, or a stage in a test. */
export interface Host {
  readonly stdin: Readable
  readonly stdout: OutputStream
  readonly stderr: OutputStream
  readonly environment: Readonly<Record<string, string | undefined>>
  /** The words that start this program once more. */
  readonly program: readonly string[]
  readonly verbs: Verbs
  createEngine(options: EngineOptions): Engine
  /** @returns what ends the listening */
  onSignal(listener: (signal: StopSignal) => void): () => void
  /** Ends the process without waiting for anything. */
  exit(code: number): void
  /** Milliseconds of a clock that never goes back; for rates and time left. */
  now(): number
}
