import { exponential } from './exponential'

/**
 * 1/(1 + e^-x) on four lanes. Worst error 2.5 ULP, also where the result is nearly 0; NaN for NaN.
 * Only e^-|x| is taken, which never overflows.
 */
// @ts-ignore: decorator
@inline
export function logistic(x: v128): v128 {
  const one = f32x4.splat(1)
  const power = exponential(f32x4.neg(f32x4.abs(x)))
  const numerator = v128.bitselect(one, power, f32x4.ge(x, f32x4.splat(0)))
  return f32x4.div(numerator, f32x4.add(one, power))
}
