// Activations as clamps: none is [-infinity, infinity], relu [0, infinity], relu6 [0, 6]. One code path, no branches.

import { activationCeiling } from './lanes'

/** The bits of -infinity. */
const MINUS_INFINITY: i32 = <i32>0xff800000

/** Lower bound of activation 0 none, 1 relu, 2 relu6, on four lanes. From its bits, as the ceiling is. */
export function lowerBound(activation: i32): v128 {
  return i32x4.splat((activation - 1) & MINUS_INFINITY)
}

/** Upper bound of activation 0 none, 1 relu, 2 relu6, on four lanes. */
export function upperBound(activation: i32): v128 {
  return activationCeiling(activation)
}

/** The value between the bounds. The value stands first in both comparisons, so a NaN passes through. */
// @ts-ignore: decorator
@inline
export function clamp(value: v128, low: v128, high: v128): v128 {
  return f32x4.pmin(f32x4.pmax(value, low), high)
}

/** dy where the activation let it through, seen from its output y; else 0. As in PyTorch, a NaN in y lets dy through. */
// @ts-ignore: decorator
@inline
export function throughActivation(dy: v128, y: v128, low: v128, high: v128): v128 {
  return v128.andnot(dy, v128.or(f32x4.le(y, low), f32x4.ge(y, high)))
}

/** y = act(x).  f32, units are vectors of 4; y may be x. */
export function activationForward(x: usize, y: usize, activation: i32, from: i32, to: i32): void {
  const low = lowerBound(activation)
  const high = upperBound(activation)
  const end = (<usize>to) << 4
  for (let i = (<usize>from) << 4; i < end; i += 16) v128.store(y + i, clamp(v128.load(x + i), low, high))
}

/** dx = dy where y is strictly between the bounds, else 0; written, or added.  f32, units are vectors of 4; dx may be dy. */
export function activationBackward(
  y: usize,
  dy: usize,
  dx: usize,
  activation: i32,
  accumulate: i32,
  from: i32,
  to: i32,
): void {
  const low = lowerBound(activation)
  const high = upperBound(activation)
  const end = (<usize>to) << 4
  for (let i = (<usize>from) << 4; i < end; i += 16) {
    let gradient = v128.load(dy + i)
    if (activation) gradient = throughActivation(gradient, v128.load(y + i), low, high)
    if (accumulate) gradient = f32x4.add(v128.load(dx + i), gradient)
    v128.store(dx + i, gradient)
  }
}
