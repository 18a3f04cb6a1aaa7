import { multiplyAdd } from '../lanes'
import { exponentialOfSum } from './exponential'

/**
 * e^(-x²/2) on four lanes, within 1.6 ULP however small. x² has twice the digits of an f32, and the exponential would magnify what
 * is lost: x is cut after 12 bits, whose square is exact, and the rest, (x - cut)(x + cut)/2, comes as a low part.
 */
// @ts-ignore: decorator
@inline
export function exponentialOfHalfSquare(x: v128): v128 {
  // From 16 on the result is 0, and the low part would leave its range.
  const size = f32x4.pmin(f32x4.abs(x), f32x4.splat(16))
  const cut = v128.and(size, i32x4.splat(0xfffff000))
  const minusHalf = f32x4.splat(-0.5)
  const high = f32x4.mul(f32x4.mul(cut, cut), minusHalf)
  const low = f32x4.mul(f32x4.mul(f32x4.sub(size, cut), f32x4.add(size, cut)), minusHalf)
  return exponentialOfSum(high, low)
}

/**
 * Share of the normal distribution below x, (1 + erf(x/√2))/2, on four lanes. Worst error 8 ULP, also where it is nearly 0.
 * @param power  `exponentialOfHalfSquare(x)`
 * The tail beyond |x| is power·t·P(t), t = 1/(1 + 0.3|x|), with our minimax polynomial P for |x| <= 14.5: its error is 0.06 ULP.
 */
// @ts-ignore: decorator
@inline
export function normalShare(x: v128, power: v128): v128 {
  const one = f32x4.splat(1)
  const t = f32x4.div(one, multiplyAdd(f32x4.abs(x), f32x4.splat(0.3), one))
  let p = f32x4.splat(-0.02062337444)
  p = multiplyAdd(p, t, f32x4.splat(0.1124351046))
  p = multiplyAdd(p, t, f32x4.splat(-0.2282124223))
  p = multiplyAdd(p, t, f32x4.splat(0.1917829981))
  p = multiplyAdd(p, t, f32x4.splat(-0.07942225073))
  p = multiplyAdd(p, t, f32x4.splat(0.09615619251))
  p = multiplyAdd(p, t, f32x4.splat(0.07838985982))
  p = multiplyAdd(p, t, f32x4.splat(0.1102353825))
  p = multiplyAdd(p, t, f32x4.splat(0.1195718186))
  p = multiplyAdd(p, t, f32x4.splat(0.1196866896))
  const tail = f32x4.mul(power, f32x4.mul(t, p))
  return v128.bitselect(tail, f32x4.sub(one, tail), f32x4.lt(x, f32x4.splat(0)))
}
