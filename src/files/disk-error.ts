import { type ErrorCode, RegraftError } from '../errors.ts'
import { formatBytes } from '../format-bytes.ts'
import { inertName } from '../inert-text.ts'

/** What was being done when the disk refused, in the words of the message. */
export interface DiskAction {
  /** "read", "write", "create the folder" … */
  readonly verb: string
  readonly path: string
  /** The code for troubles that are the file's own; `usage` when left out. */
  readonly code?: ErrorCode | undefined
  /** Bytes that the file system has to have room for, if known. */
  readonly neededBytes?: number | undefined
}

/** Turns an error of the operating system into one for people. Any other error is given back as it is. */
export function diskError(error: unknown, action: DiskAction): unknown {
  const errno = systemCode(error)
  if (error instanceof RegraftError || errno === undefined) return error
  const { verb, path, code = 'usage', neededBytes } = action
  const details = { file: path, cause: error }
  const start = `Could not ${verb} ${inertName(path)}`
  switch (errno) {
    case 'ENOSPC':
    case 'EDQUOT': {
      const needed = neededBytes === undefined ? '' : ` It needs ${formatBytes(neededBytes)}.`
      const full = errno === 'EDQUOT' ? 'your disk quota is used up' : 'the disk is full'
      return new RegraftError('memory', `${start}: ${full}.${needed}\nFree some space and try again.`, details)
    }
    case 'EFBIG':
      return new RegraftError('memory', `${start}: the file system does not allow a file this large.`, details)
    case 'EACCES':
    case 'EPERM':
      return new RegraftError(code, `${start}: permission denied.\nCheck who owns it and its rights.`, details)
    case 'EROFS':
      return new RegraftError('usage', `${start}: the file system is read-only.\nChoose another folder.`, details)
    case 'EMFILE':
    case 'ENFILE':
      return new RegraftError('memory', `${start}: too many files are open.\nRaise the limit (ulimit -n).`, details)
    case 'EIO':
      return new RegraftError('memory', `${start}: the disk reports a fault (EIO).\nCheck the disk.`, details)
    case 'ENOENT':
      return new RegraftError(code, `${start}: no such file or folder.`, details)
    case 'ENOTDIR':
      return new RegraftError(code, `${start}: a part of the path is a file, not a folder.`, details)
    case 'EISDIR':
      return new RegraftError(code, `${start}: it is a folder, not a file.`, details)
    case 'ENAMETOOLONG':
      return new RegraftError('usage', `${start}: the name is too long.`, details)
    case 'ELOOP':
      return new RegraftError(code, `${start}: its links lead in a circle.`, details)
    default:
      return new RegraftError(code, `${start}: ${error instanceof Error ? error.message : String(error)}`, details)
  }
}

/** `ENOENT` and the like, when the error comes from the operating system. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined
  // Node's own errors (ERR_…) are mistakes in our calls, not troubles of the disk.
  return /^E[A-Z0-9]+$/.test(error.code) ? error.code : undefined
}
