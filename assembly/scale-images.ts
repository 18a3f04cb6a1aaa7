// Each picture's channels times numbers of its own: the gates of squeeze and excitation.

import { SUM_ROWS } from './matmul/transposed'

/** y = x·scale[row / pixels], written, or added.  x, y: f32[rows, S], scale: f32[images, S]. Units are rows; y may be x. */
export function scaleImages(
  x: usize,
  scale: usize,
  y: usize,
  pixels: i32,
  S: i32,
  accumulate: i32,
  from: i32,
  to: i32,
): void {
  const stride = <usize>S << 2
  for (let row = from; row < to; row++) {
    const source = x + <usize>row * stride
    const target = y + <usize>row * stride
    const factors = scale + <usize>(row / pixels) * stride
    for (let c: usize = 0; c < stride; c += 16) {
      let value = f32x4.mul(v128.load(source + c), v128.load(factors + c))
      if (accumulate) value = f32x4.add(v128.load(target + c), value)
      v128.store(target + c, value)
    }
  }
}

/** dScale = sum over the pixels of each picture of x·dy, written, or added.  dScale: f32[images, S]. Units are images. */
export function scaleImagesGradient(
  x: usize,
  dy: usize,
  dScale: usize,
  pixels: i32,
  S: i32,
  accumulate: i32,
  from: i32,
  to: i32,
): void {
  const stride = <usize>S << 2
  for (let image = from; image < to; image++) {
    const start = <usize>(image * pixels) * stride
    const target = dScale + <usize>image * stride
    for (let c: usize = 0; c < stride; c += 16) {
      const sum = productSum(x + start + c, dy + start + c, stride, pixels)
      v128.store(target + c, accumulate ? f32x4.add(v128.load(target + c), sum) : sum)
    }
  }
}

/** sums += sum over M rows of x·dy.  x, dy: f32[M, S]. Units: groups of 4 channels. */
export function productSums(x: usize, dy: usize, sums: usize, S: i32, M: i32, from: i32, to: i32): void {
  for (let group = from; group < to; group++) {
    const channel = <usize>group << 4
    const sum = productSum(x + channel, dy + channel, <usize>S << 2, M)
    v128.store(sums + channel, f32x4.add(v128.load(sums + channel), sum))
  }
}

/** Of four channels; blocks of 256 rows are summed from zero and added in order. */
function productSum(x: usize, dy: usize, stride: usize, rows: i32): v128 {
  let total = f32x4.splat(0)
  for (let row = 0; row < rows; row += SUM_ROWS) {
    let sum = f32x4.splat(0)
    const end = <usize>min(row + SUM_ROWS, rows) * stride
    for (let i = <usize>row * stride; i < end; i += stride) {
      sum = f32x4.add(sum, f32x4.mul(v128.load(x + i), v128.load(dy + i)))
    }
    total = f32x4.add(total, sum)
  }
  return total
}
