import { exponential } from '../approximations/exponential'
import { laneSum, lanesBefore } from '../lanes'
import { rowExponentials, rowMaximum } from './softmax'

/** y = log softmax(x) over the first C of S values, zeros behind.  x, y: f32[rows, S], y may be x; units are rows. */
export function logSoftmax(x: usize, y: usize, C: i32, S: i32, from: i32, to: i32): void {
  const stride = (<usize>S) << 2
  for (let row = from; row < to; row++) {
    const source = x + <usize>row * stride
    const target = y + <usize>row * stride
    const maximum = rowMaximum(source, C)
    const shift = f32x4.splat(maximum)
    const logarithm = f32x4.splat(<f32>Math.log(<f64>rowExponentials(source, 0, C, maximum)))
    for (let c = 0; c < S; c += 4) {
      const at = (<usize>c) << 2
      const value = f32x4.sub(f32x4.sub(v128.load(source + at), shift), logarithm)
      v128.store(target + at, v128.and(value, lanesBefore(c, C)))
    }
  }
}

/** dx = dy - e^y·sum dy, written, or added.  y, dy, dx: f32[rows, S], zeros behind the C classes; dx may be dy. Units are rows. */
export function logSoftmaxBackward(
  y: usize,
  dy: usize,
  dx: usize,
  C: i32,
  S: i32,
  accumulate: i32,
  from: i32,
  to: i32,
): void {
  const stride = (<usize>S) << 2
  for (let row = from; row < to; row++) {
    const start = <usize>row * stride
    let total = f32x4.splat(0)
    for (let i = start; i < start + stride; i += 16) total = f32x4.add(total, v128.load(dy + i))
    const sum = f32x4.splat(laneSum(total))
    for (let c = 0; c < S; c += 4) {
      const i = start + ((<usize>c) << 2)
      const probability = v128.and(exponential(v128.load(y + i)), lanesBefore(c, C))
      let gradient = f32x4.sub(v128.load(dy + i), f32x4.mul(probability, sum))
      if (accumulate) gradient = f32x4.add(v128.load(dx + i), gradient)
      v128.store(dx + i, gradient)
    }
  }
}
