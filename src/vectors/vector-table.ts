/** One matrix of a table: the outputs of one layer. */
export interface VectorArray {
  readonly name: string
  readonly columns: number
}

/** One input of a table. */
export interface VectorRow {
  readonly path: string
  readonly label: string | null
  /** Why there is no vector; its values are NaN then. */
  readonly error: string | null
}

/** Consecutive rows. */
export interface VectorBlock {
  readonly rows: readonly VectorRow[]
  /** One per array of the table: f32[rows, columns]. */
  readonly values: readonly Float32Array[]
}

/** Vectors of many inputs, read block by block as often as one likes. */
export interface VectorTable {
  readonly arrays: readonly VectorArray[]
  readonly rows: number
  blocks(): AsyncIterable<VectorBlock>
}

/** Element types that vectors are written in. */
export type VectorType = 'float32' | 'float16'
