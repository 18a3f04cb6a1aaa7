import { createHash } from 'node:crypto'
import { breathing } from '../breath.ts'
import { throwIfAborted } from '../errors.ts'
import { type ReadOptions, withOpenFile } from './read-file.ts'

/** SHA-256 in lower-case hexadecimal; text counts as UTF-8. */
export function sha256(content: Uint8Array | string): string {
  return createHash('sha256').update(content).digest('hex')
}

/** SHA-256 of pieces one after the other. @throws the reason of the signal */
export async function sha256OfPieces(pieces: Iterable<Uint8Array>, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256')
  const breath = breathing()
  for (const piece of pieces) {
    throwIfAborted(signal)
    hash.update(piece)
    if (breath.due()) await breath.pause()
  }
  return hash.digest('hex')
}

/** SHA-256 of a file of any size, read piece by piece. */
export function sha256OfFile(
  file: string,
  options: ReadOptions & { readonly signal?: AbortSignal | undefined } = {},
): Promise<string> {
  return withOpenFile(file, options, async (handle) => {
    const hash = createHash('sha256')
    const piece = new Uint8Array(1 << 20)
    for (;;) {
      throwIfAborted(options.signal)
      const count = await handle.read(piece, null)
      if (count === 0) return hash.digest('hex')
      hash.update(piece.subarray(0, count))
    }
  })
}
