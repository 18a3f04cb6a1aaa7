import { exponential } from '../approximations/exponential'
import { laneSum, lanesBefore } from '../lanes'

/** Lanes c … c+3 of a row, those from C on replaced by -infinity. */
// @ts-ignore: decorator
@inline
function loadMasked(row: usize, c: i32, C: i32): v128 {
  return v128.bitselect(v128.load(row + ((<usize>c) << 2)), f32x4.splat(-Infinity), lanesBefore(c, C))
}

/** Largest of the first C values; NaN if one of them is. */
export function rowMaximum(row: usize, C: i32): f32 {
  let largest = f32x4.splat(-Infinity)
  for (let c = 0; c < C; c += 4) largest = f32x4.max(largest, loadMasked(row, c, C))
  const a = max(f32x4.extract_lane(largest, 0), f32x4.extract_lane(largest, 1))
  return max(a, max(f32x4.extract_lane(largest, 2), f32x4.extract_lane(largest, 3)))
}

/** Writes e^(x - maximum), unless y is null, with zeros from C on, and returns the sum. y may be x. */
export function rowExponentials(x: usize, y: usize, C: i32, maximum: f32): f32 {
  const shift = f32x4.splat(maximum)
  let sum = f32x4.splat(0)
  for (let c = 0; c < C; c += 4) {
    const value = exponential(f32x4.sub(loadMasked(x, c, C), shift))
    sum = f32x4.add(sum, value)
    if (y) v128.store(y + ((<usize>c) << 2), value)
  }
  return laneSum(sum)
}

/** y = softmax(x) over the first C of S values, zeros behind.  x, y: f32[rows, S], y may be x; units are rows. */
export function softmax(x: usize, y: usize, C: i32, S: i32, from: i32, to: i32): void {
  const stride = (<usize>S) << 2
  for (let row = from; row < to; row++) {
    const source = x + <usize>row * stride
    const target = y + <usize>row * stride
    const sum = f32x4.splat(rowExponentials(source, target, C, rowMaximum(source, C)))
    for (let c: usize = 0; c < stride; c += 16) v128.store(target + c, f32x4.div(v128.load(target + c), sum))
  }
}

/** dx = y·(dy - sum y·dy), written, or added.  y, dy, dx: f32[rows, S], zeros behind the classes; dx may be dy. Units are rows. */
export function softmaxBackward(
  y: usize,
  dy: usize,
  dx: usize,
  S: i32,
  accumulate: i32,
  from: i32,
  to: i32,
): void {
  const stride = (<usize>S) << 2
  for (let row = from; row < to; row++) {
    const start = <usize>row * stride
    let products = f32x4.splat(0)
    for (let i = start; i < start + stride; i += 16) {
      products = f32x4.add(products, f32x4.mul(v128.load(y + i), v128.load(dy + i)))
    }
    const sum = f32x4.splat(laneSum(products))
    for (let i = start; i < start + stride; i += 16) {
      let gradient = f32x4.mul(v128.load(y + i), f32x4.sub(v128.load(dy + i), sum))
      if (accumulate) gradient = f32x4.add(v128.load(dx + i), gradient)
      v128.store(dx + i, gradient)
    }
  }
}
