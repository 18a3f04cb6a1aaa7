// Features brought to mean 0 and variance 1, and the way to make a linear layer on them one on raw features.

export interface Standardisation {
  readonly mean: Float64Array
  /** 1 / standard deviation; 1 for a feature without variance. */
  readonly scale: Float64Array
}

/**
 * A unit that is almost always off in training would be blown up without bound when it is on in a new picture, and decide alone. Its
 * deviation counts as at least this share of the median one.
 */
const DEVIATION_FLOOR = 0.05

/** Statistics over the rows of [rows, width], population variance, in float64. */
export function standardisationOf(values: Float32Array, width: number): Standardisation {
  const rows = values.length / width
  const mean = new Float64Array(width)
  const squares = new Float64Array(width)
  for (let row = 0; row < rows; row++)
    for (let f = 0; f < width; f++) mean[f] = (mean[f] ?? 0) + (values[row * width + f] ?? 0)
  for (let f = 0; f < width; f++) mean[f] = (mean[f] ?? 0) / rows
  for (let row = 0; row < rows; row++) {
    for (let f = 0; f < width; f++) {
      const deviation = (values[row * width + f] ?? 0) - (mean[f] ?? 0)
      squares[f] = (squares[f] ?? 0) + deviation * deviation
    }
  }
  const deviations = squares.map((sum) => Math.sqrt(sum / rows))
  const floor = DEVIATION_FLOOR * ([...deviations].sort((a, b) => a - b)[Math.floor(width / 2)] ?? 0)
  const scale = deviations.map((deviation) => (deviation > 1e-7 ? 1 / Math.max(deviation, floor) : 1))
  return { mean, scale }
}

/** (values - mean)·scale, row by row. */
export function standardise(values: Float32Array, { mean, scale }: Standardisation): Float32Array {
  const width = mean.length
  const result = new Float32Array(values.length)
  for (let at = 0; at < values.length; at++) {
    const f = at % width
    result[at] = ((values[at] ?? 0) - (mean[f] ?? 0)) * (scale[f] ?? 1)
  }
  return result
}

/**
 * Folds the standardisation into a linear layer on standardised features: W' = W·scale, b' = b - W'·mean, in float64.
 * @param weight  [outputs, features]
 */
export function foldStandardisation(
  weight: ArrayLike<number>,
  bias: ArrayLike<number>,
  { mean, scale }: Standardisation,
): { weight: Float32Array; bias: Float32Array } {
  const width = mean.length
  const outputs = bias.length
  const foldedWeight = new Float32Array(outputs * width)
  const foldedBias = new Float32Array(outputs)
  for (let o = 0; o < outputs; o++) {
    let shift = 0
    for (let f = 0; f < width; f++) {
      const folded = (weight[o * width + f] ?? 0) * (scale[f] ?? 1)
      foldedWeight[o * width + f] = folded
      shift += folded * (mean[f] ?? 0)
    }
    foldedBias[o] = (bias[o] ?? 0) - shift
  }
  return { weight: foldedWeight, bias: foldedBias }
}
