// Feature vectors as NumPy's `.npy`, version 1.0: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
import { RegraftError } from '../errors.ts'
import { readRange, withOpenFile } from '../files/read-file.ts'
import { formatBytes } from '../format-bytes.ts'
import { inertName } from '../inert-text.ts'
import { formatShape } from '../tensor/shape.ts'
import { npyMagic, parseNpyHeader, parseNpyPreamble } from './npy-header.ts'
import { type PushedFile, pushFile } from './push-file.ts'

/** Shape of a table of vectors: one row per picture, one column per feature. */
export interface NpyShape {
  readonly rows: number
  readonly columns: number
}

/** A `.npy` file in the making. Until `finish` its name leads to nothing, or to the former file. */
export interface NpyWriter {
  /** One row, or several one after the other; they may be reused once the promise is fulfilled. */
  append(rows: Float32Array): Promise<void>
  /** @throws when other than the announced number of rows was appended: that is a mistake of the caller */
  finish(): Promise<void>
  /** Leaves no trace. Fine after a failure and after `finish`. */
  abandon(): Promise<void>
}

const littleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1

/**
 * Begins a matrix [rows, columns] of f32. The number of rows is known beforehand, because every input has its row:
 * so the header is right from the start, and a full disk is reported with what is needed.
 */
export function npyWriter(file: string, shape: NpyShape): NpyWriter {
  const header = npyHeader(shape)
  const target: PushedFile = pushFile(file, header.byteLength + shape.rows * shape.columns * 4)
  let appended = 0
  let headerWritten = false
  async function writeHeader(): Promise<void> {
    if (headerWritten) return
    headerWritten = true
    await target.push(header)
  }
  return {
    async append(rows) {
      if (shape.columns === 0 || rows.length % shape.columns !== 0) {
        throw new Error(`${rows.length} values are no whole number of rows of ${shape.columns}`)
      }
      appended += rows.length / shape.columns
      if (appended > shape.rows) throw new Error(`more than the announced ${shape.rows} rows`)
      await writeHeader()
      await target.push(toLittleEndian(rows))
    },
    async finish() {
      if (appended !== shape.rows) {
        await target.abandon()
        throw new Error(`${appended} rows were appended, ${shape.rows} announced`)
      }
      await writeHeader()
      await target.finish()
    },
    abandon: () => target.abandon(),
  }
}

/** What `readNpy` gives. */
export interface NpyMatrix extends NpyShape {
  /** f32[rows, columns] */
  readonly values: Float32Array
}

/**
 * Reads a matrix of little-endian f32 in C order, which is what `npyWriter` writes; everything else is refused by name.
 * @throws RegraftError `data`
 */
export function readNpy(file: string, maxBytes = 2 ** 32): Promise<NpyMatrix> {
  return withOpenFile(file, { code: 'data' }, async (handle, facts) => {
    const refuse = (problem: string) => new RegraftError('data', `${inertName(file)}: ${problem}`, { file })
    if (facts.sizeBytes > maxBytes) {
      throw refuse(
        `the file is too large: ${formatBytes(facts.sizeBytes)}, at most ${formatBytes(maxBytes)} are allowed.`,
      )
    }
    const preamble = parseNpyPreamble(await readRange(handle, 0, 12), refuse)
    const text = await readRange(handle, preamble.textOffset, preamble.textBytes)
    if (text.length < preamble.textBytes) throw refuse('the file is truncated: it ends inside its header.')
    const { dtype, bigEndian, fortranOrder, shape } = parseNpyHeader(text, preamble.encoding, refuse)
    if (dtype !== 'F32' || bigEndian) {
      throw refuse(`its values are of type ${dtype}${bigEndian ? ', big-endian' : ''}, expected '<f4' (float32).`)
    }
    if (fortranOrder) throw refuse('it is stored in Fortran order, expected C order.')
    const [rows, columns] = shape
    if (rows === undefined || columns === undefined || shape.length !== 2) {
      throw refuse(`its shape is ${formatShape(shape)}, expected two sizes (rows, columns).`)
    }
    const bytes = rows * columns * 4
    const dataOffset = preamble.textOffset + preamble.textBytes
    if (facts.sizeBytes !== dataOffset + bytes) {
      throw refuse(
        `the header announces [${rows}, ${columns}], which is ${bytes} bytes of values, but ${facts.sizeBytes - dataOffset} follow.\nThe file is damaged or was cut off; write it again.`,
      )
    }
    const data = await readRange(handle, dataOffset, bytes)
    if (data.length < bytes) throw refuse('the file became shorter while it was read.')
    return { rows, columns, values: fromLittleEndian(data) }
  })
}

/** Magic, version, length and the dictionary, padded so that the values start at a multiple of 64 bytes. */
function npyHeader({ rows, columns }: NpyShape): Uint8Array {
  const dictionary = `{'descr': '<f4', 'fortran_order': False, 'shape': (${rows}, ${columns}), }`
  const total = Math.ceil((10 + dictionary.length + 1) / 64) * 64
  const text = `${dictionary.padEnd(total - 11)}\n`
  return Uint8Array.from([...npyMagic, 1, 0, text.length & 255, text.length >> 8, ...Buffer.from(text, 'latin1')])
}

function toLittleEndian(values: Float32Array): Uint8Array {
  // A copy in any case: the caller may reuse its memory while the disk still writes.
  const bytes = new Uint8Array(values.byteLength)
  bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
  if (!littleEndian) Buffer.from(bytes.buffer).swap32()
  return bytes
}

function fromLittleEndian(bytes: Uint8Array): Float32Array {
  if (!littleEndian) Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).swap32()
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4)
}
