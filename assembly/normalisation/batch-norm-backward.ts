// Backward of batch normalisation: two sums over the batch, coefficients per channel, then one pass over the elements.
// dy' is dy where the activation let it through. That is seen from x: the output is computed anew, for a multiply-add is cheaper
// than reading it. What belongs to a channel lies together, group by group of four channels, so that one pointer reaches it: with
// a pointer each V8 runs out of registers (50176x144, dx from x and dy: 24 in place of 37 GB/s).

import { lowerBound, throughActivation, upperBound } from '../activations'
import { multiplyAdd } from '../lanes'

/**
 * partials[block] = for each group of 4 channels the sum of dy'[4], the sum of dy'·(x - mean)/sqrt(variance + epsilon)[4].
 * x, dy: f32[M, S]; saved: as `batchNormFinish` leaves it. Units are blocks of `blockRows` rows.
 */
export function batchNormReduce(
  x: usize,
  dy: usize,
  S: i32,
  M: i32,
  blockRows: i32,
  saved: usize,
  activation: i32,
  partials: usize,
  from: i32,
  to: i32,
): void {
  const stride = (<usize>S) << 2
  const low = lowerBound(activation)
  const high = upperBound(activation)
  for (let block = from; block < to; block++) {
    const start = block * blockRows
    const out = partials + <usize>block * 2 * stride
    memory.fill(out, 0, stride << 1)
    let offset = <usize>start * stride
    // Row by row: several rows of two matrices at once outrun the prefetchers.
    for (let left = min(blockRows, M - start); left > 0; left--) {
      if (activation) reduceThrough(x + offset, dy + offset, stride, saved, low, high, out)
      else reducePlain(x + offset, dy + offset, stride, saved, out)
      offset += stride
    }
    for (let c: usize = 0; c < stride; c += 16) {
      const sum = out + (c << 1)
      v128.store(sum, f32x4.mul(v128.load(sum, 16), v128.load(saved + (c << 2), 16)), 16)
    }
  }
}

function reduceThrough(x: usize, dy: usize, stride: usize, saved: usize, low: v128, high: v128, out: usize): void {
  for (let c: usize = 0; c < stride; c += 16) {
    const table = saved + (c << 2)
    const value = v128.load(x + c)
    const output = multiplyAdd(value, v128.load(table, 32), v128.load(table, 48))
    const gradient = throughActivation(v128.load(dy + c), output, low, high)
    const sum = out + (c << 1)
    v128.store(sum, f32x4.add(v128.load(sum), gradient))
    v128.store(sum, multiplyAdd(gradient, f32x4.sub(value, v128.load(table)), v128.load(sum, 16)), 16)
  }
}

function reducePlain(x: usize, dy: usize, stride: usize, saved: usize, out: usize): void {
  for (let c: usize = 0; c < stride; c += 16) {
    const gradient = v128.load(dy + c)
    const centred = f32x4.sub(v128.load(x + c), v128.load(saved + (c << 2)))
    const sum = out + (c << 1)
    v128.store(sum, f32x4.add(v128.load(sum), gradient))
    v128.store(sum, multiplyAdd(gradient, centred, v128.load(sum, 16)), 16)
  }
}

/**
 * dGamma += sum of dy'·xhat, dBeta += sum of dy' (each unless null), and the coefficients of batchNormBackwardInput:
 * k0 = gamma·s, k1 = -gamma·s²·mean(dy'·xhat), k2 = -k0·mean(dy'), with s = 1/sqrt(variance + epsilon), and mean, scale and shift as
 * saved; without batchStatistics (mean and variance are constants) k1 = k2 = 0.
 * gamma may be null (1); partials may be null where only the coefficients without batchStatistics are wanted.
 * Sums of blocks in f64, in block order. Units are groups of 4 channels.
 */
export function batchNormBackwardFinish(
  partials: usize,
  M: i32,
  blockRows: i32,
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
  const block = (<usize>S) << 3
  for (let group = from; group < to; group++) {
    const table = saved + ((<usize>group) << 6)
    const target = coefficients + <usize>group * 96
    for (let lane: usize = 0; lane < 16; lane += 4) {
      const c = ((<usize>group) << 4) + lane
      const sums = partials + ((<usize>group) << 5) + lane
      const sum = partials ? sumBlocks(sums, M, blockRows, block) : 0
      const product = partials ? sumBlocks(sums + 16, M, blockRows, block) : 0
      if (dBeta) store<f32>(dBeta + c, <f32>(<f64>load<f32>(dBeta + c) + sum))
      if (dGamma) store<f32>(dGamma + c, <f32>(<f64>load<f32>(dGamma + c) + product))
      const inverse = <f64>load<f32>(table + lane, 16)
      const k0 = (gamma ? <f64>load<f32>(gamma + c) : 1) * inverse
      const share = batchStatistics ? -k0 / <f64>M : 0
      store<f32>(target + lane, <f32>k0)
      store<f32>(target + lane, <f32>(share * inverse * product), 16)
      store<f32>(target + lane, <f32>(share * sum), 32)
    }
    v128.store(target, v128.load(table), 48)
    v128.store(target, v128.load(table, 32), 64)
    v128.store(target, v128.load(table, 48), 80)
  }
}

function sumBlocks(partials: usize, M: i32, blockRows: i32, block: usize): f64 {
  let sum: f64 = 0
  for (let start = 0; start < M; start += blockRows) {
    sum += <f64>load<f32>(partials)
    partials += block
  }
  return sum
}

/**
 * dx = k0·dy' + k1·(x - mean) + k2, written, or added.
 * x, dy, dx: f32[rows, S], dx may be dy; coefficients: for each group of 4 channels k0[4], k1[4], k2[4], mean[4], scale[4],
 * shift[4]. x may be null where k1 and activation are 0. Units are rows.
 */
export function batchNormBackwardInput(
  x: usize,
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
  const low = lowerBound(activation)
  const high = upperBound(activation)
  let offset = <usize>from * stride
  for (let row = from; row < to; row++) {
    const target = dx + offset
    if (!x) rowScaled(dy + offset, target, stride, coefficients, accumulate)
    else if (activation) rowThrough(x + offset, dy + offset, target, stride, coefficients, low, high, accumulate)
    else rowPlain(x + offset, dy + offset, target, stride, coefficients, accumulate)
    offset += stride
  }
}

function rowThrough(
  x: usize,
  dy: usize,
  dx: usize,
  stride: usize,
  coefficients: usize,
  low: v128,
  high: v128,
  accumulate: i32,
): void {
  for (let c: usize = 0; c < stride; c += 16) {
    const table = coefficients + c * 6
    const value = v128.load(x + c)
    const output = multiplyAdd(value, v128.load(table, 64), v128.load(table, 80))
    const gradient = throughActivation(v128.load(dy + c), output, low, high)
    const centred = f32x4.sub(value, v128.load(table, 48))
    let result = multiplyAdd(v128.load(table, 16), centred, v128.load(table, 32))
    result = multiplyAdd(v128.load(table), gradient, result)
    if (accumulate) result = f32x4.add(v128.load(dx + c), result)
    v128.store(dx + c, result)
  }
}

function rowPlain(x: usize, dy: usize, dx: usize, stride: usize, coefficients: usize, accumulate: i32): void {
  for (let c: usize = 0; c < stride; c += 16) {
    const table = coefficients + c * 6
    const centred = f32x4.sub(v128.load(x + c), v128.load(table, 48))
    let result = multiplyAdd(v128.load(table, 16), centred, v128.load(table, 32))
    result = multiplyAdd(v128.load(table), v128.load(dy + c), result)
    if (accumulate) result = f32x4.add(v128.load(dx + c), result)
    v128.store(dx + c, result)
  }
}

function rowScaled(dy: usize, dx: usize, stride: usize, coefficients: usize, accumulate: i32): void {
  for (let c: usize = 0; c < stride; c += 16) {
    let value = f32x4.mul(v128.load(coefficients + c * 6), v128.load(dy + c))
    if (accumulate) value = f32x4.add(v128.load(dx + c), value)
    v128.store(dx + c, value)
  }
}
