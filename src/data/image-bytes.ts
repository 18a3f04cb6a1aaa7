import { readRange } from '../files/read-file.ts'
import { type Outcome, reasonOf } from './bad-file.ts'
import { openToRead } from './disk.ts'

const largestFileBytes = 512 * 2 ** 20

/**
 * All bytes of a picture file. A pipe, socket, device or folder is refused without waiting for it, as are empty and
 * huge files. Trouble that is not the file's own (too many open files, no memory) is thrown.
 */
export async function imageBytes(file: string): Promise<Outcome<Uint8Array>> {
  try {
    const handle = await openToRead(file)
    try {
      const { kind, sizeBytes } = await handle.facts()
      if (kind !== 'file') return { reason: kind === 'folder' ? 'is a folder' : 'is a pipe, socket or device' }
      if (sizeBytes === 0) return { reason: 'is empty' }
      if (sizeBytes > largestFileBytes) {
        return { reason: `is too large: ${sizeBytes} bytes, the limit is ${largestFileBytes}` }
      }
      const bytes = Buffer.allocUnsafeSlow(sizeBytes)
      for (let filled = 0; filled < sizeBytes; ) {
        const count = await handle.read(bytes.subarray(filled), filled)
        if (count === 0) return { reason: 'became shorter while it was read' }
        filled += count
      }
      return { value: bytes }
    } finally {
      await handle.close()
    }
  } catch (cause) {
    const reason = reasonOf(cause)
    if (reason === undefined) throw cause
    return { reason, cause }
  }
}

/** The beginning of a file; nothing of what cannot be read. */
export async function firstBytes(file: string, count: number): Promise<Uint8Array> {
  try {
    const handle = await openToRead(file)
    try {
      if ((await handle.facts()).kind !== 'file') return new Uint8Array()
      return await readRange(handle, 0, count)
    } finally {
      await handle.close()
    }
  } catch (cause) {
    if (reasonOf(cause) === undefined) throw cause
    return new Uint8Array()
  }
}
