import { nameFromBytes } from '../data/system-path.ts'
import { RegraftError } from '../errors.ts'

/**
 * The inputs of a command, with `-` replaced by the paths on stdin, in its place.
 * @param separator  between paths on stdin; with 'null' stdin is read even when no `-` is given
 */
export async function expandInputs(
  inputs: readonly string[],
  separator: 'newline' | 'null',
  stdin: AsyncIterable<Uint8Array | string>,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const dashes = inputs.filter((input) => input === '-').length
  if (dashes > 1) throw new RegraftError('usage', `'-' is given ${dashes} times, but stdin can be read only once.`)
  if (dashes === 0 && separator === 'newline') {
    if (inputs.length > 0) return inputs
    throw new RegraftError('usage', "INPUTS are missing: give pictures, folders, or '-' for paths on stdin.")
  }
  const paths = splitPaths(await readAll(stdin, signal), separator)
  const expanded = (dashes === 0 ? [...inputs, '-'] : inputs).flatMap((input) => (input === '-' ? paths : [input]))
  if (expanded.length === 0) throw new RegraftError('data', 'stdin named no inputs.')
  return expanded
}

/** Bytes that are no UTF-8 are kept, so that every file can be named. */
function splitPaths(bytes: Buffer, separator: 'newline' | 'null'): string[] {
  const paths: string[] = []
  const end = separator === 'null' ? 0 : 10
  for (let start = 0; start < bytes.length; ) {
    const found = bytes.indexOf(end, start)
    const stop = found < 0 ? bytes.length : found
    const carriageReturn = separator === 'newline' && stop > start && bytes[stop - 1] === 13
    const name = nameFromBytes(bytes.subarray(start, carriageReturn ? stop - 1 : stop))
    if (name !== '') paths.push(name)
    start = stop + 1
  }
  return paths
}

async function readAll(stdin: AsyncIterable<Uint8Array | string>, signal: AbortSignal): Promise<Buffer> {
  const parts: Buffer[] = []
  const iterator = stdin[Symbol.asyncIterator]()
  let onAbort: (() => void) | undefined
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason)
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
  })
  try {
    for (;;) {
      const next = await Promise.race([aborted, iterator.next()])
      if (next.done) return Buffer.concat(parts)
      parts.push(typeof next.value === 'string' ? Buffer.from(next.value) : Buffer.from(next.value))
    }
  } finally {
    if (onAbort) signal.removeEventListener('abort', onAbort)
  }
}
