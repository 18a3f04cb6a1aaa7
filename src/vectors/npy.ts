// Feature vectors as NumPy's `.npy`, version 1.0: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
import { RegraftError } from '../errors.ts'
import { readRange, withOpenFile } from '../files/read-file.ts'
import { formatBytes } from '../format-bytes.ts'
import { inertName } from '../inert-text.ts'
import { float16ToFloat32 } from '../tensor/dtype.ts'
import { formatShape } from '../tensor/shape.ts'
import { npyMagic, parseNpyHeader, parseNpyPreamble } from './npy-header.ts'
import type { VectorType } from './vector-table.ts'

/** Shape of a table of vectors: one row per picture, one column per feature. */
export interface NpyShape {
  readonly rows: number
  readonly columns: number
}

/** What `readNpy` gives. */
export interface NpyMatrix extends NpyShape {
  /** f32[rows, columns] */
  readonly values: Float32Array
}

/** A matrix whose rows are read when they are wanted. */
export interface OpenNpy extends NpyShape {
  readonly type: VectorType
  /** @returns f32[count, columns] */
  readRows(first: number, count: number): Promise<Float32Array>
}

const littleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1

/**
 * Reads a matrix as `openNpy` takes it.
 * @throws RegraftError `data`
 */
export async function readNpy(file: string, maxBytes = 2 ** 32): Promise<NpyMatrix> {
  const { rows, columns, readRows } = await openNpy(file)
  const bytes = rows * columns * 4
  if (bytes > maxBytes) {
    throw new RegraftError(
      'data',
      `${inertName(file)}: the file is too large: ${formatBytes(bytes)}, at most ${formatBytes(maxBytes)} are allowed.`,
      { file },
    )
  }
  return { rows, columns, values: await readRows(0, rows) }
}

/**
 * Opens a matrix of little-endian f32 or f16 in C order, which is what is written here; everything else is refused by name.
 * @throws RegraftError `data`
 */
export async function openNpy(file: string): Promise<OpenNpy> {
  const { rows, columns, type, dataOffset } = await withOpenFile(file, { code: 'data' }, async (handle, facts) => {
    const refuse = (problem: string) => new RegraftError('data', `${inertName(file)}: ${problem}`, { file })
    const preamble = parseNpyPreamble(await readRange(handle, 0, 12), refuse)
    const text = await readRange(handle, preamble.textOffset, preamble.textBytes)
    if (text.length < preamble.textBytes) throw refuse('the file is truncated: it ends inside its header.')
    const { dtype, bigEndian, fortranOrder, shape } = parseNpyHeader(text, preamble.encoding, refuse)
    if ((dtype !== 'F32' && dtype !== 'F16') || bigEndian) {
      throw refuse(
        `its values are of type ${dtype}${bigEndian ? ', big-endian' : ''}, expected '<f4' (float32) or '<f2' (float16).`,
      )
    }
    if (fortranOrder) throw refuse('it is stored in Fortran order, expected C order.')
    const [rows, columns] = shape
    if (rows === undefined || columns === undefined || shape.length !== 2) {
      throw refuse(`its shape is ${formatShape(shape)}, expected two sizes (rows, columns).`)
    }
    const type: VectorType = dtype === 'F16' ? 'float16' : 'float32'
    const bytes = rows * columns * bytesOf(type)
    const dataOffset = preamble.textOffset + preamble.textBytes
    if (facts.sizeBytes !== dataOffset + bytes) {
      throw refuse(
        `the header announces [${rows}, ${columns}], which is ${bytes} bytes of values, but ${facts.sizeBytes - dataOffset} follow.\nThe file is damaged or was cut off; write it again.`,
      )
    }
    return { rows, columns, type, dataOffset }
  })
  return {
    rows,
    columns,
    type,
    async readRows(first, count) {
      const rowBytes = columns * bytesOf(type)
      const bytes = await withOpenFile(file, { code: 'data' }, (handle) =>
        readRange(handle, dataOffset + first * rowBytes, count * rowBytes),
      )
      if (bytes.length < count * rowBytes) {
        throw new RegraftError('data', `${inertName(file)}: the file became shorter while it was read.`, { file })
      }
      return decoded(bytes, type)
    },
  }
}

/** Magic, version, length and the dictionary, padded so that the values start at a multiple of 64 bytes. */
export function npyHeader({ rows, columns }: NpyShape, type: VectorType): Uint8Array {
  const descr = type === 'float16' ? '<f2' : '<f4'
  const dictionary = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${rows}, ${columns}), }`
  const total = Math.ceil((10 + dictionary.length + 1) / 64) * 64
  const text = `${dictionary.padEnd(total - 11)}\n`
  return Uint8Array.from([...npyMagic, 1, 0, text.length & 255, text.length >> 8, ...Buffer.from(text, 'latin1')])
}

function bytesOf(type: VectorType): number {
  return type === 'float16' ? 2 : 4
}

function decoded(bytes: Uint8Array, type: VectorType): Float32Array {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (!littleEndian) type === 'float16' ? buffer.swap16() : buffer.swap32()
  if (type === 'float16') return float16ToFloat32(new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2))
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4)
}
