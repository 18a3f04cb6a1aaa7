import { clamp, lowerBound, upperBound } from './activations'
import { lanesBefore } from './lanes'

/** y = act(a + b).  f32, units are vectors of 4; y may be a or b. */
export function add(a: usize, b: usize, y: usize, activation: i32, from: i32, to: i32): void {
  const low = lowerBound(activation)
  const high = upperBound(activation)
  const end = (<usize>to) << 4
  for (let i = (<usize>from) << 4; i < end; i += 16) {
    v128.store(y + i, clamp(f32x4.add(v128.load(a + i), v128.load(b + i)), low, high))
  }
}

/** y += x.  f32, units are vectors of 4. */
export function accumulate(x: usize, y: usize, from: i32, to: i32): void {
  const end = (<usize>to) << 4
  for (let i = (<usize>from) << 4; i < end; i += 16) v128.store(y + i, f32x4.add(v128.load(y + i), v128.load(x + i)))
}

/** y = value.  f32, units are vectors of 4. */
export function fill(y: usize, value: f32, from: i32, to: i32): void {
  const lanes = f32x4.splat(value)
  const end = (<usize>to) << 4
  for (let i = (<usize>from) << 4; i < end; i += 16) v128.store(y + i, lanes)
}

/** Sets what lies behind the first C of S values to 0.  y: f32[rows, S], S < C + 4; units are rows. */
export function clearPadding(y: usize, C: i32, S: i32, from: i32, to: i32): void {
  const stride = (<usize>S) << 2
  const kept = lanesBefore(S - 4, C)
  const end = y + <usize>to * stride
  for (let last = y + <usize>from * stride + stride - 16; last < end; last += stride) {
    v128.store(last, v128.and(v128.load(last), kept))
  }
}

/** y = x - image, the same image for every picture.  x, y: f32[N, V, 4], image: f32[V, 4]; units are vectors of 4; y may be x. */
export function subtractImage(x: usize, image: usize, y: usize, V: i32, from: i32, to: i32): void {
  const last = image + ((<usize>V) << 4)
  const end = (<usize>to) << 4
  let at = image + ((<usize>(from % V)) << 4)
  for (let i = (<usize>from) << 4; i < end; i += 16) {
    v128.store(y + i, f32x4.sub(v128.load(x + i), v128.load(at)))
    at += 16
    if (at == last) at = image
  }
}
