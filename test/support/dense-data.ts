/** n floats between -1 and 1, the same for the same seed (Mulberry32). */
export function randomFloats(n: number, seed: number): Float32Array {
  const values = new Float32Array(n)
  let state = seed >>> 0
  for (let i = 0; i < n; i++) {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    values[i] = ((t ^ (t >>> 14)) >>> 0) / 2 ** 31 - 1
  }
  return values
}

/** Channels of a pixel as they lie in memory: rounded up to a multiple of 4. */
export function padded(channels: number): number {
  return Math.ceil(channels / 4) * 4
}

/** Rows of `columns` values, as rows of `step` values with zeros behind. */
export function padRows(source: ArrayLike<number>, columns: number, step: number): Float32Array {
  const rows = columns === 0 ? 0 : source.length / columns
  const result = new Float32Array(rows * step)
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) result[row * step + column] = at(source, row * columns + column)
  }
  return result
}

/** The first `columns` values of every row of `step`. */
export function unpadRows(source: ArrayLike<number>, columns: number, step: number): Float64Array {
  const rows = source.length / step
  const result = new Float64Array(rows * columns)
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) result[row * columns + column] = at(source, row * step + column)
  }
  return result
}

/** Element i, which must exist. */
export function at(values: ArrayLike<number>, i: number): number {
  const value = values[i]
  if (value === undefined) throw new RangeError(`Element ${i} of ${values.length}`)
  return value
}

/** The floats as their bit patterns, so that a comparison sees the sign of zero and every NaN. */
export function bits(values: Float32Array): Uint32Array {
  return new Uint32Array(values.slice().buffer)
}

/**
 * The largest |value - expected| / (tolerance.absolute + tolerance.relative·|expected|): at most 1 where all is well.
 * Infinite where the lengths differ or a value is not a number.
 */
export function worstError(
  values: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: { readonly absolute: number; readonly relative: number },
): number {
  if (values.length !== expected.length) return Infinity
  let worst = 0
  for (let i = 0; i < expected.length; i++) {
    const allowed = tolerance.absolute + tolerance.relative * Math.abs(at(expected, i))
    const ratio = Math.abs(at(values, i) - at(expected, i)) / allowed
    if (!(ratio <= worst)) worst = Number.isNaN(ratio) ? Infinity : ratio
  }
  return worst
}

/** Rounding of a sum of n products of values up to 1: each of n + 2 steps rounds a partial sum of a magnitude up to n. */
export function roundingOfSum(n: number): { readonly absolute: number; readonly relative: number } {
  // In practice partial sums of random signs grow with the square root.
  return { absolute: 2 ** -23 * (n + 2) * Math.sqrt(n + 2), relative: 0 }
}
