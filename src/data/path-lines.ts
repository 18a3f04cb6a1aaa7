import { nameFromBytes } from './system-path.ts'

/** A path in a list and the line it stands on, from 1. */
export interface ListedPath {
  readonly path: string
  readonly line: number
}

/** Longer lines are no paths: Linux allows 4096 bytes. */
const longestLine = 1 << 16

/**
 * The paths in a stream of bytes, as they come. Bytes that are no UTF-8 are kept, so that every file can be named. Empty lines, a
 * byte-order mark at the beginning and the CR of Windows' line ends are left out.
 * @throws RangeError for a line of more than 64 KiB
 */
export async function* pathLines(
  pieces: AsyncIterable<Uint8Array | string>,
  separator: 'newline' | 'null',
): AsyncGenerator<ListedPath, void, undefined> {
  const end = separator === 'null' ? 0 : 10
  let rest: Buffer = Buffer.alloc(0)
  let line = 0
  for await (const piece of pieces) {
    const bytes = Buffer.concat([rest, typeof piece === 'string' ? Buffer.from(piece) : piece])
    let start = 0
    for (let found = bytes.indexOf(end); found >= 0; found = bytes.indexOf(end, start)) {
      line += 1
      const path = pathOf(bytes.subarray(start, found), separator, line)
      if (path !== '') yield { path, line }
      start = found + 1
    }
    rest = bytes.subarray(start)
    if (rest.length > longestLine) {
      throw new RangeError(`line ${line + 1} has more than ${longestLine} bytes, so it is no path`)
    }
  }
  const path = pathOf(rest, separator, line + 1)
  if (path !== '') yield { path, line: line + 1 }
}

function pathOf(bytes: Buffer, separator: 'newline' | 'null', line: number): string {
  const marked = line === 1 && bytes.subarray(0, 3).equals(byteOrderMark)
  const name = marked ? bytes.subarray(3) : bytes
  if (separator === 'null') return nameFromBytes(name)
  const path = nameFromBytes(name.at(-1) === 13 ? name.subarray(0, -1) : name)
  return path.trim() === '' ? '' : path
}

const byteOrderMark = Buffer.of(0xef, 0xbb, 0xbf)
