// NumPy's arrays: `.npy`, one of them, and `.npz`, a zip archive of them.
import * as path from 'node:path'
import { readRange, withOpenFile } from '../files/read-file.ts'
import type { Checkpoint } from '../tensor/checkpoint.ts'
import { bytesPerElement } from '../tensor/dtype.ts'
import { elementCount, formatShape } from '../tensor/shape.ts'
import { type NpyHeader, parseNpyHeader, parseNpyPreamble } from '../vectors/npy-header.ts'
import { type KnownFile, readKnown, withSameFile } from './same-file.ts'
import { checkpointOf, type StoredTensor, tensorError, weightsError } from './stored-tensors.ts'
import { copyStrided, rowMajorStrides } from './strided.ts'
import { readZipDirectory, readZipEntry, readZipEntryStart, type ZipEntry } from './zip.ts'

/** Header and values of an array, wherever it lies. */
interface Source {
  readonly sizeBytes: number
  /** The first bytes, fewer where the array ends. */
  start(length: number): Promise<Uint8Array>
  /** All bytes from an offset on. */
  from(offset: number): Promise<Uint8Array>
}

/**
 * Opens a `.npy` file as a checkpoint of one tensor that is named after the file. Big-endian and Fortran order are
 * turned round when the values are read; arrays of objects are refused, since they are pickles.
 * @throws RegraftError `weights`
 */
export function openNpy(file: string): Promise<Checkpoint> {
  return withOpenFile(file, { code: 'weights' }, async (handle, facts) => {
    const known: KnownFile = { path: file, facts }
    const source: Source = {
      sizeBytes: facts.sizeBytes,
      start: (length) => readRange(handle, 0, length),
      from: (offset) => withSameFile(known, (again) => readKnown(again, known, offset, facts.sizeBytes - offset)),
    }
    const name = path.basename(file).replace(/\.npy$/i, '')
    return checkpointOf(file, [await readArray(name, source, (problem) => weightsError(file, problem))])
  })
}

/**
 * Opens the `.npz` archive whose directory is given: its members by their names without `.npy`.
 * @throws RegraftError `weights`
 */
export function openNpz(file: string): Promise<Checkpoint> {
  return withOpenFile(file, { code: 'weights' }, async (handle, facts) => {
    const known: KnownFile = { path: file, facts }
    const tensors: StoredTensor[] = []
    for (const entry of (await readZipDirectory(handle, known)).values()) {
      const name = entry.name.replace(/\.npy$/, '')
      if (name === entry.name) {
        throw tensorError(file, name, 'this member of the archive is no array (its name does not end with .npy).')
      }
      const source: Source = {
        sizeBytes: entry.sizeBytes,
        start: (length) => readZipEntryStart(handle, known, entry, length),
        from: (offset) => readMember(known, entry, offset),
      }
      tensors.push(await readArray(name, source, (problem) => tensorError(file, name, problem)))
    }
    return checkpointOf(file, tensors)
  })
}

/** Whether these names are those of an `.npz` archive. */
export function looksLikeNpz(entries: Iterable<string>): boolean {
  return [...entries].some((name) => name.endsWith('.npy'))
}

async function readMember(file: KnownFile, entry: ZipEntry, offset: number): Promise<Uint8Array> {
  const whole = await withSameFile(file, (handle) => readZipEntry(handle, file, entry))
  return whole.subarray(offset)
}

async function readArray(name: string, source: Source, fail: (problem: string) => Error): Promise<StoredTensor> {
  const preamble = parseNpyPreamble(await source.start(12), fail)
  const dataOffset = preamble.textOffset + preamble.textBytes
  const text = (await source.start(dataOffset)).subarray(preamble.textOffset)
  if (text.length < preamble.textBytes) throw fail('the file is truncated: it ends inside its header.')
  const header = parseNpyHeader(text, preamble.encoding, fail)
  const needed = elementCount(header.shape) * bytesPerElement(header.dtype)
  const found = source.sizeBytes - dataOffset
  if (found !== needed) {
    const what = found < needed ? 'the file is truncated' : 'there is trailing data'
    throw fail(
      `${what}: the shape ${formatShape(header.shape)} of ${header.dtype} needs ${needed} bytes, ${found} follow the header.`,
    )
  }
  const { dtype, shape } = header
  return { name, dtype, shape, readBytes: async () => rowMajor(await source.from(dataOffset), header) }
}

/** The values as we keep them: little-endian, last axis fastest. */
async function rowMajor(bytes: Uint8Array, { dtype, shape, bigEndian, fortranOrder }: NpyHeader): Promise<Uint8Array> {
  const size = bytesPerElement(dtype)
  if (bigEndian && size > 1) {
    const swapped = Buffer.from(bytes)
    if (size === 2) swapped.swap16()
    else if (size === 4) swapped.swap32()
    else swapped.swap64()
    bytes = swapped
  }
  if (!fortranOrder || shape.length < 2) return bytes
  const strides = rowMajorStrides([...shape].reverse()).reverse()
  return copyStrided(bytes, size, { offset: 0, shape, strides })
}
