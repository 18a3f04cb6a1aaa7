import { float32ToFloat16 } from '../tensor/dtype.ts'
import { npyHeader } from './npy.ts'
import { type ZipMember, zipPieces } from './npz.ts'
import type { VectorTable, VectorType } from './vector-table.ts'

const littleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1

/** Bytes of one array of a table, without any header. */
export async function* arrayPieces(
  table: VectorTable,
  array: number,
  type: VectorType,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const { values } of table.blocks()) yield elementBytes(values[array] ?? new Float32Array(), type)
}

/** How many bytes that are. */
export function arrayBytes(table: VectorTable, array: number, type: VectorType): number {
  return table.rows * (table.arrays[array]?.columns ?? 0) * (type === 'float16' ? 2 : 4)
}

/** One array as `.npy`. */
export async function* npyPieces(
  table: VectorTable,
  array: number,
  type: VectorType,
): AsyncGenerator<Uint8Array, void, undefined> {
  yield npyHeader({ rows: table.rows, columns: table.arrays[array]?.columns ?? 0 }, type)
  yield* arrayPieces(table, array, type)
}

/** Names of arrays as parts of names of files, no two alike. */
export function fileStems(arrays: readonly { readonly name: string }[]): string[] {
  const taken = new Set<string>()
  return arrays.map(({ name }) => {
    const plain = name.replace(/[^\w.-]/g, '_')
    let stem = plain
    for (let number = 2; taken.has(stem.toLowerCase()); number++) stem = `${plain}-${number}`
    taken.add(stem.toLowerCase())
    return stem
  })
}

/** All arrays as `.npz`; a single one is called X. */
export function npzPieces(table: VectorTable, type: VectorType): AsyncIterable<Uint8Array> {
  const stems = fileStems(table.arrays)
  const members = table.arrays.map(({ columns }, array): ZipMember => {
    const header = npyHeader({ rows: table.rows, columns }, type).length
    return {
      name: `${table.arrays.length === 1 ? 'X' : stems[array]}.npy`,
      sizeBytes: header + arrayBytes(table, array, type),
      pieces: () => npyPieces(table, array, type),
    }
  })
  return zipPieces(members)
}

/** All arrays as safetensors; a single one is called X. */
export async function* safetensorsPieces(
  table: VectorTable,
  type: VectorType,
): AsyncGenerator<Uint8Array, void, undefined> {
  const fields: string[] = []
  let offset = 0
  for (const [array, { name, columns }] of table.arrays.entries()) {
    const end = offset + arrayBytes(table, array, type)
    const key = JSON.stringify(table.arrays.length === 1 ? 'X' : name)
    const dtype = type === 'float16' ? 'F16' : 'F32'
    fields.push(`${key}:{"dtype":"${dtype}","shape":[${table.rows},${columns}],"data_offsets":[${offset},${end}]}`)
    offset = end
  }
  const json = new TextEncoder().encode(`{${fields.join(',')}}`)
  // Padded with spaces, so that the data begin at a multiple of 8.
  const header = Buffer.alloc(8 + Math.ceil(json.length / 8) * 8, 0x20)
  header.writeBigUInt64LE(BigInt(header.length - 8), 0)
  header.set(json, 8)
  yield header
  for (const array of table.arrays.keys()) yield* arrayPieces(table, array, type)
}

function elementBytes(values: Float32Array, type: VectorType): Uint8Array {
  const elements = type === 'float16' ? float32ToFloat16(values) : values
  const bytes = new Uint8Array(elements.buffer, elements.byteOffset, elements.byteLength)
  if (littleEndian) return bytes
  const turned = Buffer.from(bytes)
  return type === 'float16' ? turned.swap16() : turned.swap32()
}
