import type { FileFacts, OpenFile } from '../files/file-system.ts'
import { readRange, withOpenFile } from '../files/read-file.ts'
import { formatBytes } from '../format-bytes.ts'
import { weightsError } from './stored-tensors.ts'

/** A file as it was when it was looked through; later reads refuse if it changed. */
export interface KnownFile {
  readonly path: string
  readonly facts: FileFacts
}

/**
 * Opens a file again to read more of it.
 * @throws RegraftError `weights` when it is no longer the file that was looked through
 */
export function withSameFile<T>(file: KnownFile, work: (handle: OpenFile) => Promise<T>): Promise<T> {
  return withOpenFile(file.path, { code: 'weights' }, async (handle, now) => {
    if (!sameFile(file.facts, now)) throw changed(file, now.sizeBytes)
    return work(handle)
  })
}

/**
 * Exactly `length` bytes from an offset that is known to lie in the file.
 * @throws RegraftError `weights` when the file became shorter meanwhile
 */
export async function readKnown(
  handle: OpenFile,
  file: KnownFile,
  offset: number,
  length: number,
): Promise<Uint8Array> {
  const bytes = await readRange(handle, offset, length)
  if (bytes.length < length) throw changed(file, offset + bytes.length)
  return bytes
}

function changed(file: KnownFile, sizeBytes: number) {
  const problem = `the file was changed while it was in use (now ${formatBytes(sizeBytes)}).\nStart again.`
  return weightsError(file.path, problem)
}

function sameFile(a: FileFacts, b: FileFacts): boolean {
  return a.sizeBytes === b.sizeBytes && a.modifiedMs === b.modifiedMs && a.inode === b.inode && a.device === b.device
}
