import { type ErrorCode, RegraftError } from '../errors.ts'
import { formatBytes } from '../format-bytes.ts'
import { inertName } from '../inert-text.ts'
import { type WriteOptions, writeFileAtomic } from './atomic-write.ts'
import { type ReadOptions, readFileLimited } from './read-file.ts'

/** A value read from JSON. Objects have no prototype, so `constructor` and its like are found only if written there. */
export type JsonValue = null | boolean | number | string | JsonValue[] | JsonObject

/** A JSON object without a prototype. */
export interface JsonObject {
  [key: string]: JsonValue
}

export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export interface JsonOptions {
  /** Name of the file, for messages. */
  readonly file: string
  /** What the text is, when not the whole file: "header"; "JSON" when left out. */
  readonly part?: string | undefined
  /** Class of the errors; `usage` when left out. */
  readonly code?: ErrorCode | undefined
  /** 16 MiB when left out. */
  readonly maxBytes?: number | undefined
  /** Objects and lists inside each other: 64 when left out. */
  readonly maxDepth?: number | undefined
  /** Keep `__proto__` as an ordinary own key: for tables of names that go into a Map. Refused when left out. */
  readonly allowProtoKey?: boolean | undefined
}

const defaultMaxBytes = 16 * 2 ** 20

/**
 * Reads JSON to the letter of RFC 8259 and refuses what lenient readers let pass: a key given twice (also in another
 * spelling), `__proto__` as a key, bytes that are not UTF-8, half characters, numbers beyond the range of doubles,
 * anything after the value, deep nesting.
 * @throws RegraftError of class `options.code`, with line and column
 */
export function parseStrictJson(source: string | Uint8Array, options: JsonOptions): JsonValue {
  const { maxBytes = defaultMaxBytes } = options
  const size = typeof source === 'string' ? Buffer.byteLength(source) : source.byteLength
  if (size > maxBytes) {
    throw jsonError(options, `is too large: ${formatBytes(size)}, at most ${formatBytes(maxBytes)} are allowed.`)
  }
  return new Parser(decode(source, options), options).parse()
}

/** Reads a JSON file strictly; see `parseStrictJson`. */
export async function readJson(
  file: string,
  options: Omit<JsonOptions, 'file' | 'part'> & Pick<ReadOptions, 'acceptPipe'> = {},
): Promise<JsonValue> {
  const bytes = await readFileLimited(file, options.maxBytes ?? defaultMaxBytes, options)
  return parseStrictJson(bytes, { ...options, file })
}

/**
 * Writes a value as JSON, atomically: keys in the order given, two spaces, a newline at the end. As `JSON.stringify`
 * does, NaN and infinities become null.
 */
export function writeJson(file: string, value: unknown, options: WriteOptions = {}): Promise<void> {
  return writeFileAtomic(file, `${JSON.stringify(value, null, 2)}\n`, options)
}

function decode(source: string | Uint8Array, options: JsonOptions): string {
  if (typeof source === 'string') {
    const half = source.search(/\p{Surrogate}/u)
    if (half >= 0) throw jsonError(options, 'holds half a character (a lone surrogate).', source, half)
    return source
  }
  const [first, second] = source
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) {
    throw jsonError(options, 'is encoded in UTF-16, not in UTF-8.\nSave it as UTF-8 and try again.')
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(source)
  } catch {
    throw jsonError(options, 'is not encoded in UTF-8.\nSave it as UTF-8 and try again.')
  }
}

function jsonError(options: JsonOptions, problem: string, text?: string, offset?: number): RegraftError {
  const { file, part = 'JSON', code = 'usage' } = options
  const where = text === undefined || offset === undefined ? undefined : position(text, offset)
  const place = where === undefined ? '' : `, ${where}`
  return new RegraftError(code, `${inertName(file)}${place}: the ${part} ${problem}`, { file, where })
}

function position(text: string, offset: number): string {
  let line = 1
  let start = 0
  for (let at = text.indexOf('\n'); at >= 0 && at < offset; at = text.indexOf('\n', at + 1)) {
    line += 1
    start = at + 1
  }
  return `line ${line}, column ${offset - start + 1}`
}

/** An object or a list whose end has not come yet. */
type Open = { readonly list: JsonValue[] } | { readonly object: JsonObject; key: string }

/** One pass over the text, with a stack of its own instead of recursion. */
class Parser {
  private readonly text: string
  private readonly options: JsonOptions
  private at = 0

  constructor(text: string, options: JsonOptions) {
    this.text = text
    this.options = options
  }

  parse(): JsonValue {
    const { maxDepth = 64 } = this.options
    const open: Open[] = []
    this.skipSpace()
    for (;;) {
      let value = this.scalarOrContainer()
      const container = value
      if (Array.isArray(container) || (typeof container === 'object' && container !== null)) {
        if (open.length >= maxDepth) throw this.error(`is nested too deep: more than ${maxDepth} levels.`)
        const close = Array.isArray(container) ? ']' : '}'
        if (this.text[this.at] !== close) {
          open.push(Array.isArray(container) ? { list: container } : { object: container, key: this.key(container) })
          continue
        }
        this.at += 1
      }
      // The value is complete: put it where it belongs, and close whatever ends with it.
      for (;;) {
        this.skipSpace()
        const inside = open.at(-1)
        if (inside === undefined) {
          if (this.at < this.text.length) throw this.error(`has trailing data: ${this.found()} after the value.`)
          return value
        }
        const next = this.text[this.at]
        if ('list' in inside) inside.list.push(value)
        else inside.object[inside.key] = value
        if (next === ',') {
          this.at += 1
          this.skipSpace()
          if ('object' in inside) inside.key = this.key(inside.object)
          break
        }
        if (next !== ('list' in inside ? ']' : '}')) {
          throw this.error(
            `cannot be parsed: expected ',' or '${'list' in inside ? ']' : '}'}', found ${this.found()}.`,
          )
        }
        this.at += 1
        open.pop()
        value = 'list' in inside ? inside.list : inside.object
      }
    }
  }

  /** A whole scalar, or an empty list or object of which only the opening bracket is read. */
  private scalarOrContainer(): JsonValue {
    const first = this.text[this.at]
    switch (first) {
      case '{':
      case '[':
        this.at += 1
        this.skipSpace()
        // No prototype: the type is right, only the cast of Object.create is missing.
        return first === '[' ? [] : (Object.create(null) as JsonObject)
      case '"':
        return this.string()
      case 't':
        return this.word('true', true)
      case 'f':
        return this.word('false', false)
      case 'n':
        return this.word('null', null)
      default:
        return this.number()
    }
  }

  private key(object: JsonObject): string {
    const start = this.at
    if (this.text[start] !== '"') throw this.error(`cannot be parsed: expected a key in quotes, found ${this.found()}.`)
    const key = this.string()
    if (key === '__proto__' && !this.options.allowProtoKey)
      throw this.error('has the key __proto__, which is not allowed.', start)
    if (Object.hasOwn(object, key))
      throw this.error(`has a duplicate key: '${inertName(key, 100)}' is given twice.`, start)
    this.skipSpace()
    if (this.text[this.at] !== ':') throw this.error(`cannot be parsed: expected ':', found ${this.found()}.`)
    this.at += 1
    this.skipSpace()
    return key
  }

  private string(): string {
    const start = this.at
    let result = ''
    let from = start + 1
    for (let i = from; ; i++) {
      const code = this.text.charCodeAt(i)
      if (code === 0x22) {
        this.at = i + 1
        result += this.text.slice(from, i)
        break
      }
      if (code === 0x5c) {
        result += this.text.slice(from, i)
        const { character, length } = this.escape(i)
        result += character
        i += length - 1
        from = i + 1
      } else if (Number.isNaN(code)) {
        throw this.error('cannot be parsed: it ends inside a text in quotes.', start)
      } else if (code < 0x20) {
        throw this.error('cannot be parsed: a control character or line end inside quotes.', i)
      }
    }
    if (/\p{Surrogate}/u.test(result)) {
      throw this.error('holds half a Unicode character (a lone surrogate) in a text.', start)
    }
    return result
  }

  private escape(at: number): { character: string; length: number } {
    const letter = this.text[at + 1] ?? ''
    if (letter === 'u') {
      const digits = this.text.slice(at + 2, at + 6)
      if (!/^[0-9a-fA-F]{4}$/.test(digits)) throw this.error('cannot be parsed: \\u needs four hexadecimal digits.', at)
      return { character: String.fromCharCode(Number.parseInt(digits, 16)), length: 6 }
    }
    const character = escapes.get(letter)
    if (character === undefined) throw this.error(`cannot be parsed: unknown escape '\\${inertName(letter)}'.`, at)
    return { character, length: 2 }
  }

  private number(): number {
    numberPattern.lastIndex = this.at
    const written = numberPattern.exec(this.text)?.[0]
    if (written === undefined) throw this.error(`cannot be parsed: expected a value, found ${this.found()}.`)
    const value = Number(written)
    if (!Number.isFinite(value)) throw this.error(`has a number out of range: ${inertName(written, 40)} is not finite.`)
    this.at += written.length
    return value
  }

  private word<T>(word: string, value: T): T {
    if (!this.text.startsWith(word, this.at))
      throw this.error(`cannot be parsed: expected a value, found ${this.found()}.`)
    this.at += word.length
    return value
  }

  private skipSpace(): void {
    for (;;) {
      const code = this.text.charCodeAt(this.at)
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return
      this.at += 1
    }
  }

  private found(): string {
    const word = /^[\w.+-]+|^./su.exec(this.text.slice(this.at, this.at + 30))?.[0]
    if (word === undefined) return 'the end'
    if (word === '\ufeff') return 'a byte-order mark'
    if (word === '/' || word === '#') return `'${word}' (JSON has no comments)`
    return `'${inertName(word)}'`
  }

  private error(problem: string, offset = this.at): RegraftError {
    return jsonError(this.options, problem, this.text, offset)
  }
}

const numberPattern = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y

const escapes: ReadonlyMap<string, string> = new Map([
  ['"', '"'],
  ['\\', '\\'],
  ['/', '/'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
])
