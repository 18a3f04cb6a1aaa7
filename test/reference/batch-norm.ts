// Batch normalisation as plain loops in float64; x: [M, C].

export interface BatchStatistics {
  readonly mean: Float64Array
  /** Divided by M. */
  readonly variance: Float64Array
}

const at = (values: ArrayLike<number> | undefined, i: number, absent = Number.NaN): number => values?.[i] ?? absent

export function batchStatistics(x: ArrayLike<number>, C: number): BatchStatistics {
  const M = x.length / C
  const mean = new Float64Array(C)
  const variance = new Float64Array(C)
  for (let i = 0; i < x.length; i++) mean[i % C] = at(mean, i % C) + at(x, i) / M
  for (let i = 0; i < x.length; i++) variance[i % C] = at(variance, i % C) + (at(x, i) - at(mean, i % C)) ** 2 / M
  return { mean, variance }
}

/** (x - mean)/sqrt(variance + epsilon)·gamma + beta. */
export function batchNorm(
  x: ArrayLike<number>,
  statistics: BatchStatistics,
  epsilon: number,
  gamma?: ArrayLike<number>,
  beta?: ArrayLike<number>,
): Float64Array {
  const C = statistics.mean.length
  return Float64Array.from({ length: x.length }, (_, i) => {
    const c = i % C
    const normal = (at(x, i) - at(statistics.mean, c)) / Math.sqrt(at(statistics.variance, c) + epsilon)
    return normal * at(gamma, c, 1) + at(beta, c, 0)
  })
}

/** Gradients; with `batch` the statistics are functions of x, without they are constants. */
export function batchNormGradients(
  x: ArrayLike<number>,
  dy: ArrayLike<number>,
  statistics: BatchStatistics,
  epsilon: number,
  batch: boolean,
  gamma?: ArrayLike<number>,
): { dx: Float64Array; dGamma: Float64Array; dBeta: Float64Array } {
  const C = statistics.mean.length
  const M = x.length / C
  const normal = batchNorm(x, statistics, epsilon)
  const dGamma = new Float64Array(C)
  const dBeta = new Float64Array(C)
  for (let i = 0; i < x.length; i++) {
    dGamma[i % C] = at(dGamma, i % C) + at(dy, i) * at(normal, i)
    dBeta[i % C] = at(dBeta, i % C) + at(dy, i)
  }
  const dx = Float64Array.from({ length: x.length }, (_, i) => {
    const c = i % C
    const scale = at(gamma, c, 1) / Math.sqrt(at(statistics.variance, c) + epsilon)
    if (!batch) return scale * at(dy, i)
    return scale * (at(dy, i) - at(dBeta, c) / M - (at(normal, i) * at(dGamma, c)) / M)
  })
  return { dx, dGamma, dBeta }
}
