import { breathing } from '../breath.ts'
import { columnNames } from './column-names.ts'
import { csvText } from './csv.ts'
import type { VectorArray, VectorRow, VectorTable } from './vector-table.ts'

/** Vectors as text: CSV with a column for each feature, or JSON Lines. */
export type TextFormat = 'csv' | 'jsonl'

/** One layer's vector of one input. */
export interface NamedVector {
  readonly name: string
  readonly columns: number
  /** null where there is none. */
  readonly values: Float32Array | null
}

/** The line before all rows; JSON Lines has none. */
export function headerText(format: TextFormat, arrays: readonly VectorArray[]): string {
  if (format === 'jsonl') return ''
  const names = columnNames(arrays).map(csvText)
  return `row,path,label,error,${names.join(',')}\n`
}

/**
 * One row. Without a vector, CSV has empty cells and JSON null. JSON has `vector`, or `vectors` by name where there are several.
 */
export function rowText(
  format: TextFormat,
  row: number,
  { path, label, error }: VectorRow,
  vectors: readonly NamedVector[],
): string {
  if (format === 'csv') {
    const cells = [String(row), csvText(path), csvText(label ?? ''), csvText(error ?? '')]
    for (const { columns, values } of vectors) {
      for (let i = 0; i < columns; i++) cells.push(values === null ? '' : String(shortest(values[i] ?? Number.NaN)))
    }
    return `${cells.join(',')}\n`
  }
  const numbers = (values: Float32Array | null) => JSON.stringify(values && Array.from(values, shortest))
  const [first] = vectors
  const named = vectors.map(({ name, values }) => `${JSON.stringify(name)}:${numbers(values)}`)
  const vector = vectors.length === 1 ? `"vector":${numbers(first?.values ?? null)}` : `"vectors":{${named.join(',')}}`
  return `${JSON.stringify({ row, path, label, error }).slice(0, -1)},${vector}}\n`
}

/** A table as text. */
export async function* textPieces(
  format: TextFormat,
  { arrays, blocks }: VectorTable,
): AsyncGenerator<Uint8Array, void, undefined> {
  const encoder = new TextEncoder()
  const header = headerText(format, arrays)
  if (header !== '') yield encoder.encode(header)
  const breath = breathing()
  let number = 0
  for await (const { rows, values } of blocks()) {
    for (const [at, row] of rows.entries()) {
      const vectors = arrays.map(({ name, columns }, array) => ({
        name,
        columns,
        values: row.error === null ? (values[array]?.subarray(at * columns, (at + 1) * columns) ?? null) : null,
      }))
      yield encoder.encode(rowText(format, number++, row, vectors))
      if (breath.due()) await breath.pause()
    }
  }
}

/** `index.csv`: which row is which input. */
export async function* indexPieces(
  blocks: AsyncIterable<{ readonly rows: readonly VectorRow[] }>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const encoder = new TextEncoder()
  yield encoder.encode('row,path,label,error\n')
  let number = 0
  for await (const { rows } of blocks) {
    const lines = rows.map(({ path, label, error }) =>
      [String(number++), csvText(path), csvText(label ?? ''), csvText(error ?? '')].join(','),
    )
    if (lines.length > 0) yield encoder.encode(`${lines.join('\n')}\n`)
  }
}

/** The shortest decimal of few digits that is this float32 again. */
function shortest(value: number): number {
  return Number(value.toPrecision(9))
}
