/** |a - b| / |b| in the L2 norm; infinite where lengths differ or a value is not a number, 0 where both are zero. */
export function relativeDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY
  let difference = 0
  let size = 0
  for (let i = 0; i < b.length; i++) {
    const expected = b[i] ?? Number.NaN
    difference += ((a[i] ?? Number.NaN) - expected) ** 2
    size += expected ** 2
  }
  if (difference === 0) return 0
  const ratio = Math.sqrt(difference / size)
  return Number.isNaN(ratio) ? Number.POSITIVE_INFINITY : ratio
}
