// Batch norm and its gradients in float64, with the statistics of the batch or with running ones.

/** What a pass of a batch norm knew. */
export interface Normalised {
  readonly output: Float64Array
  /** (x - mean)/deviation */
  readonly standard: Float64Array
  /** 1/sqrt(variance + epsilon) of each channel. */
  readonly inverse: Float64Array
  /** Running mean and variance afterwards, where the batch's statistics were used. */
  readonly running?: { readonly mean: Float64Array; readonly variance: Float64Array }
}

export interface NormParameters {
  readonly weight: ArrayLike<number>
  readonly bias: ArrayLike<number>
  readonly mean: Float64Array
  readonly variance: Float64Array
}

/** @param useBatch  normalise with the batch's mean and variance, and move the running ones towards them */
export function normalise(
  x: Float64Array,
  { weight, bias, mean, variance }: NormParameters,
  { epsilon, momentum }: { readonly epsilon: number; readonly momentum: number },
  useBatch: boolean,
): Normalised {
  const channels = mean.length
  const moments = useBatch ? momentsOf(x, channels) : { mean, variance }
  const inverse = moments.variance.map((value) => 1 / Math.sqrt(value + epsilon))
  const standard = new Float64Array(x.length)
  const output = new Float64Array(x.length)
  for (let row = 0; row < x.length; row += channels) {
    for (let c = 0; c < channels; c++) {
      const value = ((x[row + c] ?? 0) - (moments.mean[c] ?? 0)) * (inverse[c] ?? 0)
      standard[row + c] = value
      output[row + c] = value * (weight[c] ?? Number.NaN) + (bias[c] ?? Number.NaN)
    }
  }
  if (!useBatch) return { output, standard, inverse }
  const count = x.length / channels
  const blend = (running: Float64Array, batch: Float64Array, factor: number) =>
    running.map((value, c) => (1 - momentum) * value + momentum * factor * (batch[c] ?? Number.NaN))
  return {
    output,
    standard,
    inverse,
    running: {
      mean: blend(mean, moments.mean, 1),
      // The running one is the unbiased estimate, as in PyTorch.
      variance: blend(variance, moments.variance, count / (count - 1)),
    },
  }
}

function momentsOf(x: Float64Array, channels: number): { mean: Float64Array; variance: Float64Array } {
  const count = x.length / channels
  const mean = new Float64Array(channels)
  const variance = new Float64Array(channels)
  for (let row = 0; row < x.length; row += channels) {
    for (let c = 0; c < channels; c++) mean[c] = (mean[c] ?? 0) + (x[row + c] ?? 0) / count
  }
  for (let row = 0; row < x.length; row += channels) {
    for (let c = 0; c < channels; c++) {
      variance[c] = (variance[c] ?? 0) + ((x[row + c] ?? 0) - (mean[c] ?? 0)) ** 2 / count
    }
  }
  return { mean, variance }
}

export interface NormGradients {
  readonly dInput: Float64Array
  readonly dWeight: Float64Array
  readonly dBias: Float64Array
}

export function normGradients(
  { standard, inverse }: Normalised,
  weight: ArrayLike<number>,
  dOutput: Float64Array,
  useBatch: boolean,
): NormGradients {
  const channels = inverse.length
  const count = dOutput.length / channels
  const dWeight = new Float64Array(channels)
  const dBias = new Float64Array(channels)
  for (let at = 0; at < dOutput.length; at++) {
    const c = at % channels
    dWeight[c] = (dWeight[c] ?? 0) + (dOutput[at] ?? 0) * (standard[at] ?? 0)
    dBias[c] = (dBias[c] ?? 0) + (dOutput[at] ?? 0)
  }
  const dInput = new Float64Array(dOutput.length)
  for (let at = 0; at < dOutput.length; at++) {
    const c = at % channels
    // Mean and variance depend on the input too.
    const common = useBatch ? ((dBias[c] ?? 0) + (standard[at] ?? 0) * (dWeight[c] ?? 0)) / count : 0
    dInput[at] = ((dOutput[at] ?? 0) - common) * (inverse[c] ?? 0) * (weight[c] ?? Number.NaN)
  }
  return { dInput, dWeight, dBias }
}
