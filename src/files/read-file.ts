import * as path from 'node:path'
import { type ErrorCode, RegraftError } from '../errors.ts'
import { formatBytes } from '../format-bytes.ts'
import { inertName } from '../inert-text.ts'
import { nearestName } from '../nearest-name.ts'
import { diskError, systemCode } from './disk-error.ts'
import { type FileFacts, fileSystem, type OpenFile } from './file-system.ts'
import { pathFacts } from './folder.ts'
import { describeContent, recogniseContent } from './recognise.ts'

export interface ReadOptions {
  /** Class of the errors: `weights` for a model, `data` for pictures and lists; `usage` when left out. */
  readonly code?: ErrorCode | undefined
  /** Also read pipes and devices, such as `/dev/stdin`, to their end. */
  readonly acceptPipe?: boolean | undefined
}

/**
 * A whole file, if it is not larger than `maxBytes`. Git LFS pointers and HTML pages in the place of the file are
 * refused by name.
 * @throws RegraftError of class `options.code`
 */
export async function readFileLimited(file: string, maxBytes: number, options: ReadOptions = {}): Promise<Uint8Array> {
  const { code = 'usage' } = options
  const bytes = await withOpenFile(file, options, async (handle, facts) => {
    const tooLarge = (size: string) =>
      new RegraftError(
        code,
        `${inertName(file)}: the file is too large: ${size}, at most ${formatBytes(maxBytes)} are allowed.`,
        {
          file,
        },
      )
    if (facts.sizeBytes > maxBytes) throw tooLarge(formatBytes(facts.sizeBytes))
    const parts: Uint8Array[] = []
    let total = 0
    for (;;) {
      // One byte more than there should be, so that the end is seen, and a file that grows meanwhile too.
      const expected = Math.max(facts.sizeBytes - total + 1, facts.kind === 'file' ? 1 : 65536)
      const part = new Uint8Array(Math.min(expected, maxBytes - total + 1))
      const count = await handle.read(part, null)
      if (count === 0) break
      parts.push(part.subarray(0, count))
      total += count
      if (total > maxBytes) throw tooLarge('it goes on beyond the limit')
    }
    return parts.length === 1 && parts[0] ? parts[0] : Buffer.concat(parts)
  })
  const content = recogniseContent(bytes)
  if (content === 'git-lfs-pointer' || content === 'html') {
    throw new RegraftError(code, `${inertName(file)}: the file is ${describeContent(content)}`, { file })
  }
  return bytes
}

/**
 * A whole file as text in UTF-8; a byte-order mark at the beginning is left out.
 * @throws RegraftError of class `options.code`, also for bytes that are not UTF-8
 */
export async function readTextLimited(file: string, maxBytes: number, options: ReadOptions = {}): Promise<string> {
  const bytes = await readFileLimited(file, maxBytes, options)
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    const message = `${inertName(file)}: the text is not encoded in UTF-8.\nSave it as UTF-8 and try again.`
    throw new RegraftError(options.code ?? 'usage', message, { file, cause })
  }
}

/**
 * Opens a file to read, hands it to `work`, and closes it whatever happens. A file that is not there is reported with
 * the nearest name beside it.
 */
export async function withOpenFile<T>(
  file: string,
  options: ReadOptions,
  work: (handle: OpenFile, facts: FileFacts) => Promise<T>,
): Promise<T> {
  const { code = 'usage' } = options
  try {
    const handle = await fileSystem().open(file, options.acceptPipe ? 'read-pipe' : 'read')
    try {
      const facts = await handle.facts()
      if (facts.kind === 'folder') {
        throw new RegraftError(code, `${inertName(file)}: this is a folder, not a file.`, { file })
      }
      if (facts.kind !== 'file' && !options.acceptPipe) {
        throw new RegraftError(code, `${inertName(file)}: this is a pipe or a device, not an ordinary file.`, { file })
      }
      return await work(handle, facts)
    } finally {
      await handle.close()
    }
  } catch (error) {
    const missing = systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR'
    throw missing ? await notFound(file, code, error) : diskError(error, { verb: 'read', path: file, code })
  }
}

/**
 * Reads exactly `length` bytes from an offset, however short the single reads turn out.
 * @returns fewer only where the file ends
 */
export async function readRange(handle: OpenFile, offset: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length)
  let done = 0
  while (done < length) {
    const count = await handle.read(bytes.subarray(done), offset + done)
    if (count === 0) return bytes.subarray(0, done)
    done += count
  }
  return bytes
}

async function notFound(file: string, code: ErrorCode, cause: unknown): Promise<RegraftError> {
  const folder = path.dirname(file)
  const there = (await pathFacts(folder).catch(() => undefined))?.kind === 'folder'
  if (!there) {
    const message = `${inertName(file)}: not found; the folder ${inertName(folder)} does not exist either.`
    return new RegraftError(code, message, { file, cause })
  }
  const entries = await fileSystem()
    .list(folder)
    .catch(() => [])
  const near = nearestName(
    path.basename(file),
    entries.map((entry) => entry.name),
  )
  const advice = near === undefined ? '' : `\nDid you mean ${inertName(path.join(folder, near))}?`
  return new RegraftError(code, `${inertName(file)}: not found.${advice}`, { file, cause })
}
