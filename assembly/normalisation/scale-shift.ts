import { clamp, lowerBound, upperBound } from '../activations'
import { multiplyAdd } from '../lanes'

/** y = act(x·scale + shift), per channel.  x, y: f32[rows, S], y may be x; scaleShift: scale[S], shift[S]. Units are rows. */
export function scaleShift(x: usize, y: usize, S: i32, scaleShift: usize, activation: i32, from: i32, to: i32): void {
  const stride = (<usize>S) << 2
  const offset = <usize>from * stride
  scaleShiftRows(x + offset, stride, y + offset, stride, to - from, scaleShift, stride, activation, 0, stride)
}

/**
 * The same for channels first … end of so many rows, which lie xStep and yStep apart; shift lies `ahead` behind scale. All in bytes.
 */
export function scaleShiftRows(
  x: usize,
  xStep: usize,
  y: usize,
  yStep: usize,
  rows: i32,
  scale: usize,
  ahead: usize,
  activation: i32,
  first: usize,
  end: usize,
): void {
  const low = lowerBound(activation)
  const high = upperBound(activation)
  for (; rows >= 4; rows -= 4) {
    fourRows(x, xStep, y, yStep, scale, scale + ahead, low, high, first, end)
    x += xStep << 2
    y += yStep << 2
  }
  for (; rows > 0; rows--) {
    oneRow(x, y, scale, scale + ahead, low, high, first, end)
    x += xStep
    y += yStep
  }
}

function fourRows(
  x: usize,
  xStep: usize,
  y: usize,
  yStep: usize,
  scale: usize,
  shift: usize,
  low: v128,
  high: v128,
  first: usize,
  end: usize,
): void {
  for (let c = first; c < end; c += 16) {
    const a = v128.load(scale + c)
    const b = v128.load(shift + c)
    let p = x + c
    let q = y + c
    v128.store(q, clamp(multiplyAdd(v128.load(p), a, b), low, high))
    p += xStep
    q += yStep
    v128.store(q, clamp(multiplyAdd(v128.load(p), a, b), low, high))
    p += xStep
    q += yStep
    v128.store(q, clamp(multiplyAdd(v128.load(p), a, b), low, high))
    p += xStep
    q += yStep
    v128.store(q, clamp(multiplyAdd(v128.load(p), a, b), low, high))
  }
}

function oneRow(
  x: usize,
  y: usize,
  scale: usize,
  shift: usize,
  low: v128,
  high: v128,
  first: usize,
  end: usize,
): void {
  for (let c = first; c < end; c += 16) {
    v128.store(y + c, clamp(multiplyAdd(v128.load(x + c), v128.load(scale + c), v128.load(shift + c)), low, high))
  }
}
