/** Layer norm of rows of C values, forward and backward, in float64. */
export function layerNorm(
  x: Float32Array,
  gamma: Float32Array,
  beta: Float32Array,
  dy: Float32Array,
  epsilon: number,
): { y: number[]; dx: number[]; dGamma: number[]; dBeta: number[] } {
  const C = gamma.length
  const y: number[] = []
  const dx: number[] = []
  const dGamma = Array.from(gamma, () => 0)
  const dBeta = Array.from(gamma, () => 0)
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / C
  for (let row = 0; row < x.length; row += C) {
    const values = [...x.subarray(row, row + C)]
    const centre = mean(values)
    const deviation = Math.sqrt(mean(values.map((value) => (value - centre) ** 2)) + epsilon)
    const normal = values.map((value) => (value - centre) / deviation)
    const gradient = [...dy.subarray(row, row + C)]
    const scaled = gradient.map((value, c) => value * (gamma[c] ?? 0))
    const along = mean(scaled.map((value, c) => value * (normal[c] ?? 0)))
    const level = mean(scaled)
    for (const [c, n] of normal.entries()) {
      y.push(n * (gamma[c] ?? 0) + (beta[c] ?? 0))
      dx.push(((scaled[c] ?? 0) - level - n * along) / deviation)
      dGamma[c] = (dGamma[c] ?? 0) + (gradient[c] ?? 0) * n
      dBeta[c] = (dBeta[c] ?? 0) + (gradient[c] ?? 0)
    }
  }
  return { y, dx, dGamma, dBeta }
}
