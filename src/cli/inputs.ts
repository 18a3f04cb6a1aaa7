import { pathLines } from '../data/path-lines.ts'
import { RegraftError } from '../errors.ts'

/**
 * The inputs of a command, with `-` replaced by the paths on stdin, in its place. Paths on stdin are handed on as they come.
 * @param separator  between paths on stdin; with 'null' stdin is read even when no `-` is given
 * @throws RegraftError 'usage' for inputs that are missing or name stdin twice, 'data' when stdin names nothing and nothing else does
 */
export async function expandInputs(
  inputs: readonly string[],
  separator: 'newline' | 'null',
  stdin: AsyncIterable<Uint8Array | string>,
  signal: AbortSignal,
): Promise<readonly string[] | AsyncIterable<string>> {
  const dashes = inputs.filter((input) => input === '-').length
  if (dashes > 1) throw new RegraftError('usage', `'-' is given ${dashes} times, but stdin can be read only once.`)
  if (dashes === 0 && separator === 'newline') {
    if (inputs.length > 0) return inputs
    throw new RegraftError('usage', "INPUTS are missing: give pictures, folders, or '-' for paths on stdin.")
  }
  const paths = pathsOn(stdin, separator, signal)
  // The first is waited for, so that an empty stdin is heard of before a model is loaded.
  const first = await paths.next()
  if (first.done && inputs.every((input) => input === '-')) throw new RegraftError('data', 'stdin named no inputs.')
  async function* expanded(): AsyncGenerator<string> {
    for (const input of dashes === 0 ? [...inputs, '-'] : inputs) {
      if (input !== '-') yield input
      else if (!first.done) {
        yield first.value
        yield* paths
      }
    }
  }
  return expanded()
}

async function* pathsOn(
  stdin: AsyncIterable<Uint8Array | string>,
  separator: 'newline' | 'null',
  signal: AbortSignal,
): AsyncGenerator<string, void, undefined> {
  try {
    for await (const { path } of pathLines(untilAborted(stdin, signal), separator)) yield path
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause
    throw new RegraftError('data', `The paths on stdin: ${cause.message}.`, { cause })
  }
}

/** A stream that may keep silent for ever is not waited for once the signal fires. */
async function* untilAborted(
  stdin: AsyncIterable<Uint8Array | string>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array | string, void, undefined> {
  const iterator = stdin[Symbol.asyncIterator]()
  let onAbort: (() => void) | undefined
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason)
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
  })
  // Heard only by whoever waits for it.
  aborted.catch(() => undefined)
  try {
    for (;;) {
      const next = await Promise.race([aborted, iterator.next()])
      if (next.done) return
      yield next.value
    }
  } finally {
    if (onAbort) signal.removeEventListener('abort', onAbort)
  }
}
