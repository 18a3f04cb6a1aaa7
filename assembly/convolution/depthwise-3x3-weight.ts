// Gradient of depthwise 3x3 weights, stride 1 or 2: nine sums in registers slide along an output row, so that every pixel of
// x is loaded once for a row.

import { multiplyAdd } from '../lanes'
import { No, pixelAt, tileColumns, Yes } from './depthwise-3x3'

/** dw += sum, of four channels. */
// @ts-ignore: decorator
@inline
function give(dw: usize, sum: v128): void {
  v128.store(dw, f32x4.add(v128.load(dw), sum))
}

/** x: the pixel under the middle tap of the first of `count` outputs; up, left, right as in slideOne. */
function weightOne<TOP, BOTTOM>(
  x: usize,
  up: usize,
  stride: usize,
  dy: usize,
  dw: usize,
  count: i32,
  left: bool,
  right: bool,
): void {
  let a0 = f32x4.splat(0)
  let a1 = a0
  let a2 = a0
  let a3 = a0
  let a4 = a0
  let a5 = a0
  let a6 = a0
  let a7 = a0
  let a8 = a0
  let above = x - up
  let below = x + up
  // Gradients of the outputs whose left, middle and right taps are on the column.
  let behind = a0
  let middle = v128.load(dy)
  if (left) {
    if (isInteger<TOP>()) a0 = f32x4.mul(v128.load(above - stride), middle)
    a3 = f32x4.mul(v128.load(x - stride), middle)
    if (isInteger<BOTTOM>()) a6 = f32x4.mul(v128.load(below - stride), middle)
  }
  let p = pixelAt<TOP>(above)
  let q = v128.load(x)
  let r = pixelAt<BOTTOM>(below)
  while (--count > 0) {
    dy += stride
    const ahead = v128.load(dy)
    if (isInteger<TOP>()) a0 = multiplyAdd(p, ahead, a0)
    if (isInteger<TOP>()) a1 = multiplyAdd(p, middle, a1)
    a3 = multiplyAdd(q, ahead, a3)
    a4 = multiplyAdd(q, middle, a4)
    if (isInteger<BOTTOM>()) a6 = multiplyAdd(r, ahead, a6)
    if (isInteger<BOTTOM>()) a7 = multiplyAdd(r, middle, a7)
    above += stride
    x += stride
    below += stride
    p = pixelAt<TOP>(above)
    q = v128.load(x)
    r = pixelAt<BOTTOM>(below)
    behind = middle
    middle = ahead
    if (isInteger<TOP>()) a2 = multiplyAdd(p, behind, a2)
    a5 = multiplyAdd(q, behind, a5)
    if (isInteger<BOTTOM>()) a8 = multiplyAdd(r, behind, a8)
  }
  if (isInteger<TOP>()) a1 = multiplyAdd(p, middle, a1)
  a4 = multiplyAdd(q, middle, a4)
  if (isInteger<BOTTOM>()) a7 = multiplyAdd(r, middle, a7)
  if (right) {
    if (isInteger<TOP>()) a2 = multiplyAdd(v128.load(above + stride), middle, a2)
    a5 = multiplyAdd(v128.load(x + stride), middle, a5)
    if (isInteger<BOTTOM>()) a8 = multiplyAdd(v128.load(below + stride), middle, a8)
  }
  giveAll<TOP, BOTTOM>(dw, stride, a0, a1, a2, a3, a4, a5, a6, a7, a8)
}

/** The same with stride 2. */
function weightTwo<TOP, BOTTOM>(
  x: usize,
  up: usize,
  stride: usize,
  dy: usize,
  dw: usize,
  count: i32,
  left: bool,
  right: bool,
): void {
  let a0 = f32x4.splat(0)
  let a1 = a0
  let a2 = a0
  let a3 = a0
  let a4 = a0
  let a5 = a0
  let a6 = a0
  let a7 = a0
  let a8 = a0
  let above = x - up
  let below = x + up
  let gradient = v128.load(dy)
  if (left) {
    if (isInteger<TOP>()) a0 = f32x4.mul(v128.load(above - stride), gradient)
    a3 = f32x4.mul(v128.load(x - stride), gradient)
    if (isInteger<BOTTOM>()) a6 = f32x4.mul(v128.load(below - stride), gradient)
  }
  while (--count > 0) {
    if (isInteger<TOP>()) a1 = multiplyAdd(v128.load(above), gradient, a1)
    a4 = multiplyAdd(v128.load(x), gradient, a4)
    if (isInteger<BOTTOM>()) a7 = multiplyAdd(v128.load(below), gradient, a7)
    dy += stride
    const next = v128.load(dy)
    const p = pixelAt<TOP>(above + stride)
    const q = v128.load(x + stride)
    const r = pixelAt<BOTTOM>(below + stride)
    if (isInteger<TOP>()) a2 = multiplyAdd(p, gradient, a2)
    if (isInteger<TOP>()) a0 = multiplyAdd(p, next, a0)
    a5 = multiplyAdd(q, gradient, a5)
    a3 = multiplyAdd(q, next, a3)
    if (isInteger<BOTTOM>()) a8 = multiplyAdd(r, gradient, a8)
    if (isInteger<BOTTOM>()) a6 = multiplyAdd(r, next, a6)
    above += stride << 1
    x += stride << 1
    below += stride << 1
    gradient = next
  }
  if (isInteger<TOP>()) a1 = multiplyAdd(v128.load(above), gradient, a1)
  a4 = multiplyAdd(v128.load(x), gradient, a4)
  if (isInteger<BOTTOM>()) a7 = multiplyAdd(v128.load(below), gradient, a7)
  if (right) {
    if (isInteger<TOP>()) a2 = multiplyAdd(v128.load(above + stride), gradient, a2)
    a5 = multiplyAdd(v128.load(x + stride), gradient, a5)
    if (isInteger<BOTTOM>()) a8 = multiplyAdd(v128.load(below + stride), gradient, a8)
  }
  giveAll<TOP, BOTTOM>(dw, stride, a0, a1, a2, a3, a4, a5, a6, a7, a8)
}

// @ts-ignore: decorator
@inline
function giveAll<TOP, BOTTOM>(
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
): void {
  if (isInteger<TOP>()) {
    give(dw, a0)
    give(dw + stride, a1)
    give(dw + stride * 2, a2)
  }
  give(dw + stride * 3, a3)
  give(dw + stride * 4, a4)
  give(dw + stride * 5, a5)
  if (isInteger<BOTTOM>()) {
    give(dw + stride * 6, a6)
    give(dw + stride * 7, a7)
    give(dw + stride * 8, a8)
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
    for (let c = firstChannel; c < endChannel; c += 16) {
      const p = pixel + c
      const g = gradient + c
      const k = dw + c
      if (step == 2) {
        if (middle == 0) weightTwo<No, Yes>(p, up, stride, g, k, count, left, right)
        else if (middle < H - 1) weightTwo<Yes, Yes>(p, up, stride, g, k, count, left, right)
        else weightTwo<Yes, No>(p, up, stride, g, k, count, left, right)
      } else {
        if (middle == 0) weightOne<No, Yes>(p, up, stride, g, k, count, left, right)
        else if (middle < H - 1) weightOne<Yes, Yes>(p, up, stride, g, k, count, left, right)
        else weightOne<Yes, No>(p, up, stride, g, k, count, left, right)
      }
    }
  }
}
