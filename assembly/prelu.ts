// PReLU: x, or slope·x below 0, with a slope that is learnt: one for each channel, or one for all.
// He et al. 2015, https://arxiv.org/abs/1502.01852

import { laneSum } from './lanes'
import { SUM_ROWS } from './matmul/transposed'

/** The slopes of four channels: their own, or the only one. */
// @ts-ignore: decorator
@inline
function slopesAt(weight: usize, channel: usize, shared: i32): v128 {
  return shared ? v128.load32_splat(weight) : v128.load(weight + channel)
}

/** y = x, or weight·x below 0.  x, y: f32[rows, S]; weight: f32[S], or f32[1] when shared. Units are rows; y may be x. */
export function preluForward(x: usize, weight: usize, y: usize, S: i32, shared: i32, from: i32, to: i32): void {
  const zero = f32x4.splat(0)
  const stride = (<usize>S) << 2
  for (let channel: usize = 0; channel < stride; channel += 16) {
    const slope = slopesAt(weight, channel, shared)
    const end = <usize>to * stride + channel
    for (let i = <usize>from * stride + channel; i < end; i += stride) {
      const value = v128.load(x + i)
      v128.store(y + i, v128.bitselect(value, f32x4.mul(slope, value), f32x4.gt(value, zero)))
    }
  }
}

/** dx = dy, or weight·dy where x is not above 0; written, or added. Units are rows; dx may be dy. */
export function preluBackwardInput(
  x: usize,
  weight: usize,
  dy: usize,
  dx: usize,
  S: i32,
  shared: i32,
  accumulate: i32,
  from: i32,
  to: i32,
): void {
  const zero = f32x4.splat(0)
  const stride = (<usize>S) << 2
  for (let channel: usize = 0; channel < stride; channel += 16) {
    const slope = slopesAt(weight, channel, shared)
    const end = <usize>to * stride + channel
    for (let i = <usize>from * stride + channel; i < end; i += stride) {
      let gradient = v128.load(dy + i)
      gradient = v128.bitselect(gradient, f32x4.mul(slope, gradient), f32x4.gt(v128.load(x + i), zero))
      if (accumulate) gradient = f32x4.add(v128.load(dx + i), gradient)
      v128.store(dx + i, gradient)
    }
  }
}

/**
 * dWeight += sum of x·dy where x is not above 0.  x, dy: f32[M, S]; dWeight: f32[S], or its first value when shared.
 * Blocks of 256 rows are summed from zero and added in order. Units: groups of 4 channels; a single one when shared.
 */
export function preluBackwardWeight(
  x: usize,
  dy: usize,
  dWeight: usize,
  S: i32,
  M: i32,
  shared: i32,
  from: i32,
  to: i32,
): void {
  if (!shared) {
    for (let group = from; group < to; group++) {
      const channel = (<usize>group) << 4
      v128.store(dWeight + channel, f32x4.add(v128.load(dWeight + channel), groupSum(x + channel, dy + channel, S, M)))
    }
  } else if (from < to) {
    let sum = f32x4.splat(0)
    for (let group = 0; group < S >> 2; group++) {
      const channel = (<usize>group) << 4
      sum = f32x4.add(sum, groupSum(x + channel, dy + channel, S, M))
    }
    store<f32>(dWeight, load<f32>(dWeight) + laneSum(sum))
  }
}

function groupSum(x: usize, dy: usize, S: i32, M: i32): v128 {
  const zero = f32x4.splat(0)
  const step = (<usize>S) << 2
  let total = zero
  for (let m = 0; m < M; m += SUM_ROWS) {
    let sum = zero
    const end = <usize>min(m + SUM_ROWS, M) * step
    for (let i = <usize>m * step; i < end; i += step) {
      const value = v128.load(x + i)
      sum = f32x4.add(sum, v128.andnot(f32x4.mul(value, v128.load(dy + i)), f32x4.gt(value, zero)))
    }
    total = f32x4.add(total, sum)
  }
  return total
}
