import { systemCode } from '../files/disk-error.ts'
import type { OutputStream } from './host.ts'

/** Whoever read our output has gone away, as `head` does when it has enough. No error: there is no more to do. */
export class ReaderGone extends Error {}

/** Standard output, which carries data only. */
export interface DataOutput {
  readonly isTerminal: boolean
  /** Fulfilled when more may be written. @throws ReaderGone */
  write(text: string): Promise<void>
}

/** Watches over a stream from here on, so that its errors are heard where the writing is done. */
export function dataOutput(stream: OutputStream): DataOutput {
  let failure: unknown
  stream.on('error', (error) => {
    failure ??= gone(error) ? new ReaderGone() : error
  })
  return {
    isTerminal: stream.isTTY === true,
    write: (text) =>
      new Promise((resolve, reject) => {
        if (failure !== undefined) return reject(failure)
        stream.write(text, (error) => {
          if (error) reject(gone(error) ? new ReaderGone() : error)
          else resolve()
        })
      }),
  }
}

function gone(error: unknown): boolean {
  const code = systemCode(error)
  // Node's own word for writing after the stream was destroyed by an EPIPE.
  return code === 'EPIPE' || (error instanceof Error && 'code' in error && error.code === 'ERR_STREAM_DESTROYED')
}
