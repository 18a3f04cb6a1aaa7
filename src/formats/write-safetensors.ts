import { type WriteOptions, writeFileAtomic } from '../files/atomic-write.ts'
import { compareCodePoints } from '../files/folder.ts'
import { bytesPerElement, type DType, float32ToFloat16 } from '../tensor/dtype.ts'
import { elementCount, formatShape, type Shape } from '../tensor/shape.ts'

/** A tensor for a file. */
export interface TensorToWrite {
  readonly name: string
  readonly dtype: DType
  readonly shape: Shape
  /**
   * As many elements as the shape says, in the machine's (little-endian) bytes: a `Float32Array` for F32, a
   * `BigInt64Array` for I64, a `Uint16Array` of bits or a `Float32Array` to be rounded for F16 …
   */
  readonly data: ArrayBufferView
}

/**
 * Writes a safetensors file atomically. The same tensors and metadata give the same bytes, in whatever order they
 * come: wide types first, then by name, as the reference writer does, so that all data are aligned.
 * @throws RegraftError of the disk (see `writeFileAtomic`); other errors for tensors that do not fit their shape
 */
export async function writeSafetensors(
  file: string,
  tensors: Iterable<TensorToWrite>,
  metadata: ReadonlyMap<string, string> | Readonly<Record<string, string>> = {},
  options: Omit<WriteOptions, 'expectedBytes'> = {},
): Promise<void> {
  const sorted = [...tensors].sort(
    (a, b) => bytesPerElement(b.dtype) - bytesPerElement(a.dtype) || compareCodePoints(a.name, b.name),
  )
  const contents = sorted.map(bytesOf)
  const header = headerOf(sorted, contents, metadata)
  const expectedBytes = contents.reduce((sum, bytes) => sum + bytes.byteLength, header.byteLength)
  await writeFileAtomic(file, [header, ...contents], { ...options, expectedBytes })
}

function bytesOf({ name, dtype, shape, data }: TensorToWrite): Uint8Array {
  const elements = dtype === 'F16' && data instanceof Float32Array ? float32ToFloat16(data) : data
  const needed = elementCount(shape) * bytesPerElement(dtype)
  if (elements.byteLength !== needed) {
    const given = `${elements.byteLength} bytes, but ${dtype} of shape ${formatShape(shape)} has ${needed}`
    throw new RangeError(`The tensor '${name}' has ${given}.`)
  }
  return new Uint8Array(elements.buffer, elements.byteOffset, elements.byteLength)
}

/** Length and JSON, padded with spaces so that the data begin at a multiple of 8. */
function headerOf(
  tensors: readonly TensorToWrite[],
  contents: readonly Uint8Array[],
  metadata: ReadonlyMap<string, string> | Readonly<Record<string, string>>,
): Uint8Array {
  // The object is written by hand: a JavaScript object would reorder names that look like numbers.
  const fields: string[] = []
  const pairs = [...(metadata instanceof Map ? metadata : Object.entries(metadata))]
  pairs.sort(([a], [b]) => compareCodePoints(a, b))
  if (pairs.length > 0) {
    fields.push(`"__metadata__":{${pairs.map(([key, value]) => `${quoted(key)}:${quoted(value)}`).join(',')}}`)
  }
  const seen = new Set(['__metadata__'])
  let offset = 0
  for (const [i, { name, dtype, shape }] of tensors.entries()) {
    if (seen.has(name)) throw new Error(`A tensor cannot be named '${name}': the name is taken.`)
    seen.add(name)
    const end = offset + (contents[i]?.byteLength ?? 0)
    fields.push(`${quoted(name)}:{"dtype":"${dtype}","shape":[${shape.join(',')}],"data_offsets":[${offset},${end}]}`)
    offset = end
  }
  const json = new TextEncoder().encode(`{${fields.join(',')}}`)
  const padded = Math.ceil(json.length / 8) * 8
  const header = new Uint8Array(8 + padded).fill(0x20)
  new DataView(header.buffer).setBigUint64(0, BigInt(padded), true)
  header.set(json, 8)
  return header
}

function quoted(text: string): string {
  if (/\p{Surrogate}/u.test(text)) throw new Error('A name in a safetensors file holds half a character.')
  return JSON.stringify(text)
}
