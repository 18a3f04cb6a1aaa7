import { isUtf8 } from 'node:buffer'

/**
 * File names on Linux are bytes, not text. A byte that is no UTF-8 is kept as U+DC80..U+DCFF, the way of Python's
 * os.fsdecode, so that every name is a string of its own and leads back to its file.
 */
export function nameFromBytes(name: Buffer): string {
  if (isUtf8(name)) return name.toString('utf8')
  let text = ''
  for (let start = 0; start < name.length; ) {
    const length = sequenceLength(name, start)
    if (length === 0) text += String.fromCharCode(0xdc00 + (name[start] ?? 0))
    else text += name.toString('utf8', start, start + length)
    start += Math.max(1, length)
  }
  return text
}

/** What the file system wants to hear: the text itself, or bytes where the name holds kept ones. */
export function systemPath(path: string): string | Buffer {
  if (!/[\udc80-\udcff]/u.test(path)) return path
  const parts: Buffer[] = []
  let text = ''
  for (const character of path) {
    const code = character.codePointAt(0) ?? 0
    if (code >= 0xdc80 && code <= 0xdcff) {
      parts.push(Buffer.from(text), Buffer.of(code - 0xdc00))
      text = ''
    } else text += character
  }
  return Buffer.concat([...parts, Buffer.from(text)])
}

/** Bytes of the valid UTF-8 character at this place, 0 if there is none. */
function sequenceLength(name: Buffer, start: number): number {
  for (let length = 1; length <= 4 && start + length <= name.length; length++) {
    if (isUtf8(name.subarray(start, start + length))) return length
  }
  return 0
}
