import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { systemPath } from './system-path.ts'

/** Either the thing, or why there is none, in plain words for a list of bad files. */
export type Outcome<T> =
  | { readonly value: T; readonly reason?: undefined }
  | { readonly value?: undefined; readonly reason: string; readonly cause?: unknown }

const largestFileBytes = 512 * 2 ** 20

/**
 * All bytes of a picture file. A pipe, socket, device or folder is refused without waiting for it, as are empty and
 * huge files. Trouble that is not the file's own (too many open files, no memory) is thrown.
 */
export async function imageBytes(file: string): Promise<Outcome<Buffer>> {
  try {
    // A pipe without a writer would otherwise hold the opening forever.
    const handle = await open(systemPath(file), constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
    try {
      const stats = await handle.stat()
      if (!stats.isFile()) return { reason: `is ${stats.isDirectory() ? 'a folder' : 'a pipe, socket or device'}` }
      if (stats.size === 0) return { reason: 'is empty' }
      if (stats.size > largestFileBytes) {
        return { reason: `is too large: ${stats.size} bytes, the limit is ${largestFileBytes}` }
      }
      const bytes = Buffer.allocUnsafeSlow(stats.size)
      let filled = 0
      while (filled < bytes.length) {
        const { bytesRead } = await handle.read(bytes, filled, bytes.length - filled, filled)
        if (bytesRead === 0) return { reason: 'became shorter while it was read' }
        filled += bytesRead
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

/** Why the file system refused, in plain words; undefined when the file is not to blame. */
export function reasonOf(cause: unknown): string | undefined {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  return Object.hasOwn(reasons, code) ? reasons[code] : undefined
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  ENOTDIR: 'does not exist',
  ENAMETOOLONG: 'has a name that is too long',
  ERR_INVALID_ARG_VALUE: 'has a name that cannot be a file',
  EACCES: 'may not be read: permission denied',
  EPERM: 'may not be read: permission denied',
  EISDIR: 'is a folder',
  ELOOP: 'is a link that leads back to itself',
  ENXIO: 'is a pipe, socket or device',
  ENODEV: 'is a pipe, socket or device',
  EIO: 'cannot be read: the disk reports an error',
  ESTALE: 'cannot be read: the network disk lost it',
  EBUSY: 'cannot be read: another program holds it',
}
