import { clamp, lowerBound, upperBound } from '../activations'
import { multiplyAdd } from '../lanes'

/** y = act(x·scale + shift), per channel.  x, y: f32[rows, S], y may be x; scaleShift: scale[S], shift[S]. Units are rows. */
export function scaleShift(x: usize, y: usize, S: i32, scaleShift: usize, activation: i32, from: i32, to: i32): void {
  const stride = (<usize>S) << 2
  const low = lowerBound(activation)
  const high = upperBound(activation)
  let offset = <usize>from * stride
  let left = to - from
  for (; left >= 4; left -= 4) {
    fourRows(x + offset, y + offset, stride, scaleShift, low, high)
    offset += stride << 2
  }
  for (; left > 0; left--) {
    oneRow(x + offset, y + offset, stride, scaleShift, low, high)
    offset += stride
  }
}

function fourRows(x: usize, y: usize, stride: usize, scaleShift: usize, low: v128, high: v128): void {
  const second = stride << 1
  const third = stride + second
  for (let c: usize = 0; c < stride; c += 16) {
    const scale = v128.load(scaleShift + c)
    const shift = v128.load(scaleShift + stride + c)
    const p = x + c
    const q = y + c
    v128.store(q, clamp(multiplyAdd(v128.load(p), scale, shift), low, high))
    v128.store(q + stride, clamp(multiplyAdd(v128.load(p + stride), scale, shift), low, high))
    v128.store(q + second, clamp(multiplyAdd(v128.load(p + second), scale, shift), low, high))
    v128.store(q + third, clamp(multiplyAdd(v128.load(p + third), scale, shift), low, high))
  }
}

function oneRow(x: usize, y: usize, stride: usize, scaleShift: usize, low: v128, high: v128): void {
  for (let c: usize = 0; c < stride; c += 16) {
    const scaled = multiplyAdd(v128.load(x + c), v128.load(scaleShift + c), v128.load(scaleShift + stride + c))
    v128.store(y + c, clamp(scaled, low, high))
  }
}
