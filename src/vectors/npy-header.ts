// The header of NumPy's `.npy`: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
import { inertName } from '../inert-text.ts'
import type { DType } from '../tensor/dtype.ts'
import { checkedElementCount, type Shape } from '../tensor/shape.ts'

export interface NpyHeader {
  readonly dtype: DType
  readonly shape: Shape
  /** First axis fastest, as Fortran has it. */
  readonly fortranOrder: boolean
  readonly bigEndian: boolean
}

/** Where the text of the header lies in the file; the values follow it. */
export interface NpyPreamble {
  readonly textOffset: number
  readonly textBytes: number
  readonly encoding: 'latin1' | 'utf-8'
}

/** What every `.npy` file begins with. */
export const npyMagic: readonly number[] = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59]

// NumPy itself stops at 64 dimensions.
const maxRank = 64

/** Padding makes long headers, never this long. */
const maxTextBytes = 2 ** 20

const types: ReadonlyMap<string, DType> = new Map<string, DType>([
  ['f8', 'F64'],
  ['f4', 'F32'],
  ['f2', 'F16'],
  ['i8', 'I64'],
  ['i4', 'I32'],
  ['i2', 'I16'],
  ['i1', 'I8'],
  ['u8', 'U64'],
  ['u4', 'U32'],
  ['u2', 'U16'],
  ['u1', 'U8'],
  ['b1', 'BOOL'],
])

/** @param refuse  words the error of a problem: "its header …" */
type Refuse = (problem: string) => Error

/** Reads magic, version and length. @param start  the first 12 bytes of the file, or all of it */
export function parseNpyPreamble(start: Uint8Array, refuse: Refuse): NpyPreamble {
  if (npyMagic.some((byte, at) => start[at] !== byte)) {
    throw refuse('this is not a NumPy file (.npy): it does not begin with the magic bytes.')
  }
  const [major = 0, minor = 0] = start.subarray(6, 8)
  if (major < 1 || major > 3 || minor !== 0) {
    throw refuse(`version ${major}.${minor} of the .npy format is not read, only 1.0, 2.0 and 3.0.`)
  }
  const textOffset = major === 1 ? 10 : 12
  if (start.length < textOffset) throw refuse('the file is truncated: it ends inside its header.')
  const view = new DataView(start.buffer, start.byteOffset, start.byteLength)
  const textBytes = major === 1 ? view.getUint16(8, true) : view.getUint32(8, true)
  if (textBytes > maxTextBytes) throw refuse(`its header would be ${textBytes} bytes, too large.`)
  return { textOffset, textBytes, encoding: major === 3 ? 'utf-8' : 'latin1' }
}

/**
 * Reads the dictionary of the header as the literal that it is, and nothing else of Python: exactly the keys `descr`,
 * `fortran_order` and `shape`.
 */
export function parseNpyHeader(bytes: Uint8Array, encoding: NpyPreamble['encoding'], refuse: Refuse): NpyHeader {
  let text: string
  try {
    text = new TextDecoder(encoding, { fatal: true }).decode(bytes)
  } catch {
    throw refuse('its header is not encoded in UTF-8.')
  }
  const found = entriesOf(text, refuse)
  const unknown = [...found.keys()].find((key) => !['descr', 'fortran_order', 'shape'].includes(key))
  if (unknown !== undefined) throw refuse(`its header has the unknown key '${inertName(unknown, 50)}'.`)
  const fortran = found.get('fortran_order')
  if (fortran !== 'True' && fortran !== 'False') throw refuse('fortran_order in its header is neither True nor False.')
  return {
    ...typeOf(found.get('descr'), refuse),
    shape: shapeOf(found.get('shape'), refuse),
    fortranOrder: fortran === 'True',
  }
}

// A key, a colon and a value: a text without escapes, a word, a list, or a tuple without other tuples in it.
const entry =
  /\s*(?:'([^'\\]*)'|"([^"\\]*)")\s*:\s*('[^'\\]*'|"[^"\\]*"|[A-Za-z0-9_.+-]+|\([^()]*\)|\[[^[\]]*\])\s*(,|$)\s*/y

function entriesOf(text: string, refuse: Refuse): ReadonlyMap<string, string> {
  const trimmed = text.trim()
  if (!trimmed.startsWith('{') || !trimmed.endsWith('}')) throw refuse('its header is not a dictionary.')
  const body = trimmed.slice(1, -1).trim()
  const found = new Map<string, string>()
  entry.lastIndex = 0
  while (entry.lastIndex < body.length) {
    const at = entry.lastIndex
    const [, single, double, value] = entry.exec(body) ?? []
    const key = single ?? double
    if (key === undefined || value === undefined) {
      throw refuse(
        `its header cannot be parsed at '${inertName(body.slice(at, at + 20))}'; a dictionary of literals is expected.`,
      )
    }
    if (found.has(key)) throw refuse(`its header has '${inertName(key, 50)}' twice (a duplicate key).`)
    found.set(key, value)
  }
  return found
}

function typeOf(descr: string | undefined, refuse: Refuse): Pick<NpyHeader, 'dtype' | 'bigEndian'> {
  const [, order, name = ''] = /^['"]([<>|=]?)([a-zA-Z]\d+)['"]$/.exec(descr ?? '') ?? []
  const dtype = types.get(name)
  if (dtype !== undefined && (order !== '|' || name.endsWith('1'))) return { dtype, bigEndian: order === '>' }
  const object = /^['"]\|?O/.test(descr ?? '') ? ' Objects are stored as a pickle, which is never read.' : ''
  throw refuse(
    `the type (descr) in its header is ${inertName(descr ?? 'missing', 50)}, which is not supported.${object}`,
  )
}

function shapeOf(written: string | undefined, refuse: Refuse): Shape {
  const wrong = (problem: string) =>
    refuse(`the shape in its header is ${inertName(written ?? 'missing', 60)}: ${problem}`)
  const inside = /^\(([^()]*)\)$/.exec(written ?? '')?.[1]
  if (inside === undefined) throw wrong('a tuple is expected.')
  const parts = inside.split(',').map((part) => part.trim())
  // (3,) is a tuple, (3) is a number; () is a tuple of nothing.
  if (parts.length === 1 && parts[0] !== '') throw wrong('a tuple of one size needs a comma.')
  if (parts.at(-1) === '') parts.pop()
  if (parts.some((part) => !/^\d+$/.test(part))) throw wrong('its sizes must be integers of 0 and above.')
  if (parts.length > maxRank) throw wrong(`${parts.length} dimensions, at most ${maxRank} are allowed.`)
  const shape = parts.map(Number)
  const elements = checkedElementCount(shape)
  if (elements === undefined || elements > Number.MAX_SAFE_INTEGER / 8) throw wrong('it is impossibly large.')
  return shape
}
