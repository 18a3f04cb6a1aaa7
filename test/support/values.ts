// Deterministic test data, and the two layouts of channels: as many as there are, and padded to a multiple of four.

/** Numbers in -1 … 1, always the same for a seed. */
export function noise(count: number, seed: number): Float32Array {
  const values = new Float32Array(count)
  let state = (seed * 0x9e3779b9) >>> 0
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    let h = state ^ (state >>> 16)
    h = Math.imul(h, 0x85ebca6b)
    h = (h ^ (h >>> 13)) >>> 0
    values[i] = (h / 2 ** 32) * 2 - 1
  }
  return values
}

/** C rounded up to a multiple of four. */
export function padded(C: number): number {
  return Math.ceil(C / 4) * 4
}

/** Rows of C values to rows of padded(C), with zeros behind. */
export function pad(values: ArrayLike<number>, C: number): Float32Array {
  const S = padded(C)
  const rows = values.length / C
  const out = new Float32Array(rows * S)
  for (let row = 0; row < rows; row++) for (let c = 0; c < C; c++) out[row * S + c] = values[row * C + c] ?? Number.NaN
  return out
}

/** The first C values of every row. */
export function unpad(values: Float32Array, C: number): Float32Array {
  const S = padded(C)
  const rows = values.length / S
  const out = new Float32Array(rows * C)
  for (let row = 0; row < rows; row++) out.set(values.subarray(row * S, row * S + C), row * C)
  return out
}

/** The padding lanes of every row. */
export function padding(values: Float32Array, C: number): number[] {
  const S = padded(C)
  return [...values].filter((_, i) => i % S >= C)
}

/** Largest |a - b| - relative·|b|, or NaN or infinity where one of them is not finite and the other differs. */
export function excess(a: ArrayLike<number>, b: ArrayLike<number>, relative = 0): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY
  let worst = 0
  for (let i = 0; i < a.length; i++) {
    const actual = a[i] ?? Number.NaN
    const expected = b[i] ?? Number.NaN
    if (Object.is(actual, expected)) continue
    const difference = Math.abs(actual - expected) - relative * Math.abs(expected)
    if (Number.isNaN(difference)) return Number.NaN
    worst = Math.max(worst, difference)
  }
  return worst
}

/** The cuts of 0 … count at the given places. */
export function ranges(count: number, cuts: readonly number[]): [number, number][] {
  const ends = [0, ...cuts.filter((cut) => cut > 0 && cut < count), count]
  return ends.slice(1).map((end, i) => [ends[i] ?? 0, end])
}

/** Numerical derivative of `loss` with respect to every element of x, by central differences in float64. */
export function numericalGradient(loss: (x: Float64Array) => number, x: Float64Array, step = 1e-5): Float64Array {
  return x.map((value, i) => {
    const moved = x.slice()
    moved[i] = value + step
    const above = loss(moved)
    moved[i] = value - step
    return (above - loss(moved)) / (2 * step)
  })
}

/** Sum of products. */
export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += (a[i] ?? Number.NaN) * (b[i] ?? Number.NaN)
  return sum
}
