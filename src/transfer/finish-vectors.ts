// What is done to vectors after the last of them is there: principal components need all.
import * as path from 'node:path'
import { RegraftError } from '../errors.ts'
import type { JsonObject } from '../files/strict-json.ts'
import { openSafetensors } from '../formats/safetensors.ts'
import { writeSafetensors } from '../formats/write-safetensors.ts'
import type { Engine } from '../kernels/engine.ts'
import { openProjection, type PrincipalComponents, principalComponents } from '../solve/principal-components.ts'
import type { VectorBlock, VectorTable } from '../vectors/vector-table.ts'
import { opened } from './opened.ts'

/** See `EmbedOptions`. */
export interface Finishing {
  readonly pca?: number | undefined
  readonly whiten?: boolean | undefined
  readonly l2Normalize?: boolean | undefined
}

/** Name of the file of components beside vectors. */
export const COMPONENTS_FILE = 'pca.safetensors'

/** What `meta.json` says of it. */
export function describeFinishing({ pca, whiten = false, l2Normalize = false }: Finishing): JsonObject {
  return { pca: pca === undefined ? null : { components: pca, whitened: whiten }, l2_normalized: l2Normalize }
}

/** @throws RegraftError 'usage' for options that contradict each other */
export function checkFinishing({ pca, whiten }: Finishing): void {
  if (whiten && pca === undefined) {
    throw new RegraftError('usage', '--whiten goes with --pca N: which components are to be whitened?')
  }
}

/**
 * A table of finished vectors. Components are fitted to the rows that have vectors, each array by itself, and written beside the
 * vectors.
 * @param folder  for the components
 */
export async function finishVectors(
  engine: Engine,
  table: VectorTable,
  finishing: Finishing,
  folder: string,
  signal: AbortSignal | undefined,
): Promise<VectorTable> {
  const { pca, whiten = false, l2Normalize = false } = finishing
  const projected = pca === undefined ? table : await withComponents(engine, table, pca, whiten, folder, signal)
  return l2Normalize ? normalised(projected) : projected
}

async function withComponents(
  engine: Engine,
  table: VectorTable,
  count: number,
  whiten: boolean,
  folder: string,
  signal: AbortSignal | undefined,
): Promise<VectorTable> {
  const bases: PrincipalComponents[] = []
  for (const [at, { columns }] of table.arrays.entries()) {
    const pieces = () => goodRows(table, at)
    bases.push(await principalComponents(engine, { columns, pieces }, count, signal))
  }
  const tensors = table.arrays.flatMap(({ name, columns }, at) => {
    const basis = bases[at]
    if (basis === undefined) return []
    const prefix = prefixOf(table.arrays, name)
    const tensor = (part: string, shape: readonly number[], data: Float32Array) => ({
      name: `${prefix}${part}`,
      dtype: 'F32' as const,
      shape,
      data,
    })
    return [
      tensor('mean', [columns], Float32Array.from(basis.mean)),
      tensor('components', [count, columns], basis.components),
      tensor('variances', [count], Float32Array.from(basis.variances)),
    ]
  })
  await writeSafetensors(path.join(folder, COMPONENTS_FILE), tensors, { whitened: String(whiten) }, { signal })
  return {
    arrays: table.arrays.map(({ name }) => ({ name, columns: count })),
    rows: table.rows,
    async *blocks() {
      const all = opened()
      try {
        const projections = []
        for (const basis of bases) projections.push(all.add(await openProjection(engine, basis, whiten)))
        for await (const { rows, values } of table.blocks()) {
          const projected: Float32Array[] = []
          for (const [at, projection] of projections.entries()) {
            projected.push(await projection.project(values[at] ?? new Float32Array(), signal))
          }
          yield { rows, values: projected }
        }
      } finally {
        all.close()
      }
    },
  }
}

function prefixOf(layers: readonly { readonly name: string }[], name: string): string {
  return layers.length > 1 ? `${name}.` : ''
}

/**
 * The components that vectors of a layer were brought to.
 * @throws RegraftError 'data' when the file is not there or damaged
 */
export async function readComponents(
  folder: string,
  layers: readonly { readonly name: string }[],
  name: string,
): Promise<PrincipalComponents> {
  const file = await openSafetensors(path.join(folder, COMPONENTS_FILE))
  const prefix = prefixOf(layers, name)
  const [mean, components, variances] = await Promise.all(
    ['mean', 'components', 'variances'].map((part) => file.read(`${prefix}${part}`)),
  )
  if (mean === undefined || components === undefined || variances === undefined) throw new Error('three were asked for')
  return {
    mean: Float64Array.from(mean.data),
    components: components.data,
    variances: Float64Array.from(variances.data),
  }
}

/** Vectors of the rows that have some, in their order. */
async function* goodRows({ blocks, arrays }: VectorTable, array: number): AsyncGenerator<Float32Array> {
  const columns = arrays[array]?.columns ?? 0
  for await (const { rows, values } of blocks()) {
    const all = values[array] ?? new Float32Array()
    const good = [...rows.keys()].filter((row) => rows[row]?.error === null)
    if (good.length === rows.length) yield all
    else {
      const chosen = new Float32Array(good.length * columns)
      for (const [at, row] of good.entries()) chosen.set(all.subarray(row * columns, (row + 1) * columns), at * columns)
      yield chosen
    }
  }
}

function normalised({ arrays, rows, blocks }: VectorTable): VectorTable {
  return {
    arrays,
    rows,
    async *blocks() {
      for await (const block of blocks()) yield normalisedBlock(block, arrays)
    },
  }
}

/** A block with every vector of length 1. */
export function normalisedBlock({ rows, values }: VectorBlock, arrays: VectorTable['arrays']): VectorBlock {
  return {
    rows,
    values: values.map((all, at) => {
      const columns = arrays[at]?.columns ?? 0
      const copy = all.slice()
      for (let row = 0; row < rows.length; row++) normalise(copy.subarray(row * columns, (row + 1) * columns))
      return copy
    }),
  }
}

/** Scales a vector to length 1 in place; one of zeros stays. The sum is taken in order, in f64. */
export function normalise(vector: Float32Array): void {
  let sum = 0
  for (const value of vector) sum += value * value
  const length = Math.sqrt(sum)
  if (length > 0) for (let i = 0; i < vector.length; i++) vector[i] = (vector[i] ?? 0) / length
}
