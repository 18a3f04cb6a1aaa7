import { RegraftError } from '../errors.ts'
import { inertName } from '../inert-text.ts'
import { type ReadOptions, readRange, withOpenFile } from './read-file.ts'
import { describeContent, recogniseContent } from './recognise.ts'

const pieceBytes = 1 << 20

/**
 * The bytes of a file of any size, piece by piece. Git LFS pointers, HTML pages and archives are refused by name: who reads in
 * pieces expects text.
 * @throws RegraftError of class `options.code`
 */
export async function* filePieces(
  file: string,
  options: ReadOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  for (let offset = 0; ; ) {
    // Opened for each piece, so that a reader that stops in the middle leaves nothing open.
    const piece = await withOpenFile(file, options, (handle) => readRange(handle, offset, pieceBytes))
    const content = offset === 0 ? recogniseContent(piece) : undefined
    if (content !== undefined) {
      const message = `${inertName(file)}: the file is ${describeContent(content)}`
      throw new RegraftError(options.code ?? 'usage', message, { file })
    }
    if (piece.length > 0) yield piece
    if (piece.length < pieceBytes) return
    offset += piece.length
  }
}

/**
 * The same as text in UTF-8; a byte-order mark at the beginning is left out.
 * @throws RegraftError of class `options.code`, also for bytes that are not UTF-8
 */
export async function* textPieces(file: string, options: ReadOptions = {}): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  const decode = (piece?: Uint8Array) => {
    try {
      return piece === undefined ? decoder.decode() : decoder.decode(piece, { stream: true })
    } catch (cause) {
      const message = `${inertName(file)}: the text is not encoded in UTF-8.\nSave it as UTF-8 and try again.`
      throw new RegraftError(options.code ?? 'usage', message, { file, cause })
    }
  }
  for await (const piece of filePieces(file, options)) yield decode(piece)
  const rest = decode()
  if (rest !== '') yield rest
}

/** A line of text and its number, from 1. */
export interface TextLine {
  readonly text: string
  readonly line: number
}

/**
 * The lines of a text that comes in pieces, without their ends (LF or CRLF). What follows the last end is a line unless it is empty.
 * @param maxLength  characters of a line; a longer one is refused
 * @throws RangeError for a line that is too long, with its number
 */
export async function* textLines(
  pieces: AsyncIterable<string> | Iterable<string>,
  maxLength = 1 << 20,
): AsyncGenerator<TextLine, void, undefined> {
  let rest = ''
  let line = 0
  const whole = (text: string): TextLine => {
    line += 1
    return { text: text.endsWith('\r') ? text.slice(0, -1) : text, line }
  }
  for await (const piece of pieces) {
    const parts = (rest + piece).split('\n')
    rest = parts.pop() ?? ''
    for (const part of parts) yield whole(part)
    if (rest.length > maxLength) throw new RangeError(`line ${line + 1} has more than ${maxLength} characters`)
  }
  if (rest !== '') yield whole(rest)
}
