// Losses that are a sum over outputs, each by itself: loss = weight·sum of f(x, t). Two outputs of the same picture know nothing of each
// other, so a picture may have several labels, or numbers for targets.

import { exponential } from '../approximations/exponential'
import { logarithmOnePlus } from '../approximations/logarithm-one-plus'
import { logistic } from '../approximations/logistic'
import { laneSum, lanesBefore } from '../lanes'

/** Cross-entropy of the sigmoid: -t·log s - (1 - t)·log(1 - s) = log(1 + e^x) - t·x, whose slope is s - t. */
@unmanaged
class BinaryCrossEntropy {
  @inline
  value(x: v128, t: v128): v128 {
    const rest = logarithmOnePlus(exponential(f32x4.neg(f32x4.abs(x))))
    return f32x4.add(f32x4.sub(f32x4.pmax(x, f32x4.splat(0)), f32x4.mul(x, t)), rest)
  }

  @inline
  slope(x: v128, t: v128): v128 {
    return f32x4.sub(logistic(x), t)
  }
}

/** (sigmoid(x) - t)²/2. */
@unmanaged
class Quadratic {
  @inline
  value(x: v128, t: v128): v128 {
    const difference = f32x4.sub(logistic(x), t)
    return f32x4.mul(f32x4.splat(0.5), f32x4.mul(difference, difference))
  }

  @inline
  slope(x: v128, t: v128): v128 {
    const s = logistic(x)
    return f32x4.mul(f32x4.sub(s, t), f32x4.mul(s, f32x4.sub(f32x4.splat(1), s)))
  }
}

/** (x - t)². */
@unmanaged
class SquaredError {
  @inline
  value(x: v128, t: v128): v128 {
    const difference = f32x4.sub(x, t)
    return f32x4.mul(difference, difference)
  }

  @inline
  slope(x: v128, t: v128): v128 {
    return f32x4.mul(f32x4.splat(2), f32x4.sub(x, t))
  }
}

/** |x - t|. */
@unmanaged
class AbsoluteError {
  @inline
  value(x: v128, t: v128): v128 {
    return f32x4.abs(f32x4.sub(x, t))
  }

  /** The sign; 0 has none. */
  @inline
  slope(x: v128, t: v128): v128 {
    const difference = f32x4.sub(x, t)
    const sign = v128.bitselect(difference, f32x4.splat(1), f32x4.splat(-0.0))
    const isZero = f32x4.eq(difference, f32x4.splat(0))
    // NaN minus itself is NaN.
    return f32x4.add(v128.andnot(sign, isZero), f32x4.sub(difference, difference))
  }
}

/** The loop over rows. The instance has no substance: the compiler writes the loss into the loop. */
function rows<L>(
  logits: usize,
  targets: usize,
  weights: usize,
  losses: usize,
  dLogits: usize,
  C: i32,
  S: i32,
  from: i32,
  to: i32,
): void {
  const loss = changetype<L>(<usize>0)
  const stride = (<usize>S) << 2
  for (let row = from; row < to; row++) {
    const start = <usize>row * stride
    const weight: f32 = weights ? load<f32>(weights + ((<usize>row) << 2)) : 1
    const scale = f32x4.splat(weight)
    let sum = f32x4.splat(0)
    for (let c = 0; c < S; c += 4) {
      const at = start + ((<usize>c) << 2)
      const counted = lanesBefore(c, C)
      const x = v128.load(logits + at)
      const t = v128.load(targets + at)
      sum = f32x4.add(sum, v128.and(loss.value(x, t), counted))
      if (dLogits) v128.store(dLogits + at, v128.and(f32x4.mul(scale, loss.slope(x, t)), counted))
    }
    store<f32>(losses + ((<usize>row) << 2), weight * laneSum(sum))
  }
}

/**
 * loss = weight·sum of log(1 + e^x) - t·x, the cross-entropy of sigmoids; dLogits = weight·(sigmoid(x) - t).
 * logits, targets, dLogits: f32[rows, S], the first C count; weights, losses: f32[rows]. weights may be null (1), dLogits null or logits.
 * Units are rows.
 */
export function binaryCrossEntropy(
  logits: usize,
  targets: usize,
  weights: usize,
  losses: usize,
  dLogits: usize,
  C: i32,
  S: i32,
  from: i32,
  to: i32,
): void {
  rows<BinaryCrossEntropy>(logits, targets, weights, losses, dLogits, C, S, from, to)
}

/** loss = weight·sum of (sigmoid(x) - t)²/2, with arguments as of `binaryCrossEntropy`. */
export function quadraticCost(
  logits: usize,
  targets: usize,
  weights: usize,
  losses: usize,
  dLogits: usize,
  C: i32,
  S: i32,
  from: i32,
  to: i32,
): void {
  rows<Quadratic>(logits, targets, weights, losses, dLogits, C, S, from, to)
}

/** loss = weight·sum of (x - t)², with arguments as of `binaryCrossEntropy`. */
export function squaredError(
  logits: usize,
  targets: usize,
  weights: usize,
  losses: usize,
  dLogits: usize,
  C: i32,
  S: i32,
  from: i32,
  to: i32,
): void {
  rows<SquaredError>(logits, targets, weights, losses, dLogits, C, S, from, to)
}

/** loss = weight·sum of |x - t|, with arguments as of `binaryCrossEntropy`. */
export function absoluteError(
  logits: usize,
  targets: usize,
  weights: usize,
  losses: usize,
  dLogits: usize,
  C: i32,
  S: i32,
  from: i32,
  to: i32,
): void {
  rows<AbsoluteError>(logits, targets, weights, losses, dLogits, C, S, from, to)
}
