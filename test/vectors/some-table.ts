import type { VectorBlock, VectorRow, VectorTable } from '../../src/vectors/vector-table.ts'

interface SomeArray {
  readonly name: string
  readonly columns: number
  readonly values: readonly number[] | Float32Array
}

/** A table of given values, in blocks of two rows. */
export function tableOf(
  arrays: readonly SomeArray[],
  rowOf: (row: number) => VectorRow = (row) => ({ path: `${row}.jpg`, label: null, error: null }),
): VectorTable {
  const [first] = arrays
  const rows = first === undefined ? 0 : first.values.length / first.columns
  return {
    arrays: arrays.map(({ name, columns }) => ({ name, columns })),
    rows,
    async *blocks(): AsyncGenerator<VectorBlock> {
      for (let from = 0; from < rows; from += 2) {
        const to = Math.min(rows, from + 2)
        yield {
          rows: Array.from({ length: to - from }, (_, at) => rowOf(from + at)),
          values: arrays.map(({ columns, values }) => Float32Array.from(values.slice(from * columns, to * columns))),
        }
      }
    },
  }
}
