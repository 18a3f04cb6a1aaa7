import { createHash } from 'node:crypto'
import { RegraftError } from '../errors.ts'
import { inertName } from '../inert-text.ts'
import type { VectorBlock, VectorRow } from './vector-table.ts'

// magic, rows, columns of all arrays together, bytes of the index; the index; values as the machine's f32, array after array; SHA-256.
// It is read by the machine that wrote it.
const magic = Buffer.from('RGFTCHK1', 'latin1')
const headerBytes = magic.length + 3 * 4
const digestBytes = 32

/** A block of vectors as the bytes of a file that proves itself whole. */
export function encodeChunk({ rows, values }: VectorBlock): Uint8Array {
  const index = Buffer.concat(rows.flatMap(({ path, label, error }) => [field(path), field(label), field(error)]))
  const floats = values.reduce((sum, array) => sum + array.length, 0)
  const bytes = Buffer.alloc(headerBytes + index.length + floats * 4 + digestBytes)
  bytes.set(magic, 0)
  bytes.writeUInt32LE(rows.length, 8)
  bytes.writeUInt32LE(rows.length === 0 ? 0 : floats / rows.length, 12)
  bytes.writeUInt32LE(index.length, 16)
  bytes.set(index, headerBytes)
  let at = headerBytes + index.length
  for (const array of values) {
    bytes.set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength), at)
    at += array.byteLength
  }
  bytes.set(createHash('sha256').update(bytes.subarray(0, at)).digest(), at)
  return bytes
}

/**
 * Reads a chunk; undefined when it is cut short or damaged, as after a crash.
 * @param columns  of each array
 */
export function decodeChunk(bytes: Uint8Array, columns: readonly number[]): VectorBlock | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const end = buffer.length - digestBytes
  if (end < headerBytes || !buffer.subarray(0, magic.length).equals(magic)) return undefined
  if (!createHash('sha256').update(buffer.subarray(0, end)).digest().equals(buffer.subarray(end))) return undefined
  const count = buffer.readUInt32LE(8)
  const total = columns.reduce((sum, each) => sum + each, 0)
  const indexEnd = headerBytes + buffer.readUInt32LE(16)
  if (count > 0 && buffer.readUInt32LE(12) !== total) return undefined
  if (indexEnd + count * total * 4 !== end) return undefined
  let at = headerBytes
  const text = (): string | null => {
    const length = buffer.readInt32LE(at)
    at += 4
    if (length < 0) return null
    at += length
    return buffer.toString('utf16le', at - length, at)
  }
  const rows: VectorRow[] = []
  for (let row = 0; row < count; row++) rows.push({ path: text() ?? '', label: text(), error: text() })
  const values = columns.map((each) => {
    const array = new Float32Array(count * each)
    new Uint8Array(array.buffer).set(buffer.subarray(at, at + array.byteLength))
    at += array.byteLength
    return array
  })
  return { rows, values }
}

/** Length and text, as UTF-16: names need not be valid text. */
function field(text: string | null): Buffer {
  const length = Buffer.alloc(4)
  if (text === null) {
    length.writeInt32LE(-1, 0)
    return length
  }
  const bytes = Buffer.from(text, 'utf16le')
  length.writeInt32LE(bytes.length, 0)
  return Buffer.concat([length, bytes])
}

/** A chunk that was whole and is no longer. */
export function damagedChunk(file: string): RegraftError {
  return new RegraftError(
    'data',
    `${inertName(file)} is damaged. Remove it and go on with --resume: what is missing is computed anew.`,
    {
      file,
    },
  )
}
