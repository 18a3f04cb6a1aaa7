import { throwIfAborted } from '../errors.ts'
import { writeAll } from './atomic-write.ts'
import { diskError } from './disk-error.ts'
import { fileSystem } from './file-system.ts'

/**
 * Adds lines to a log (history, events), making the file if needed, and syncs it.
 * If the last line is torn, because a process was killed in the middle of it, the new lines still start on their own.
 * @param lines  without line ends
 */
export async function appendLines(
  file: string,
  lines: readonly string[],
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<void> {
  if (lines.length === 0) return
  if (lines.some((line) => /[\r\n]/.test(line))) throw new Error('A line to append holds a line end.')
  throwIfAborted(options.signal)
  const bytes = new TextEncoder().encode(`${lines.join('\n')}\n`)
  try {
    const handle = await fileSystem().open(file, 'append')
    try {
      const { kind, sizeBytes } = await handle.facts()
      const last = new Uint8Array(1)
      const torn = kind === 'file' && sizeBytes > 0 && (await handle.read(last, sizeBytes - 1)) === 1 && last[0] !== 10
      if (torn) await writeAll(handle, Uint8Array.of(10))
      await writeAll(handle, bytes)
      if (kind === 'file') await handle.sync()
    } finally {
      await handle.close()
    }
  } catch (error) {
    throw diskError(error, { verb: 'write', path: file, neededBytes: bytes.byteLength })
  }
}

/** Adds one line; see `appendLines`. */
export function appendLine(
  file: string,
  line: string,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<void> {
  return appendLines(file, [line], options)
}
