// Layer norm over the channels of each pixel. Ba et al. 2016, https://arxiv.org/abs/1607.06450

import { laneSum, lanesBefore, multiplyAdd } from '../lanes'
import { SUM_ROWS } from '../matmul/transposed'

/**
 * y = (x - mean) / sqrt(variance + epsilon)·gamma + beta; `statistics` gets mean and 1/sqrt(variance + epsilon) of each row.
 * x, y: f32[rows, S], zeros from C on; gamma, beta: f32[S], likewise; statistics: f32[rows, 2]. Units are rows; y may be x.
 */
export function layerNormForward(
  x: usize,
  gamma: usize,
  beta: usize,
  y: usize,
  C: i32,
  S: i32,
  epsilon: f64,
  statistics: usize,
  from: i32,
  to: i32,
): void {
  const stride = <usize>S << 2
  const last = stride - 16
  const kept = lanesBefore(S - 4, C)
  for (let row = from; row < to; row++) {
    const source = x + <usize>row * stride
    const target = y + <usize>row * stride
    let sum = f32x4.splat(0)
    for (let c: usize = 0; c < stride; c += 16) sum = f32x4.add(sum, v128.load(source + c))
    const mean = laneSum(sum) / <f32>C
    const centre = f32x4.splat(mean)
    let squares = f32x4.splat(0)
    for (let c: usize = 0; c < last; c += 16) {
      const difference = f32x4.sub(v128.load(source + c), centre)
      squares = f32x4.add(squares, f32x4.mul(difference, difference))
    }
    const difference = v128.and(f32x4.sub(v128.load(source + last), centre), kept)
    squares = f32x4.add(squares, f32x4.mul(difference, difference))
    const inverse = <f32>(1 / sqrt(<f64>(laneSum(squares) / <f32>C) + epsilon))
    const factor = f32x4.splat(inverse)
    for (let c: usize = 0; c < stride; c += 16) {
      const normal = f32x4.mul(f32x4.sub(v128.load(source + c), centre), factor)
      v128.store(target + c, multiplyAdd(normal, v128.load(gamma + c), v128.load(beta + c)))
    }
    const place = statistics + (<usize>row << 3)
    store<f32>(place, mean)
    store<f32>(place + 4, inverse)
  }
}

/**
 * dx = (g - mean of g - n·mean of g·n) / sqrt(variance + epsilon), where g = dy·gamma and n = (x - mean)/sqrt(variance + epsilon);
 * written, or added. Units are rows; dx may be dy.
 */
export function layerNormBackwardInput(
  x: usize,
  gamma: usize,
  dy: usize,
  dx: usize,
  C: i32,
  S: i32,
  statistics: usize,
  accumulate: i32,
  from: i32,
  to: i32,
): void {
  const stride = <usize>S << 2
  for (let row = from; row < to; row++) {
    const start = <usize>row * stride
    const centre = v128.load32_splat(statistics + (<usize>row << 3))
    const factor = v128.load32_splat(statistics + (<usize>row << 3) + 4)
    let sum = f32x4.splat(0)
    let products = f32x4.splat(0)
    for (let c: usize = 0; c < stride; c += 16) {
      const scaled = f32x4.mul(v128.load(dy + start + c), v128.load(gamma + c))
      const normal = f32x4.mul(f32x4.sub(v128.load(x + start + c), centre), factor)
      sum = f32x4.add(sum, scaled)
      products = f32x4.add(products, f32x4.mul(scaled, normal))
    }
    const mean = f32x4.splat(laneSum(sum) / <f32>C)
    const slope = f32x4.splat(laneSum(products) / <f32>C)
    for (let c = 0; c < S; c += 4) {
      const at = start + (<usize>c << 2)
      const scaled = f32x4.mul(v128.load(dy + at), v128.load(gamma + (<usize>c << 2)))
      const normal = f32x4.mul(f32x4.sub(v128.load(x + at), centre), factor)
      let gradient = f32x4.mul(factor, f32x4.sub(f32x4.sub(scaled, mean), f32x4.mul(normal, slope)))
      gradient = v128.and(gradient, lanesBefore(c, C))
      if (accumulate) gradient = f32x4.add(v128.load(dx + at), gradient)
      v128.store(dx + at, gradient)
    }
  }
}

/**
 * dGamma += sum of dy·n, dBeta += sum of dy; either may be null.  x, dy: f32[M, S].
 * Blocks of 256 rows are summed from zero and added in order. Units: groups of 4 channels.
 */
export function layerNormBackwardParameters(
  x: usize,
  dy: usize,
  dGamma: usize,
  dBeta: usize,
  S: i32,
  M: i32,
  statistics: usize,
  from: i32,
  to: i32,
): void {
  const stride = <usize>S << 2
  for (let group = from; group < to; group++) {
    const channel = <usize>group << 4
    let scales = f32x4.splat(0)
    let shifts = f32x4.splat(0)
    for (let block = 0; block < M; block += SUM_ROWS) {
      let products = f32x4.splat(0)
      let sum = f32x4.splat(0)
      const end = min(block + SUM_ROWS, M)
      for (let row = block; row < end; row++) {
        const at = <usize>row * stride + channel
        const place = statistics + (<usize>row << 3)
        const difference = f32x4.sub(v128.load(x + at), v128.load32_splat(place))
        const normal = f32x4.mul(difference, v128.load32_splat(place + 4))
        const gradient = v128.load(dy + at)
        products = f32x4.add(products, f32x4.mul(gradient, normal))
        sum = f32x4.add(sum, gradient)
      }
      scales = f32x4.add(scales, products)
      shifts = f32x4.add(shifts, sum)
    }
    if (dGamma) v128.store(dGamma + channel, f32x4.add(v128.load(dGamma + channel), scales))
    if (dBeta) v128.store(dBeta + channel, f32x4.add(v128.load(dBeta + channel), shifts))
  }
}
