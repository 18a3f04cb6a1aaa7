import * as path from 'node:path'
import { RegraftError, throwIfAborted } from '../errors.ts'
import { inertName } from '../inert-text.ts'
import { diskError, systemCode } from './disk-error.ts'
import { fileSystem, type OpenFile } from './file-system.ts'
import { pathFacts, syncFolder } from './folder.ts'
import { leftoversIn, releaseTemporaryName, takeTemporaryName } from './temporary-names.ts'

/** Content of a file: whole, or in pieces made while it is written. */
export type FileContent = string | Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>

export interface WriteOptions {
  readonly signal?: AbortSignal | undefined
  /** Size of content that comes in pieces, so that a full disk can be reported with what is needed. */
  readonly expectedBytes?: number | undefined
  /**
   * The folder is not in its place yet, so nobody looks into it: the file is written as it is and synced, and the folder is left to
   * `writeFolderAtomic`.
   */
  readonly inFreshFolder?: boolean | undefined
}

/**
 * Writes a file so that its name always leads to a complete one, the old or the new, even after a power cut:
 * temporary file in the same folder, fsync, rename, fsync of the folder. Links are followed; a device or a pipe is
 * written to directly. On failure or abort the temporary file is removed.
 * @throws RegraftError  `memory` when the disk is full, `usage` when writing is not allowed, `interrupted`
 */
export async function writeFileAtomic(file: string, content: FileContent, options: WriteOptions = {}): Promise<void> {
  throwIfAborted(options.signal)
  const neededBytes = sizeOf(content) ?? options.expectedBytes
  const action = { verb: 'write', path: file, neededBytes }
  try {
    if (options.inFreshFolder) {
      await writeThrough(await fileSystem().open(file, 'create'), content, { ...options, sync: true })
      return
    }
    const facts = await pathFacts(file)
    if (facts?.kind === 'folder') {
      throw new RegraftError('usage', `Could not write ${inertName(file)}: it is a folder.`, { file })
    }
    if (facts?.kind === 'other') {
      await writeThrough(await fileSystem().open(file, 'overwrite'), content, { ...options, sync: false })
      return
    }
    const target = facts === undefined ? path.resolve(file) : await fileSystem().realPath(file)
    await replace(target, content, options)
  } catch (error) {
    throw await explainMissingFolder(diskError(error, action), file)
  }
}

async function replace(target: string, content: FileContent, options: WriteOptions): Promise<void> {
  const fs = fileSystem()
  const folder = path.dirname(target)
  const temporary = await openTemporary(target)
  try {
    await writeThrough(temporary.handle, content, { ...options, sync: true })
    throwIfAborted(options.signal)
    await fs.rename(temporary.path, target)
  } catch (error) {
    // The first error is the one to report; a leftover is removed by the next save.
    await fs.unlink(temporary.path).catch(() => undefined)
    throw error
  } finally {
    releaseTemporaryName(temporary.path)
  }
  await syncFolder(folder)
  await removeLeftovers(target)
}

/** Writes all content, however short the single writes turn out, and closes the file. */
async function writeThrough(
  handle: OpenFile,
  content: FileContent,
  options: { readonly signal?: AbortSignal | undefined; readonly sync: boolean },
): Promise<void> {
  try {
    for await (const piece of pieces(content)) {
      throwIfAborted(options.signal)
      await writeAll(handle, piece)
    }
    if (options.sync) await handle.sync()
  } catch (error) {
    await handle.close().catch(() => undefined)
    throw error
  }
  await handle.close()
}

/** Repeats short writes until all bytes are taken. */
export async function writeAll(handle: OpenFile, bytes: Uint8Array): Promise<void> {
  let done = 0
  while (done < bytes.byteLength) {
    const written = await handle.write(bytes.subarray(done))
    if (written === 0) throw Object.assign(new Error('The disk took no more bytes.'), { code: 'ENOSPC' })
    done += written
  }
}

function pieces(content: FileContent): Iterable<Uint8Array> | AsyncIterable<Uint8Array> {
  if (typeof content === 'string') return [new TextEncoder().encode(content)]
  return content instanceof Uint8Array ? [content] : content
}

function sizeOf(content: FileContent): number | undefined {
  if (typeof content === 'string') return Buffer.byteLength(content)
  return content instanceof Uint8Array ? content.byteLength : undefined
}

async function openTemporary(target: string): Promise<{ path: string; handle: OpenFile }> {
  for (;;) {
    const temporary = takeTemporaryName(target)
    try {
      return { path: temporary, handle: await fileSystem().open(temporary, 'create') }
    } catch (error) {
      releaseTemporaryName(temporary)
      // Left by a killed process that had the same number: take the next name.
      if (systemCode(error) !== 'EEXIST') throw error
    }
  }
}

/** Removes what earlier attempts at this file left. Failing to do so harms nothing. */
async function removeLeftovers(target: string): Promise<void> {
  for (const leftover of await leftoversIn(path.dirname(target), target).catch(() => []))
    await fileSystem()
      .unlink(leftover)
      .catch(() => undefined)
}

async function explainMissingFolder(error: unknown, file: string): Promise<unknown> {
  if (!(error instanceof RegraftError) || systemCode(error.cause) !== 'ENOENT') return error
  const folder = path.dirname(path.resolve(file))
  if ((await pathFacts(folder).catch(() => undefined)) !== undefined) return error
  const message = `Could not write ${inertName(file)}: the folder ${inertName(folder)} does not exist.\nMake it first.`
  return new RegraftError('usage', message, { file, cause: error.cause })
}
