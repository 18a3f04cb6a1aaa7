import { RegraftError, throwIfAborted } from '../errors.ts'
import { allocateAll } from '../kernels/arena.ts'
import type { Engine } from '../kernels/engine.ts'
import { call, SCRATCH } from '../kernels/program.ts'
import { sumOfProducts, type Vectors } from './sum-of-products.ts'
import { symmetricEigen } from './symmetric-eigen.ts'

/** Directions in which vectors differ most. */
export interface PrincipalComponents {
  /** [columns], in values of f32, as it is stored. */
  readonly mean: Float64Array
  /** f32[count, columns], unit vectors, the largest part of each positive. */
  readonly components: Float32Array
  /** [count], in values of f32, falling: what the vectors vary by along each, over rows - 1. */
  readonly variances: Float64Array
}

/** Rows that are computed at a time. */
const BLOCK_ROWS = 512
/** The matrix of 4096 columns has 128 MiB, and its eigenvectors take minutes. */
export const MOST_COLUMNS = 4096
/** A direction along which vectors vary by less than this share of the largest is rounding. */
const SMALLEST_SHARE = 1e-10

/**
 * Principal components of vectors. Products are made by the kernels block by block, their sums in float64.
 * @param count  how many components
 * @throws RegraftError 'usage' when there are fewer than that; 'data' for values that are not finite; 'interrupted'
 */
export async function principalComponents(
  engine: Engine,
  vectors: Vectors,
  count: number,
  signal?: AbortSignal,
): Promise<PrincipalComponents> {
  const { columns } = vectors
  if (columns > MOST_COLUMNS) {
    throw new RegraftError(
      'usage',
      `--pca: vectors of ${columns} values are too long; ${MOST_COLUMNS} is the most. Take a pooled layer.`,
    )
  }
  const mean = new Float64Array(columns)
  let rows = 0
  for await (const piece of vectors.pieces()) {
    for (let at = 0; at < piece.length; at += columns) {
      for (let c = 0; c < columns; c++) mean[c] = (mean[c] ?? 0) + (piece[at + c] ?? 0)
    }
    rows += piece.length / columns
    throwIfAborted(signal)
  }
  const most = Math.min(columns, rows - 1)
  if (count > most) {
    throw new RegraftError(
      'usage',
      `--pca ${count}: ${rows} vectors of ${columns} values have at most ${Math.max(0, most)} components.`,
    )
  }
  // As they will be stored: what is read back makes the same vectors.
  for (let c = 0; c < columns; c++) mean[c] = Math.fround((mean[c] ?? 0) / rows)
  const products = await sumOfProducts(engine, vectors, mean, signal)
  for (let i = 0; i < products.length; i++) products[i] = (products[i] ?? 0) / (rows - 1)
  if (!products.every(Number.isFinite)) {
    throw new RegraftError('data', '--pca: there are vectors with values that are infinite or too large.')
  }
  const { values, vectors: directions } = await symmetricEigen(products, columns, signal)
  const real = values.findIndex((value) => !(value > SMALLEST_SHARE * (values[0] ?? 0)))
  if (real >= 0 && real < count) {
    throw new RegraftError('usage', `--pca ${count}: the vectors vary in ${real} directions only.`)
  }
  return {
    mean,
    components: Float32Array.from(directions.subarray(0, count * columns)),
    variances: values.slice(0, count).map(Math.fround),
  }
}

/** Brings vectors into the space of components. */
export interface Projection {
  /** f32[rows, columns] to f32[rows, count] */
  project(values: Float32Array, signal?: AbortSignal): Promise<Float32Array>
  close(): void
}

/** @param whiten  divide by the standard deviation along each component */
export async function openProjection(
  engine: Engine,
  { mean, components, variances }: PrincipalComponents,
  whiten: boolean,
): Promise<Projection> {
  const columns = mean.length
  const count = variances.length
  const stride = Math.ceil(columns / 4) * 4
  const width = Math.ceil(count / 4) * 4
  const { arena } = engine
  const bytes = [
    count * stride * 4,
    columns * Math.ceil(width / 8) * 8 * 4,
    BLOCK_ROWS * stride * 4,
    BLOCK_ROWS * width * 4,
  ] as const
  const [weight, packed, x, y] = allocateAll(arena, bytes, 'The components of the vectors')
  const floats = engine.floats(weight, count * stride)
  for (let i = 0; i < count; i++) {
    const scale = whiten ? 1 / Math.sqrt(variances[i] ?? 1) : 1
    for (let c = 0; c < columns; c++) floats[i * stride + c] = (components[i * columns + c] ?? 0) * scale
  }
  const pack = engine.register([
    call('packBTransposed', [weight, stride, packed, columns, count], Math.ceil(width / 8)),
  ])
  await engine.run([pack], 1)
  engine.forget(pack)
  arena.free(weight)
  const program = engine.register([
    call<'matmul', number>('matmul', [x, stride, packed, y, width, width, columns, 0, 0, 0, SCRATCH], { perImage: 1 }),
  ])
  return {
    async project(values, signal) {
      const rows = values.length / columns
      const result = new Float32Array(rows * count)
      for (let first = 0; first < rows; first += BLOCK_ROWS) {
        const here = Math.min(BLOCK_ROWS, rows - first)
        const block = engine.floats(x, here * stride)
        for (let row = 0; row < here; row++) {
          const from = (first + row) * columns
          for (let c = 0; c < columns; c++) block[row * stride + c] = (values[from + c] ?? 0) - (mean[c] ?? 0)
        }
        await engine.run([program], here, signal)
        const projected = engine.floats(y, here * width)
        for (let row = 0; row < here; row++) {
          result.set(projected.subarray(row * width, row * width + count), (first + row) * count)
        }
      }
      return result
    },
    close() {
      engine.forget(program)
      for (const address of [packed, x, y]) arena.free(address)
    },
  }
}
