import * as path from 'node:path'
import { RegraftError } from '../errors.ts'
import { writeFileAtomic } from '../files/atomic-write.ts'
import { arrayBytes, fileStems, npyPieces, npzPieces, safetensorsPieces } from './binary-table.ts'
import { parquetTable } from './parquet.ts'
import { indexPieces, textPieces } from './text-table.ts'
import type { VectorTable, VectorType } from './vector-table.ts'

/** Forms in which vectors are written; all but npy have one file for all arrays. */
export const vectorFormats = ['npy', 'npz', 'csv', 'jsonl', 'parquet', 'safetensors'] as const
export type VectorFormat = (typeof vectorFormats)[number]

const halfFormats: ReadonlySet<VectorFormat> = new Set(['npy', 'npz', 'safetensors'])

/** @throws RegraftError 'usage' for half precision in a form that has none */
export function checkType(format: VectorFormat, type: VectorType): void {
  if (type === 'float32' || halfFormats.has(format)) return
  throw new RegraftError('usage', `float16 goes with --format ${[...halfFormats].join(', ')}, not with ${format}.`)
}

/** Names of the files of vectors, beside `index.csv`. */
export function vectorFiles(format: VectorFormat, arrays: readonly { readonly name: string }[]): string[] {
  if (format !== 'npy') return [`X.${format}`]
  if (arrays.length === 1) return ['X.npy']
  return fileStems(arrays).map((stem) => `X.${stem}.npy`)
}

/**
 * Writes a table of vectors to a folder: the vectors as `format` has them, and `index.csv` with row, path, label and error. However
 * many rows there are, the memory it takes is that of a few blocks.
 */
export async function writeTable(
  folder: string,
  table: VectorTable,
  {
    format,
    type,
    signal,
  }: { readonly format: VectorFormat; readonly type: VectorType; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  checkType(format, type)
  const names = vectorFiles(format, table.arrays)
  const write = (name: string, pieces: AsyncIterable<Uint8Array>, expectedBytes?: number) =>
    writeFileAtomic(path.join(folder, name), pieces, {
      signal,
      ...(expectedBytes === undefined ? {} : { expectedBytes }),
    })
  const allBytes = table.arrays.reduce((sum, _, array) => sum + arrayBytes(table, array, type), 0)
  if (format === 'npy') {
    for (const [array, name] of names.entries()) {
      await write(name, npyPieces(table, array, type), arrayBytes(table, array, type) + 128)
    }
  } else {
    const name = names[0] ?? ''
    if (format === 'npz') await write(name, npzPieces(table, type), allBytes + 1024)
    else if (format === 'safetensors') await write(name, safetensorsPieces(table, type), allBytes + 1024)
    else if (format === 'parquet') await write(name, parquetTable(table), allBytes)
    else await write(name, textPieces(format, table))
  }
  await write('index.csv', indexPieces(table.blocks()))
}
