// The space in which a head learns: features brought to mean 0 and variance 1, and where it is wanted to their principal components. What
// is linear in it is linear in the features themselves, so a head on top of a network knows nothing of it.
import { RegraftError } from '../errors.ts'
import type { Engine } from '../kernels/engine.ts'
import { openProjection, type PrincipalComponents, principalComponents } from '../solve/principal-components.ts'
import { foldStandardisation, type Standardisation, standardisationOf, standardise } from '../solve/standardise.ts'
import type { HostTensor } from '../tensor/host-tensor.ts'

/** See `TrainOptions`. */
export interface SpaceOptions {
  readonly pca: number | null
  readonly whiten: boolean
}

export interface FeatureSpace {
  /** Values of a vector in it. */
  readonly width: number
  /** Features of a vector outside. */
  readonly columns: number
  /** f32[rows, columns] to f32[rows, width] */
  enter(values: Float32Array, signal?: AbortSignal): Promise<Float32Array>
  /**
   * A linear layer on features that does what one in the space does; in float64, rounded once.
   * @param weight  [outputs, width]
   */
  fold(weight: ArrayLike<number>, bias: ArrayLike<number>): { weight: Float32Array; bias: Float32Array }
  /** What `storedSpace` makes the same space of; see `neighbourTensors`. */
  readonly tensors: ReadonlyMap<string, HostTensor>
}

/**
 * Fits a space to vectors.
 * @param values  f32[rows, columns]
 * @throws RegraftError 'usage' for more components than there are
 */
export async function fitSpace(
  engine: Engine,
  values: Float32Array,
  columns: number,
  { pca, whiten }: SpaceOptions,
  signal: AbortSignal | undefined,
): Promise<FeatureSpace> {
  if (whiten && pca === null)
    throw new RegraftError('usage', '--whiten goes with --pca N: which components are to be whitened?')
  const statistics = await standardisationOf(values, columns)
  if (pca === null) return spaceOf(engine, statistics, undefined)
  const standardised = await standardise(values, statistics)
  const pieces = async function* () {
    yield standardised
  }
  return spaceOf(
    engine,
    statistics,
    scaled(await principalComponents(engine, { columns, pieces }, pca, signal), whiten),
  )
}

/** The space that was stored as tensors. */
export function storedSpace(engine: Engine, tensors: ReadonlyMap<string, HostTensor>): FeatureSpace {
  const data = (name: string) => tensors.get(name)?.data ?? new Float32Array()
  const statistics = { mean: Float64Array.from(data('mean')), scale: Float64Array.from(data('scale')) }
  if (!tensors.has('components.weight')) return spaceOf(engine, statistics, undefined)
  const mean = Float64Array.from(data('components.mean'))
  return spaceOf(engine, statistics, { mean, weight: data('components.weight') })
}

/** weight·(x - mean), whitening within the weight. */
interface Components {
  /** [columns], in values of f32 */
  readonly mean: Float64Array
  /** f32[width, columns] */
  readonly weight: Float32Array
}

/** @param whiten  each component is divided by its standard deviation */
export function scaled({ mean, components, variances }: PrincipalComponents, whiten: boolean): Components {
  const columns = mean.length
  const factors = variances.map((variance) => (whiten ? 1 / Math.sqrt(variance) : 1))
  return { mean, weight: components.map((value, at) => value * (factors[Math.floor(at / columns)] ?? 1)) }
}

function spaceOf(engine: Engine, given: Standardisation, components: Components | undefined): FeatureSpace {
  const columns = given.mean.length
  const width = components ? components.weight.length / columns : columns
  const vector = (values: Float64Array): HostTensor => ({ shape: [values.length], data: Float32Array.from(values) })
  return {
    width,
    columns,
    async enter(values, signal) {
      const standardised = await standardise(values, given)
      if (!components) return standardised
      const basis = { mean: components.mean, components: components.weight, variances: new Float64Array(width).fill(1) }
      const projection = await openProjection(engine, basis, false)
      try {
        return await projection.project(standardised, signal)
      } finally {
        projection.close()
      }
    },
    fold: (weight, bias) => {
      if (!components) return foldStandardisation(weight, bias, given)
      const outer = foldComponents(weight, bias, components)
      return foldStandardisation(outer.weight, outer.bias, given)
    },
    tensors: new Map([
      ['mean', vector(given.mean)],
      ['scale', vector(given.scale)],
      ...(components
        ? ([
            ['components.mean', vector(components.mean)],
            ['components.weight', { shape: [width, columns], data: components.weight }],
          ] as const)
        : []),
    ]),
  }
}

/** A linear layer on vectors that does what one on their components does, in float64. @param weight  [outputs, width] */
export function foldComponents(
  weight: ArrayLike<number>,
  bias: ArrayLike<number>,
  components: Components,
): { weight: Float64Array; bias: Float64Array } {
  const columns = components.mean.length
  const width = components.weight.length / columns
  const folded = new Float64Array(bias.length * columns)
  const foldedBias = Float64Array.from(bias)
  for (let o = 0; o < bias.length; o++) {
    for (let k = 0; k < width; k++) {
      const factor = weight[o * width + k] ?? 0
      for (let c = 0; c < columns; c++) {
        const at = o * columns + c
        folded[at] = (folded[at] ?? 0) + factor * (components.weight[k * columns + c] ?? 0)
      }
    }
    for (let c = 0; c < columns; c++)
      foldedBias[o] = (foldedBias[o] ?? 0) - (folded[o * columns + c] ?? 0) * (components.mean[c] ?? 0)
  }
  return { weight: folded, bias: foldedBias }
}
