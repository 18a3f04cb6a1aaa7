// Layer norm in float64.
export function layerNormalised(
  x: Float64Array,
  weight: Float64Array,
  bias: Float64Array,
  epsilon: number,
): Float64Array {
  const { normal } = normalise(x, weight.length, epsilon)
  return normal.map((value, at) => value * (weight[at % weight.length] ?? 0) + (bias[at % weight.length] ?? 0))
}

export function layerNormGradients(x: Float64Array, weight: Float64Array, epsilon: number, dOutput: Float64Array) {
  const width = weight.length
  const { normal, inverse } = normalise(x, width, epsilon)
  const dWeight = new Float64Array(width)
  const dBias = new Float64Array(width)
  const dInput = new Float64Array(x.length)
  for (const [row, factor] of inverse.entries()) {
    let sum = 0
    let products = 0
    for (let channel = 0; channel < width; channel++) {
      const at = row * width + channel
      const dy = dOutput[at] ?? Number.NaN
      const n = normal[at] ?? Number.NaN
      dWeight[channel] = (dWeight[channel] ?? 0) + dy * n
      dBias[channel] = (dBias[channel] ?? 0) + dy
      const g = dy * (weight[channel] ?? 0)
      sum += g
      products += g * n
    }
    for (let channel = 0; channel < width; channel++) {
      const at = row * width + channel
      const g = (dOutput[at] ?? Number.NaN) * (weight[channel] ?? 0)
      dInput[at] = factor * (g - sum / width - ((normal[at] ?? Number.NaN) * products) / width)
    }
  }
  return { dInput, dWeight, dBias }
}

/** x without mean and scale, row by row, and what each row was multiplied by. */
function normalise(x: Float64Array, width: number, epsilon: number) {
  const inverse = new Float64Array(x.length / width)
  const normal = new Float64Array(x.length)
  for (let row = 0; row < inverse.length; row++) {
    const values = x.subarray(row * width, (row + 1) * width)
    const mean = values.reduce((sum, value) => sum + value, 0) / width
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / width
    const factor = 1 / Math.sqrt(variance + epsilon)
    inverse[row] = factor
    for (const [channel, value] of values.entries()) normal[row * width + channel] = (value - mean) * factor
  }
  return { normal, inverse }
}
