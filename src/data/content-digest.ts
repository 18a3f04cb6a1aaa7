import { createHash } from 'node:crypto'
import { throwIfAborted } from '../errors.ts'
import { reasonOf } from './bad-file.ts'
import { openToRead } from './disk.ts'
import { inOrder } from './in-order.ts'

/** Which contents a file has. */
export interface ContentDigest {
  readonly bytes: number
  /** In lower-case hexadecimal. */
  readonly sha256: string
}

const CONCURRENCY = 8
const PIECE_BYTES = 1 << 20

/** Digests of files in their order; undefined for what cannot be read. */
export function contentDigests(
  files: readonly string[],
  signal?: AbortSignal,
): AsyncGenerator<ContentDigest | undefined, void, undefined> {
  const digest = (position: number) => contentDigest(files[position] ?? '', signal)
  return inOrder(files.length, digest, { concurrency: CONCURRENCY, ahead: 4 * CONCURRENCY, signal })
}

/** Digest of a file; undefined when it cannot be read. */
export async function contentDigest(file: string, signal?: AbortSignal): Promise<ContentDigest | undefined> {
  try {
    const handle = await openToRead(file)
    try {
      const { kind, sizeBytes } = await handle.facts()
      if (kind !== 'file') return undefined
      const hash = createHash('sha256')
      const piece = new Uint8Array(Math.min(PIECE_BYTES, sizeBytes + 1))
      let bytes = 0
      for (;;) {
        throwIfAborted(signal)
        const count = await handle.read(piece, null)
        if (count === 0) return { bytes, sha256: hash.digest('hex') }
        bytes += count
        hash.update(piece.subarray(0, count))
      }
    } finally {
      await handle.close()
    }
  } catch (cause) {
    if (reasonOf(cause) === undefined) throw cause
    return undefined
  }
}
