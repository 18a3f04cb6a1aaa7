// Gradient of depthwise 3x3 weights, stride 1 or 2: nine sums in registers slide along an output row, so that every pixel of
// x is loaded once for a row. With TWO there are nine more, b0 … b8, for the next four channels (see depthwise-3x3.ts).

import { IN_PAIRS, multiplyAdd } from '../lanes'
import { besidesAt, No, pixelAt, tileColumns, Yes } from './depthwise-3x3'

/** dw += sum, of four channels, and with TWO other, of the next four. */
// @ts-ignore: decorator
@inline
function give<TWO>(dw: usize, sum: v128, other: v128): void {
  const first = f32x4.add(v128.load(dw), sum)
  const second = f32x4.add(besidesAt<Yes, TWO>(dw), other)
  v128.store(dw, first)
  if (isInteger<TWO>()) v128.store(dw, second, 16)
}

/** x: the pixel under the middle tap of the first of `count` outputs; up, left, right as in slideOne. */
function weightOne<TOP, BOTTOM, TWO>(
  x: usize,
  up: usize,
  stride: usize,
  dy: usize,
  dw: usize,
  count: i32,
  left: bool,
  right: bool,
): void {
  // Zero, which the compiler may not see, as in slideOne.
  const none = isInteger<TWO>() ? i32x4.splat(count >> 31) : f32x4.splat(0)
  let a0 = none
  let a1 = none
  let a2 = none
  let a3 = none
  let a4 = none
  let a5 = none
  let a6 = none
  let a7 = none
  let a8 = none
  let b0 = none
  let b1 = none
  let b2 = none
  let b3 = none
  let b4 = none
  let b5 = none
  let b6 = none
  let b7 = none
  let b8 = none
  let above = x - up
  let below = x + up
  // Gradients of the outputs whose left, middle and right taps are on the column.
  let behind = none
  let behind2 = none
  let middle = v128.load(dy)
  let middle2 = besidesAt<Yes, TWO>(dy)
  if (left) {
    if (isInteger<TOP>()) a0 = f32x4.mul(v128.load(above - stride), middle)
    a3 = f32x4.mul(v128.load(x - stride), middle)
    if (isInteger<BOTTOM>()) a6 = f32x4.mul(v128.load(below - stride), middle)
    if (isInteger<TWO>()) {
      if (isInteger<TOP>()) b0 = f32x4.mul(besidesAt<TOP, TWO>(above - stride), middle2)
      b3 = f32x4.mul(besidesAt<Yes, TWO>(x - stride), middle2)
      if (isInteger<BOTTOM>()) b6 = f32x4.mul(besidesAt<BOTTOM, TWO>(below - stride), middle2)
    }
  }
  let p = pixelAt<TOP>(above)
  let q = v128.load(x)
  let r = pixelAt<BOTTOM>(below)
  let s = besidesAt<TOP, TWO>(above)
  let t = besidesAt<Yes, TWO>(x)
  let u = besidesAt<BOTTOM, TWO>(below)
  while (--count > 0) {
    dy += stride
    const ahead = v128.load(dy)
    const ahead2 = besidesAt<Yes, TWO>(dy)
    if (isInteger<TOP>()) a0 = multiplyAdd(p, ahead, a0)
    if (isInteger<TOP>()) a1 = multiplyAdd(p, middle, a1)
    a3 = multiplyAdd(q, ahead, a3)
    a4 = multiplyAdd(q, middle, a4)
    if (isInteger<BOTTOM>()) a6 = multiplyAdd(r, ahead, a6)
    if (isInteger<BOTTOM>()) a7 = multiplyAdd(r, middle, a7)
    if (isInteger<TWO>()) {
      if (isInteger<TOP>()) b0 = multiplyAdd(s, ahead2, b0)
      if (isInteger<TOP>()) b1 = multiplyAdd(s, middle2, b1)
      b3 = multiplyAdd(t, ahead2, b3)
      b4 = multiplyAdd(t, middle2, b4)
      if (isInteger<BOTTOM>()) b6 = multiplyAdd(u, ahead2, b6)
      if (isInteger<BOTTOM>()) b7 = multiplyAdd(u, middle2, b7)
    }
    above += stride
    x += stride
    below += stride
    p = pixelAt<TOP>(above)
    q = v128.load(x)
    r = pixelAt<BOTTOM>(below)
    if (isInteger<TWO>()) {
      s = besidesAt<TOP, TWO>(above)
      t = besidesAt<Yes, TWO>(x)
      u = besidesAt<BOTTOM, TWO>(below)
    }
    behind = middle
    middle = ahead
    if (isInteger<TWO>()) {
      behind2 = middle2
      middle2 = ahead2
    }
    if (isInteger<TOP>()) a2 = multiplyAdd(p, behind, a2)
    a5 = multiplyAdd(q, behind, a5)
    if (isInteger<BOTTOM>()) a8 = multiplyAdd(r, behind, a8)
    if (isInteger<TWO>()) {
      if (isInteger<TOP>()) b2 = multiplyAdd(s, behind2, b2)
      b5 = multiplyAdd(t, behind2, b5)
      if (isInteger<BOTTOM>()) b8 = multiplyAdd(u, behind2, b8)
    }
  }
  if (isInteger<TOP>()) a1 = multiplyAdd(p, middle, a1)
  a4 = multiplyAdd(q, middle, a4)
  if (isInteger<BOTTOM>()) a7 = multiplyAdd(r, middle, a7)
  if (isInteger<TWO>()) {
    if (isInteger<TOP>()) b1 = multiplyAdd(s, middle2, b1)
    b4 = multiplyAdd(t, middle2, b4)
    if (isInteger<BOTTOM>()) b7 = multiplyAdd(u, middle2, b7)
  }
  if (right) {
    if (isInteger<TOP>()) a2 = multiplyAdd(v128.load(above + stride), middle, a2)
    a5 = multiplyAdd(v128.load(x + stride), middle, a5)
    if (isInteger<BOTTOM>()) a8 = multiplyAdd(v128.load(below + stride), middle, a8)
    if (isInteger<TWO>()) {
      if (isInteger<TOP>()) b2 = multiplyAdd(besidesAt<TOP, TWO>(above + stride), middle2, b2)
      b5 = multiplyAdd(besidesAt<Yes, TWO>(x + stride), middle2, b5)
      if (isInteger<BOTTOM>()) b8 = multiplyAdd(besidesAt<BOTTOM, TWO>(below + stride), middle2, b8)
    }
  }
  giveAll<TOP, BOTTOM, TWO>(dw, stride, a0, a1, a2, a3, a4, a5, a6, a7, a8, b0, b1, b2, b3, b4, b5, b6, b7, b8)
}

/** The same with stride 2. */
function weightTwo<TOP, BOTTOM, TWO>(
  x: usize,
  up: usize,
  stride: usize,
  dy: usize,
  dw: usize,
  count: i32,
  left: bool,
  right: bool,
): void {
  // Zero, which the compiler may not see, as in slideOne.
  const none = isInteger<TWO>() ? i32x4.splat(count >> 31) : f32x4.splat(0)
  let a0 = none
  let a1 = none
  let a2 = none
  let a3 = none
  let a4 = none
  let a5 = none
  let a6 = none
  let a7 = none
  let a8 = none
  let b0 = none
  let b1 = none
  let b2 = none
  let b3 = none
  let b4 = none
  let b5 = none
  let b6 = none
  let b7 = none
  let b8 = none
  let above = x - up
  let below = x + up
  let gradient = v128.load(dy)
  let gradient2 = besidesAt<Yes, TWO>(dy)
  if (left) {
    if (isInteger<TOP>()) a0 = f32x4.mul(v128.load(above - stride), gradient)
    a3 = f32x4.mul(v128.load(x - stride), gradient)
    if (isInteger<BOTTOM>()) a6 = f32x4.mul(v128.load(below - stride), gradient)
    if (isInteger<TWO>()) {
      if (isInteger<TOP>()) b0 = f32x4.mul(besidesAt<TOP, TWO>(above - stride), gradient2)
      b3 = f32x4.mul(besidesAt<Yes, TWO>(x - stride), gradient2)
      if (isInteger<BOTTOM>()) b6 = f32x4.mul(besidesAt<BOTTOM, TWO>(below - stride), gradient2)
    }
  }
  while (--count > 0) {
    if (isInteger<TOP>()) a1 = multiplyAdd(v128.load(above), gradient, a1)
    a4 = multiplyAdd(v128.load(x), gradient, a4)
    if (isInteger<BOTTOM>()) a7 = multiplyAdd(v128.load(below), gradient, a7)
    if (isInteger<TWO>()) {
      if (isInteger<TOP>()) b1 = multiplyAdd(besidesAt<TOP, TWO>(above), gradient2, b1)
      b4 = multiplyAdd(besidesAt<Yes, TWO>(x), gradient2, b4)
      if (isInteger<BOTTOM>()) b7 = multiplyAdd(besidesAt<BOTTOM, TWO>(below), gradient2, b7)
    }
    dy += stride
    const next = v128.load(dy)
    const next2 = besidesAt<Yes, TWO>(dy)
    const p = pixelAt<TOP>(above + stride)
    const q = v128.load(x + stride)
    const r = pixelAt<BOTTOM>(below + stride)
    const s = besidesAt<TOP, TWO>(above + stride)
    const t = besidesAt<Yes, TWO>(x + stride)
    const u = besidesAt<BOTTOM, TWO>(below + stride)
    if (isInteger<TOP>()) a2 = multiplyAdd(p, gradient, a2)
    if (isInteger<TOP>()) a0 = multiplyAdd(p, next, a0)
    a5 = multiplyAdd(q, gradient, a5)
    a3 = multiplyAdd(q, next, a3)
    if (isInteger<BOTTOM>()) a8 = multiplyAdd(r, gradient, a8)
    if (isInteger<BOTTOM>()) a6 = multiplyAdd(r, next, a6)
    if (isInteger<TWO>()) {
      if (isInteger<TOP>()) b2 = multiplyAdd(s, gradient2, b2)
      if (isInteger<TOP>()) b0 = multiplyAdd(s, next2, b0)
      b5 = multiplyAdd(t, gradient2, b5)
      b3 = multiplyAdd(t, next2, b3)
      if (isInteger<BOTTOM>()) b8 = multiplyAdd(u, gradient2, b8)
      if (isInteger<BOTTOM>()) b6 = multiplyAdd(u, next2, b6)
    }
    above += stride << 1
    x += stride << 1
    below += stride << 1
    gradient = next
    if (isInteger<TWO>()) gradient2 = next2
  }
  if (isInteger<TOP>()) a1 = multiplyAdd(v128.load(above), gradient, a1)
  a4 = multiplyAdd(v128.load(x), gradient, a4)
  if (isInteger<BOTTOM>()) a7 = multiplyAdd(v128.load(below), gradient, a7)
  if (isInteger<TWO>()) {
    if (isInteger<TOP>()) b1 = multiplyAdd(besidesAt<TOP, TWO>(above), gradient2, b1)
    b4 = multiplyAdd(besidesAt<Yes, TWO>(x), gradient2, b4)
    if (isInteger<BOTTOM>()) b7 = multiplyAdd(besidesAt<BOTTOM, TWO>(below), gradient2, b7)
  }
  if (right) {
    if (isInteger<TOP>()) a2 = multiplyAdd(v128.load(above + stride), gradient, a2)
    a5 = multiplyAdd(v128.load(x + stride), gradient, a5)
    if (isInteger<BOTTOM>()) a8 = multiplyAdd(v128.load(below + stride), gradient, a8)
    if (isInteger<TWO>()) {
      if (isInteger<TOP>()) b2 = multiplyAdd(besidesAt<TOP, TWO>(above + stride), gradient2, b2)
      b5 = multiplyAdd(besidesAt<Yes, TWO>(x + stride), gradient2, b5)
      if (isInteger<BOTTOM>()) b8 = multiplyAdd(besidesAt<BOTTOM, TWO>(below + stride), gradient2, b8)
    }
  }
  giveAll<TOP, BOTTOM, TWO>(dw, stride, a0, a1, a2, a3, a4, a5, a6, a7, a8, b0, b1, b2, b3, b4, b5, b6, b7, b8)
}

// @ts-ignore: decorator
@inline
function giveAll<TOP, BOTTOM, TWO>(
  dw: usize,
  stride: usize,
  a0: v128,
  a1: v128,
  a2: v128,
  a3: v128,
  a4: v128,
  a5: v128,
  a6: v128,
  a7: v128,
  a8: v128,
  b0: v128,
  b1: v128,
  b2: v128,
  b3: v128,
  b4: v128,
  b5: v128,
  b6: v128,
  b7: v128,
  b8: v128,
): void {
  if (isInteger<TOP>()) {
    give<TWO>(dw, a0, b0)
    give<TWO>(dw + stride, a1, b1)
    give<TWO>(dw + stride * 2, a2, b2)
  }
  give<TWO>(dw + stride * 3, a3, b3)
  give<TWO>(dw + stride * 4, a4, b4)
  give<TWO>(dw + stride * 5, a5, b5)
  if (isInteger<BOTTOM>()) {
    give<TWO>(dw + stride * 6, a6, b6)
    give<TWO>(dw + stride * 7, a7, b7)
    give<TWO>(dw + stride * 8, a8, b8)
  }
}

/** dw += what output row oy of one picture gives, tile by tile of its columns, for channels first … end (in bytes). */
export function slideWeight(
  x: usize,
  dy: usize,
  dw: usize,
  oy: i32,
  geometry: usize,
  firstChannel: usize,
  endChannel: usize,
): void {
  const H = load<i32>(geometry, 0)
  const W = load<i32>(geometry, 4)
  const S = load<i32>(geometry, 12)
  const OW = load<i32>(geometry, 20)
  const step = load<i32>(geometry, 36)
  const stride = (<usize>S) << 2
  const up = <usize>W * stride
  const middle = oy * step + 1 - load<i32>(geometry, 44)
  const padLeft = load<i32>(geometry, 48)
  const tile = tileColumns(S, step)
  for (let first = 0; first < OW; first += tile) {
    const count = min(tile, OW - first)
    const start = first * step + 1 - padLeft
    const left = start > 0
    const right = start + (count - 1) * step + 1 < W
    const pixel = x + <usize>(middle * W + start) * stride
    const gradient = dy + <usize>first * stride
    let c = firstChannel
    if (IN_PAIRS) {
      for (; c + 32 <= endChannel; c += 32) {
        weightAt<Yes>(pixel + c, up, stride, gradient + c, dw + c, count, left, right, step, middle, H)
      }
    }
    for (; c < endChannel; c += 16) {
      weightAt<No>(pixel + c, up, stride, gradient + c, dw + c, count, left, right, step, middle, H)
    }
  }
}

// @ts-ignore: decorator
@inline
function weightAt<TWO>(
  x: usize,
  up: usize,
  stride: usize,
  dy: usize,
  dw: usize,
  count: i32,
  left: bool,
  right: bool,
  step: i32,
  middle: i32,
  H: i32,
): void {
  if (step == 2) {
    if (middle == 0) weightTwo<No, Yes, TWO>(x, up, stride, dy, dw, count, left, right)
    else if (middle < H - 1) weightTwo<Yes, Yes, TWO>(x, up, stride, dy, dw, count, left, right)
    else weightTwo<Yes, No, TWO>(x, up, stride, dy, dw, count, left, right)
  } else {
    if (middle == 0) weightOne<No, Yes, TWO>(x, up, stride, dy, dw, count, left, right)
    else if (middle < H - 1) weightOne<Yes, Yes, TWO>(x, up, stride, dy, dw, count, left, right)
    else weightOne<Yes, No, TWO>(x, up, stride, dy, dw, count, left, right)
  }
}
