import { createHash } from 'node:crypto'
import { breathing } from '../breath.ts'
import { throwIfAborted } from '../errors.ts'
import { readRange } from '../files/read-file.ts'
import { reasonOf } from './bad-file.ts'
import { openToRead } from './disk.ts'
import { inOrder } from './in-order.ts'

/** What is read of a file to tell it from others. */
const keyBytes = 1 << 16
const atOnce = 16

/**
 * For each file a short text that is the same for the same contents: SHA-256 of its size and its first 64 KiB, in part. Files that
 * differ only behind that share a key. One that cannot be read has a key of its path.
 */
export async function contentKeys(files: readonly string[], signal?: AbortSignal): Promise<string[]> {
  const keys: string[] = []
  const breath = breathing()
  const read = (position: number) => keyOf(files[position] ?? '')
  for await (const key of inOrder(files.length, read, { concurrency: atOnce, ahead: 4 * atOnce, signal })) {
    keys.push(key)
    if (breath.due()) await breath.pause()
  }
  return keys
}

async function keyOf(file: string): Promise<string> {
  const hash = createHash('sha256')
  try {
    const handle = await openToRead(file)
    try {
      const { kind, sizeBytes } = await handle.facts()
      if (kind !== 'file') return shortened(hash.update(`path\n${file}`))
      hash.update(`${sizeBytes}\n`).update(await readRange(handle, 0, Math.min(keyBytes, sizeBytes)))
    } finally {
      await handle.close()
    }
  } catch (cause) {
    if (reasonOf(cause) === undefined) throw cause
    return shortened(createHash('sha256').update(`path\n${file}`))
  }
  return shortened(hash)
}

/** 128 bits: enough that no two of 10^12 pictures meet by chance. */
function shortened(hash: ReturnType<typeof createHash>): string {
  return hash.digest('base64url').slice(0, 22)
}

/** SHA-256 of a whole file in hexadecimal; undefined when it cannot be read. */
export async function fileDigest(file: string, signal?: AbortSignal): Promise<string | undefined> {
  const hash = createHash('sha256')
  try {
    const handle = await openToRead(file)
    try {
      if ((await handle.facts()).kind !== 'file') return undefined
      const piece = new Uint8Array(1 << 20)
      for (let offset = 0; ; ) {
        throwIfAborted(signal)
        const count = await handle.read(piece, offset)
        if (count === 0) return hash.digest('hex')
        hash.update(piece.subarray(0, count))
        offset += count
      }
    } finally {
      await handle.close()
    }
  } catch (cause) {
    if (reasonOf(cause) === undefined) throw cause
    return undefined
  }
}
