// Least squares with a penalty on large weights, for any strength from one eigenvalue problem, with its error on rows left out.
import { breathing } from '../breath.ts'
import { RegraftError, throwIfAborted } from '../errors.ts'
import type { Engine } from '../kernels/engine.ts'
import { MOST_COLUMNS, openProjection } from './principal-components.ts'
import { sumOfProducts } from './sum-of-products.ts'
import { symmetricEigen } from './symmetric-eigen.ts'

/** A linear map of vectors, in float64. */
export interface LinearMap {
  /** [outputs, columns] */
  readonly weight: Float64Array
  /** [outputs] */
  readonly bias: Float64Array
}

/** Ridge regression of some targets on some vectors. A strength is 1/alpha of scikit-learn's Ridge: more of it lets weights grow. */
export interface RidgeProblem {
  /** The weights that make sum of (target - output)² + sum of squared weights / strength least; biases are free. */
  solve(strength: number): LinearMap
  /** [rows, outputs]: what the solution from all other rows gives for each row. */
  leftOut(strength: number): Promise<Float64Array>
}

export interface RidgeOptions {
  /** f32[rows, columns] */
  readonly values: Float32Array
  readonly columns: number
  /** [rows, outputs] */
  readonly targets: Float64Array
  readonly outputs: number
  readonly signal?: AbortSignal | undefined
}

/**
 * Prepares a ridge regression. Products are made by the kernels block by block, everything else in float64.
 * @throws RegraftError 'usage' for vectors of too many values; 'data' for values that are not finite; 'interrupted'
 * @see Hastie, Tibshirani & Friedman 2009, The Elements of Statistical Learning, 3.4 and 7.10 (rows left out by the hat matrix)
 */
export async function ridgeProblem(engine: Engine, options: RidgeOptions): Promise<RidgeProblem> {
  const { values, columns, targets, outputs, signal } = options
  const rows = values.length / columns
  if (columns > MOST_COLUMNS) {
    throw new RegraftError(
      'usage',
      `Ridge regression takes vectors of at most ${MOST_COLUMNS} values; these have ${columns}. Take a pooled layer, --pca, or another solver.`,
    )
  }
  const breath = breathing()
  const pause = async () => {
    await breath.pause()
    throwIfAborted(signal)
  }
  const mean = new Float64Array(columns)
  for (let at = 0; at < values.length; at += columns) {
    for (let c = 0; c < columns; c++) mean[c] = (mean[c] ?? 0) + (values[at + c] ?? 0)
    if (breath.due()) await pause()
  }
  // As the kernels subtract it.
  for (let c = 0; c < columns; c++) mean[c] = Math.fround((mean[c] ?? 0) / rows)
  const targetMean = new Float64Array(outputs)
  for (const [at, target] of targets.entries())
    targetMean[at % outputs] = (targetMean[at % outputs] ?? 0) + target / rows
  const pieces = async function* () {
    yield values
  }
  const products = await sumOfProducts(engine, { columns, pieces }, mean, signal)
  if (!products.every(Number.isFinite) || !targets.every(Number.isFinite)) {
    throw new RegraftError('data', 'There are vectors or targets with values that are infinite or too large.')
  }
  // Xᵀ·Y, X and Y without their means.
  const crossed = new Float64Array(columns * outputs)
  for (let row = 0; row < rows; row++) {
    for (let o = 0; o < outputs; o++) {
      const target = (targets[row * outputs + o] ?? 0) - (targetMean[o] ?? 0)
      if (target === 0) continue
      for (let c = 0; c < columns; c++) {
        const at = o * columns + c
        crossed[at] = (crossed[at] ?? 0) + ((values[row * columns + c] ?? 0) - (mean[c] ?? 0)) * target
      }
    }
    if (breath.due()) await pause()
  }
  const { values: eigenvalues, vectors } = await symmetricEigen(products, columns, signal)
  // Rounding makes zeros slightly negative.
  for (let k = 0; k < columns; k++) eigenvalues[k] = Math.max(0, eigenvalues[k] ?? 0)
  // In the directions of the eigenvectors.
  const turned = new Float64Array(outputs * columns)
  for (let o = 0; o < outputs; o++) {
    for (let k = 0; k < columns; k++) {
      let sum = 0
      for (let c = 0; c < columns; c++) sum += (vectors[k * columns + c] ?? 0) * (crossed[o * columns + c] ?? 0)
      turned[o * columns + k] = sum
    }
    if (breath.due()) await pause()
  }
  const shrunk = (strength: number) =>
    turned.map((value, at) => value / ((eigenvalues[at % columns] ?? 0) + 1 / strength))
  let projected: Float32Array | undefined
  return {
    solve(strength) {
      const coefficients = shrunk(strength)
      const weight = new Float64Array(outputs * columns)
      const bias = targetMean.slice()
      for (let o = 0; o < outputs; o++) {
        for (let k = 0; k < columns; k++) {
          const factor = coefficients[o * columns + k] ?? 0
          for (let c = 0; c < columns; c++) {
            const at = o * columns + c
            weight[at] = (weight[at] ?? 0) + factor * (vectors[k * columns + c] ?? 0)
          }
        }
        for (let c = 0; c < columns; c++) bias[o] = (bias[o] ?? 0) - (weight[o * columns + c] ?? 0) * (mean[c] ?? 0)
      }
      return { weight, bias }
    },
    async leftOut(strength) {
      projected ??= await alongEigenvectors(engine, values, mean, vectors, signal)
      const coefficients = shrunk(strength)
      const result = new Float64Array(rows * outputs)
      for (let row = 0; row < rows; row++) {
        const own = projected.subarray(row * columns, (row + 1) * columns)
        // How much a row pulls its own output; the mean has a share of 1/rows.
        let pull = 1 / rows
        for (let k = 0; k < columns; k++) pull += (own[k] ?? 0) ** 2 / ((eigenvalues[k] ?? 0) + 1 / strength)
        for (let o = 0; o < outputs; o++) {
          let fitted = targetMean[o] ?? 0
          for (let k = 0; k < columns; k++) fitted += (own[k] ?? 0) * (coefficients[o * columns + k] ?? 0)
          const target = targets[row * outputs + o] ?? 0
          // A row that decides its output alone says nothing of others.
          result[row * outputs + o] = pull < 1 - 1e-9 ? target - (target - fitted) / (1 - pull) : (targetMean[o] ?? 0)
        }
        if (breath.due()) await pause()
      }
      return result
    },
  }
}

/** f32[rows, columns]: vectors without their mean, along the eigenvectors. */
async function alongEigenvectors(
  engine: Engine,
  values: Float32Array,
  mean: Float64Array,
  vectors: Float64Array,
  signal: AbortSignal | undefined,
): Promise<Float32Array> {
  const components = Float32Array.from(vectors)
  const projection = await openProjection(engine, { mean, components, variances: mean.map(() => 1) }, false)
  try {
    return await projection.project(values, signal)
  } finally {
    projection.close()
  }
}
