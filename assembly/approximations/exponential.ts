// The exponential as our own arithmetic: hosts' Math.exp may differ in the last bit, this does not.

import { multiplyAdd } from '../lanes'

// ln 2 in two parts: n * LN2_HIGH is exact for |n| < 2^9 (the low 9 bits of its mantissa are zero).
const LN2_HIGH: f32 = 0.693145751953125
const LN2_LOW: f32 = 1.428606765330187e-6
const LOG2_E: f32 = 1.4426950408889634

/** The whole number nearest to x / ln 2. */
// @ts-ignore: decorator
@inline
function multipleOfLn2(x: v128): v128 {
  return f32x4.nearest(f32x4.mul(x, f32x4.splat(LOG2_E)))
}

/** x - n·ln 2, which lies within ln 2 / 2 of 0. */
// @ts-ignore: decorator
@inline
function withoutMultiple(x: v128, n: v128): v128 {
  return multiplyAdd(n, f32x4.splat(-LN2_LOW), multiplyAdd(n, f32x4.splat(-LN2_HIGH), x))
}

/** e^r - 1 for |r| <= 0.4, by the Taylor polynomial of degree 7 (remainder 5e-9, 0.05 ULP, at ln 2 / 2). */
// @ts-ignore: decorator
@inline
function smallMinusOne(r: v128): v128 {
  let p = f32x4.splat(1.0 / 5040.0)
  p = multiplyAdd(p, r, f32x4.splat(1.0 / 720.0))
  p = multiplyAdd(p, r, f32x4.splat(1.0 / 120.0))
  p = multiplyAdd(p, r, f32x4.splat(1.0 / 24.0))
  p = multiplyAdd(p, r, f32x4.splat(1.0 / 6.0))
  p = multiplyAdd(p, r, f32x4.splat(0.5))
  // r + r²·p: the small part is summed first.
  return multiplyAdd(p, f32x4.mul(r, r), r)
}

/** value·2^n in two factors, so that neither overflows where the result does not. */
// @ts-ignore: decorator
@inline
function timesPowerOfTwo(value: v128, n: v128): v128 {
  const whole = i32x4.trunc_sat_f32x4_s(n)
  const half = i32x4.shr_s(whole, 1)
  const bias = i32x4.splat(127)
  const first = i32x4.shl(i32x4.add(half, bias), 23)
  const second = i32x4.shl(i32x4.add(i32x4.sub(whole, half), bias), 23)
  return f32x4.mul(f32x4.mul(value, first), second)
}

/**
 * e^x on four lanes. Worst error 1.1 ULP where the result is normal, one denormal step below; 0 from -104 down,
 * infinity from 88.73 up, NaN for NaN.
 */
// @ts-ignore: decorator
@inline
export function exponential(x: v128): v128 {
  const clipped = f32x4.pmin(f32x4.pmax(x, f32x4.splat(-104)), f32x4.splat(89))
  const n = multipleOfLn2(clipped)
  return timesPowerOfTwo(f32x4.add(smallMinusOne(withoutMultiple(clipped, n)), f32x4.splat(1)), n)
}

/** e^(high + low) on four lanes, as exact as `exponential` although the sum may have more digits than an f32; |low| <= 0.06. */
// @ts-ignore: decorator
@inline
export function exponentialOfSum(high: v128, low: v128): v128 {
  const clipped = f32x4.pmin(f32x4.pmax(high, f32x4.splat(-104)), f32x4.splat(89))
  const n = multipleOfLn2(clipped)
  const r = f32x4.add(withoutMultiple(clipped, n), low)
  return timesPowerOfTwo(f32x4.add(smallMinusOne(r), f32x4.splat(1)), n)
}

/**
 * e^x - 1 on four lanes for x up to 80, near 0 too. Worst error 2 ULP; -1 from -18 down, NaN for NaN.
 * 2^n·(e^r - 1) + (2^n - 1): the second part is exact wherever it matters.
 */
// @ts-ignore: decorator
@inline
export function exponentialMinusOne(x: v128): v128 {
  const clipped = f32x4.pmax(x, f32x4.splat(-20))
  const n = multipleOfLn2(clipped)
  const power = i32x4.shl(i32x4.add(i32x4.trunc_sat_f32x4_s(n), i32x4.splat(127)), 23)
  const one = f32x4.splat(1)
  return multiplyAdd(power, smallMinusOne(withoutMultiple(clipped, n)), f32x4.sub(power, one))
}

/** y = e^x.  f32, units are vectors of 4; y may be x. */
export function exponentialForward(x: usize, y: usize, from: i32, to: i32): void {
  const end = (<usize>to) << 4
  for (let i = (<usize>from) << 4; i < end; i += 16) v128.store(y + i, exponential(v128.load(x + i)))
}
