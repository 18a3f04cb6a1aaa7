import { inert } from './inert-text.ts'

/** Exit code of the command line for each class of error. `memory` covers the disk too. */
export const exitCodes = {
  usage: 2,
  data: 3,
  weights: 4,
  threshold: 5,
  memory: 6,
  strict: 7,
  time: 75,
  interrupted: 130,
} as const

/** What kind of trouble it is; the library's `error.code`. */
export type ErrorCode = keyof typeof exitCodes

/** What else is known about the error: the file it is about, the place in it (tensor, line, layer), what caused it. */
export interface ErrorDetails {
  readonly file?: string | undefined
  readonly where?: string | undefined
  readonly cause?: unknown
  /** The signal that stopped the work; SIGTERM exits with 143. */
  readonly signal?: 'SIGINT' | 'SIGTERM' | undefined
}

/**
 * A mistake or misfortune that a user can do something about; printed without a stack.
 * The message is made inert here, once; `file` and `where` keep their exact characters and must be escaped when shown.
 */
export class RegraftError extends Error {
  override readonly name = 'RegraftError'
  readonly code: ErrorCode
  readonly exitCode: number
  readonly file: string | undefined
  readonly where: string | undefined

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(inert(message), 'cause' in details ? { cause: details.cause } : undefined)
    this.code = code
    this.exitCode = details.signal === 'SIGTERM' ? 143 : exitCodes[code]
    this.file = details.file
    this.where = details.where
  }
}

/**
 * Stops the work if the signal has fired. A `RegraftError` given as the reason of the abort is thrown as it is,
 * anything else becomes an `interrupted` error with the reason as its cause.
 */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (!signal?.aborted) return
  const reason: unknown = signal.reason
  if (reason instanceof RegraftError) throw reason
  throw new RegraftError('interrupted', 'The work was interrupted.', { cause: reason })
}
