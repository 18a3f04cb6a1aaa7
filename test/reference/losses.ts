// Softmax and cross entropy with soft targets, as plain loops in float64.

const at = (values: ArrayLike<number>, i: number): number => values[i] ?? Number.NaN

/** Rows of C. */
export function softmax(x: ArrayLike<number>, C: number): Float64Array {
  const y = Float64Array.from(x)
  for (let row = 0; row < y.length; row += C) {
    const values = y.subarray(row, row + C)
    const maximum = values.reduce((a, b) => Math.max(a, b))
    const sum = values.reduce((total, value) => total + Math.exp(value - maximum), 0)
    for (let c = 0; c < C; c++) values[c] = Math.exp(at(values, c) - maximum) / sum
  }
  return y
}

/** -sum t·log softmax(x) of every row. */
export function crossEntropies(x: ArrayLike<number>, targets: ArrayLike<number>, C: number): Float64Array {
  const rows = x.length / C
  return Float64Array.from({ length: rows }, (_, row) => {
    const values = Array.from({ length: C }, (_, c) => at(x, row * C + c))
    const maximum = Math.max(...values)
    const normaliser = Math.log(values.reduce((total, value) => total + Math.exp(value - maximum), 0))
    return values.reduce((loss, value, c) => {
      const t = at(targets, row * C + c)
      return t === 0 ? loss : loss + t * (normaliser - (value - maximum))
    }, 0)
  })
}

/** Gradient of their sum: sum(t)·softmax(x) - t. */
export function crossEntropyGradient(x: ArrayLike<number>, targets: ArrayLike<number>, C: number): Float64Array {
  return softmax(x, C).map((probability, i) => {
    const row = Math.floor(i / C) * C
    const weight = Array.from({ length: C }, (_, c) => at(targets, row + c)).reduce((a, b) => a + b, 0)
    return weight * probability - at(targets, i)
  })
}
