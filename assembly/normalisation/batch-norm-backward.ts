// Backward of batch normalisation: two sums over the batch, coefficients per channel, then one pass over the elements.
// dy' is dy where the activation let it through, seen from its output y (not read when activation is 0).

import { lowerBound, throughActivation, upperBound } from '../activations'
import { multiplyAdd } from '../lanes'
import { BLOCK_ROWS } from './batch-norm-statistics'

/**
 * partials[block] = sum of dy'[S], sum of dy'·(x - mean)·saved[1][S].
 * x, y, dy: f32[M, S]; saved: mean[S], 1/sqrt(variance + epsilon)[S]. Units are blocks of 256 rows.
 */
export function batchNormReduce(
  x: usize,
  y: usize,
  dy: usize,
  S: i32,
  M: i32,
  saved: usize,
  activation: i32,
  partials: usize,
  from: i32,
  to: i32,
): void {
  const stride = (<usize>S) << 2
  for (let block = from; block < to; block++) {
    const start = block * BLOCK_ROWS
    const out = partials + <usize>block * 2 * stride
    memory.fill(out, 0, stride << 1)
    let offset = <usize>start * stride
    // Row by row: four rows of three matrices at once outrun the prefetchers (31 -> 8 GB/s at 12544x144).
    for (let left = min(BLOCK_ROWS, M - start); left > 0; left--) {
      reduceRow(x + offset, y + offset, dy + offset, stride, saved, activation, out)
      offset += stride
    }
    for (let c: usize = 0; c < stride; c += 16) {
      const sum = out + stride + c
      v128.store(sum, f32x4.mul(v128.load(sum), v128.load(saved + stride + c)))
    }
  }
}

// @ts-ignore: decorator
@inline
function gradientAt(dy: usize, y: usize, activation: i32, low: v128, high: v128): v128 {
  const gradient = v128.load(dy)
  return activation ? throughActivation(gradient, v128.load(y), low, high) : gradient
}

function reduceRow(x: usize, y: usize, dy: usize, stride: usize, saved: usize, activation: i32, out: usize): void {
  const low = lowerBound(activation)
  const high = upperBound(activation)
  for (let c: usize = 0; c < stride; c += 16) {
    const gradient = gradientAt(dy + c, y + c, activation, low, high)
    const centred = f32x4.sub(v128.load(x + c), v128.load(saved + c))
    const target = out + c
    v128.store(target, f32x4.add(v128.load(target), gradient))
    v128.store(target + stride, multiplyAdd(gradient, centred, v128.load(target + stride)))
  }
}

/**
 * dGamma += sum of dy'·xhat, dBeta += sum of dy' (each unless null), and the coefficients of batchNormBackwardInput:
 * k0 = gamma·s, k1 = -gamma·s²·mean(dy'·xhat), k2 = -k0·mean(dy'), and the mean, with s = saved[1];
 * without batchStatistics (mean and variance are constants) k1 = k2 = 0.
 * gamma may be null (1); partials may be null where only the coefficients without batchStatistics are wanted.
 * Sums of blocks in f64, in block order. Units are groups of 4 channels.
 */
export function batchNormBackwardFinish(
  partials: usize,
  M: i32,
  S: i32,
  gamma: usize,
  saved: usize,
  dGamma: usize,
  dBeta: usize,
  coefficients: usize,
  batchStatistics: i32,
  from: i32,
  to: i32,
): void {
  const stride = (<usize>S) << 2
  const end = (<usize>to) << 4
  for (let c = (<usize>from) << 4; c < end; c += 4) {
    const sum = partials ? sumBlocks(partials + c, M, stride) : 0
    const product = partials ? sumBlocks(partials + stride + c, M, stride) : 0
    if (dBeta) store<f32>(dBeta + c, <f32>(<f64>load<f32>(dBeta + c) + sum))
    if (dGamma) store<f32>(dGamma + c, <f32>(<f64>load<f32>(dGamma + c) + product))
    const inverse = <f64>load<f32>(saved + stride + c)
    const k0 = (gamma ? <f64>load<f32>(gamma + c) : 1) * inverse
    const share = batchStatistics ? -k0 / <f64>M : 0
    const target = coefficients + c
    store<f32>(target, <f32>k0)
    store<f32>(target + stride, <f32>(share * inverse * product))
    store<f32>(target + stride * 2, <f32>(share * sum))
    store<f32>(target + stride * 3, load<f32>(saved + c))
  }
}

function sumBlocks(partials: usize, M: i32, stride: usize): f64 {
  let sum: f64 = 0
  for (let start = 0; start < M; start += BLOCK_ROWS) {
    sum += <f64>load<f32>(partials)
    partials += stride << 1
  }
  return sum
}

/**
 * dx = k0·dy' + k1·(x - mean) + k2, written, or added.
 * x, y, dy, dx: f32[rows, S], dx may be dy; x may be null where k1 is 0; coefficients: k0[S], k1[S], k2[S], mean[S].
 * Units are rows.
 */
export function batchNormBackwardInput(
  x: usize,
  y: usize,
  dy: usize,
  dx: usize,
  S: i32,
  coefficients: usize,
  activation: i32,
  accumulate: i32,
  from: i32,
  to: i32,
): void {
  const stride = (<usize>S) << 2
  let offset = <usize>from * stride
  for (let row = from; row < to; row++) {
    if (x) rowInput(x + offset, y + offset, dy + offset, dx + offset, stride, coefficients, activation, accumulate)
    else rowScaled(y + offset, dy + offset, dx + offset, stride, coefficients, activation, accumulate)
    offset += stride
  }
}

function rowInput(
  x: usize,
  y: usize,
  dy: usize,
  dx: usize,
  stride: usize,
  k0: usize,
  activation: i32,
  accumulate: i32,
): void {
  const low = lowerBound(activation)
  const high = upperBound(activation)
  const k1 = k0 + stride
  const k2 = k1 + stride
  const mean = k2 + stride
  for (let c: usize = 0; c < stride; c += 16) {
    const gradient = gradientAt(dy + c, y + c, activation, low, high)
    const centred = f32x4.sub(v128.load(x + c), v128.load(mean + c))
    let value = multiplyAdd(v128.load(k1 + c), centred, v128.load(k2 + c))
    value = multiplyAdd(v128.load(k0 + c), gradient, value)
    if (accumulate) value = f32x4.add(v128.load(dx + c), value)
    v128.store(dx + c, value)
  }
}

function rowScaled(y: usize, dy: usize, dx: usize, stride: usize, k0: usize, activation: i32, accumulate: i32): void {
  const low = lowerBound(activation)
  const high = upperBound(activation)
  for (let c: usize = 0; c < stride; c += 16) {
    let value = f32x4.mul(v128.load(k0 + c), gradientAt(dy + c, y + c, activation, low, high))
    if (accumulate) value = f32x4.add(v128.load(dx + c), value)
    v128.store(dx + c, value)
  }
}
