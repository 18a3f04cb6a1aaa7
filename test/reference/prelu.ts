// PReLU and maxout as plain loops in float64, on rows of C values without padding.

const at = (values: ArrayLike<number>, i: number): number => values[i] ?? Number.NaN

/** @param slopes  one for each channel, or a single one */
export function prelu(x: ArrayLike<number>, slopes: ArrayLike<number>, C: number): Float64Array {
  return Float64Array.from(x, (value, i) => (value > 0 ? value : value * at(slopes, slopes.length === 1 ? 0 : i % C)))
}

/** Gradients of sum y·dy with respect to x and the slopes. */
export function preluGradients(x: ArrayLike<number>, slopes: ArrayLike<number>, dy: ArrayLike<number>, C: number) {
  const dSlopes = new Float64Array(slopes.length)
  const dx = Float64Array.from(x, (value, i) => {
    const channel = slopes.length === 1 ? 0 : i % C
    if (value > 0) return at(dy, i)
    dSlopes[channel] = at(dSlopes, channel) + value * at(dy, i)
    return at(slopes, channel) * at(dy, i)
  })
  return { dx, dSlopes }
}

/** The largest of each k neighbours. */
export function maxout(x: ArrayLike<number>, k: number): Float64Array {
  return Float64Array.from({ length: x.length / k }, (_, i) => {
    const group = Array.from({ length: k }, (_, j) => at(x, i * k + j))
    return Math.max(...group)
  })
}

/** dy at the first largest of each k neighbours, else 0. */
export function maxoutGradient(x: ArrayLike<number>, dy: ArrayLike<number>, k: number): Float64Array {
  const y = maxout(x, k)
  const done = new Set<number>()
  return Float64Array.from(x, (value, i) => {
    const group = Math.floor(i / k)
    if (done.has(group) || !Object.is(value, at(y, group))) return 0
    done.add(group)
    return at(dy, group)
  })
}
