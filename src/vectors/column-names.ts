import type { VectorArray } from './vector-table.ts'

/** Names of the columns of a table in formats with a column for each feature: f0, f1 … of a single array, else with its name in front. */
export function columnNames(arrays: readonly VectorArray[]): string[] {
  return arrays.flatMap(({ name, columns }) =>
    Array.from({ length: columns }, (_, at) => (arrays.length === 1 ? `f${at}` : `${name}.f${at}`)),
  )
}
