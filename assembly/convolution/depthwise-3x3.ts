// Depthwise 3x3, stride 1 or 2, as most networks have it: four channels at a time slide along a row, the nine weights and the
// sums of the outputs under way in registers. An output starts at its bias and takes its taps column by column, top to bottom.
// (Unrolling the slide by three, to save the moves, was slower: 34 -> 29 GFLOP/s at 14x14x576.)

import { clamp, lowerBound, upperBound } from '../activations'
import { multiplyAdd } from '../lanes'

// Flags for the compiler: a function is compiled once for each combination of TOP and BOTTOM (the row above, below exists)
// and GRADIENT, where isInteger<Yes>() is true and isInteger<No>() false.
export type Yes = i32
export type No = f32

/** Bytes that the input rows of a tile may take, so that they stay in the first cache while all channels pass. */
const TILE_BYTES: i32 = 20480
/** Narrower tiles cost more in their edges than they save (28 against 35 GFLOP/s with 14 columns at 56x56x144). */
const TILE_COLUMNS: i32 = 56

/** Columns of outputs worked on for all channels before the next ones. Depends on the shape alone. */
export function tileColumns(S: i32, strideW: i32): i32 {
  return max(TILE_COLUMNS, TILE_BYTES / (12 * S * strideW))
}

/** sum + one column of taps. */
// @ts-ignore: decorator
@inline
function column<TOP, BOTTOM>(p: v128, q: v128, r: v128, k0: v128, k1: v128, k2: v128, sum: v128): v128 {
  if (isInteger<TOP>()) sum = multiplyAdd(p, k0, sum)
  sum = multiplyAdd(q, k1, sum)
  if (isInteger<BOTTOM>()) sum = multiplyAdd(r, k2, sum)
  return sum
}

/** Writes act(value), or with GRADIENT the value itself, added to what is there if asked. */
// @ts-ignore: decorator
@inline
function put<GRADIENT>(y: usize, value: v128, low: v128, high: v128, accumulate: i32): void {
  if (isInteger<GRADIENT>()) v128.store(y, accumulate ? f32x4.add(v128.load(y), value) : value)
  else v128.store(y, clamp(value, low, high))
}

/** A pixel of a row that may be absent. */
// @ts-ignore: decorator
@inline
export function pixelAt<PRESENT>(x: usize): v128 {
  return isInteger<PRESENT>() ? v128.load(x) : f32x4.splat(0)
}

/**
 * `count` outputs of stride 1, four channels. x: the pixel under the middle tap of the first; up: bytes of an input row;
 * weight: the first tap, `tap` bytes from one to the next; left, right: whether the pixels before the first middle and behind
 * the last one exist.
 */
function slideOne<TOP, BOTTOM, GRADIENT>(
  x: usize,
  up: usize,
  stride: usize,
  weight: usize,
  tap: usize,
  bias: usize,
  y: usize,
  count: i32,
  left: bool,
  right: bool,
  low: v128,
  high: v128,
  accumulate: i32,
): void {
  const k0 = v128.load(weight)
  const k1 = v128.load(weight + tap)
  const k2 = v128.load(weight + tap * 2)
  const k3 = v128.load(weight + tap * 3)
  const k4 = v128.load(weight + tap * 4)
  const k5 = v128.load(weight + tap * 5)
  const k6 = v128.load(weight + tap * 6)
  const k7 = v128.load(weight + tap * 7)
  const k8 = v128.load(weight + tap * 8)
  let above = x - up
  let below = x + up
  let a = bias ? v128.load(bias) : f32x4.splat(0)
  let b = a
  if (left) {
    const p = pixelAt<TOP>(above - stride)
    const r = pixelAt<BOTTOM>(below - stride)
    a = column<TOP, BOTTOM>(p, v128.load(x - stride), r, k0, k3, k6, a)
  }
  let p = pixelAt<TOP>(above)
  let q = v128.load(x)
  let r = pixelAt<BOTTOM>(below)
  a = column<TOP, BOTTOM>(p, q, r, k1, k4, k7, a)
  b = column<TOP, BOTTOM>(p, q, r, k0, k3, k6, b)
  while (--count > 0) {
    above += stride
    x += stride
    below += stride
    p = pixelAt<TOP>(above)
    q = v128.load(x)
    r = pixelAt<BOTTOM>(below)
    const done = column<TOP, BOTTOM>(p, q, r, k2, k5, k8, a)
    a = column<TOP, BOTTOM>(p, q, r, k1, k4, k7, b)
    b = column<TOP, BOTTOM>(p, q, r, k0, k3, k6, bias ? v128.load(bias) : f32x4.splat(0))
    put<GRADIENT>(y, done, low, high, accumulate)
    y += stride
  }
  if (right) {
    p = pixelAt<TOP>(above + stride)
    r = pixelAt<BOTTOM>(below + stride)
    a = column<TOP, BOTTOM>(p, v128.load(x + stride), r, k2, k5, k8, a)
  }
  put<GRADIENT>(y, a, low, high, accumulate)
}

/** The same with stride 2: neighbouring outputs share one column. */
function slideTwo<TOP, BOTTOM>(
  x: usize,
  up: usize,
  stride: usize,
  weight: usize,
  bias: usize,
  y: usize,
  count: i32,
  left: bool,
  right: bool,
  low: v128,
  high: v128,
): void {
  const k0 = v128.load(weight)
  const k1 = v128.load(weight + stride)
  const k2 = v128.load(weight + stride * 2)
  const k3 = v128.load(weight + stride * 3)
  const k4 = v128.load(weight + stride * 4)
  const k5 = v128.load(weight + stride * 5)
  const k6 = v128.load(weight + stride * 6)
  const k7 = v128.load(weight + stride * 7)
  const k8 = v128.load(weight + stride * 8)
  const step = stride << 1
  let above = x - up
  let below = x + up
  let a = bias ? v128.load(bias) : f32x4.splat(0)
  if (left) {
    const p = pixelAt<TOP>(above - stride)
    const r = pixelAt<BOTTOM>(below - stride)
    a = column<TOP, BOTTOM>(p, v128.load(x - stride), r, k0, k3, k6, a)
  }
  while (--count > 0) {
    a = column<TOP, BOTTOM>(pixelAt<TOP>(above), v128.load(x), pixelAt<BOTTOM>(below), k1, k4, k7, a)
    const p = pixelAt<TOP>(above + stride)
    const q = v128.load(x + stride)
    const r = pixelAt<BOTTOM>(below + stride)
    const done = column<TOP, BOTTOM>(p, q, r, k2, k5, k8, a)
    a = column<TOP, BOTTOM>(p, q, r, k0, k3, k6, bias ? v128.load(bias) : f32x4.splat(0))
    put<No>(y, done, low, high, 0)
    above += step
    x += step
    below += step
    y += stride
  }
  a = column<TOP, BOTTOM>(pixelAt<TOP>(above), v128.load(x), pixelAt<BOTTOM>(below), k1, k4, k7, a)
  if (right) {
    const p = pixelAt<TOP>(above + stride)
    const r = pixelAt<BOTTOM>(below + stride)
    a = column<TOP, BOTTOM>(p, v128.load(x + stride), r, k2, k5, k8, a)
  }
  put<No>(y, a, low, high, 0)
}

/**
 * Whether output row `oy` can slide: stride 1 or 2, no dilation, the middle tap always inside the picture, and the row above or
 * below too. H and W: the size of what is convolved, with OW outputs in a row.
 */
export function slides(geometry: usize, oy: i32, H: i32, W: i32, OW: i32, padTop: i32, padLeft: i32): bool {
  const strideH = load<i32>(geometry, 36)
  const middle = oy * strideH + 1 - padTop
  return (
    load<i32>(geometry, 28) == 3 &&
    load<i32>(geometry, 32) == 3 &&
    strideH <= 2 &&
    strideH == load<i32>(geometry, 40) &&
    load<i32>(geometry, 52) == 1 &&
    load<i32>(geometry, 56) == 1 &&
    H > 1 &&
    <u32>middle < <u32>H &&
    <u32>padLeft <= 1 &&
    (OW - 1) * strideH + 1 - padLeft < W
  )
}

/** Forward, one row of outputs of one picture x [H, W, S], where it slides. */
export function slideForward(
  x: usize,
  weight: usize,
  bias: usize,
  y: usize,
  oy: i32,
  geometry: usize,
  activation: i32,
): void {
  const H = load<i32>(geometry, 0)
  const W = load<i32>(geometry, 4)
  const S = load<i32>(geometry, 12)
  const OW = load<i32>(geometry, 20)
  const step = load<i32>(geometry, 36)
  const stride = (<usize>S) << 2
  const low = lowerBound(activation)
  const high = upperBound(activation)
  const middle = oy * step + 1 - load<i32>(geometry, 44)
  const padLeft = load<i32>(geometry, 48)
  const tile = tileColumns(S, step)
  for (let first = 0; first < OW; first += tile) {
    const count = min(tile, OW - first)
    const start = first * step + 1 - padLeft
    const left = start > 0
    const right = start + (count - 1) * step + 1 < W
    const pixel = x + <usize>(middle * W + start) * stride
    const target = y + <usize>first * stride
    const up = <usize>W * stride
    for (let c: usize = 0; c < stride; c += 16) {
      const p = pixel + c
      const k = weight + c
      const b = bias ? bias + c : 0
      const t = target + c
      if (step == 2) {
        if (middle == 0) slideTwo<No, Yes>(p, up, stride, k, b, t, count, left, right, low, high)
        else if (middle < H - 1) slideTwo<Yes, Yes>(p, up, stride, k, b, t, count, left, right, low, high)
        else slideTwo<Yes, No>(p, up, stride, k, b, t, count, left, right, low, high)
      } else {
        if (middle == 0) slideOne<No, Yes, No>(p, up, stride, k, stride, b, t, count, left, right, low, high, 0)
        else if (middle < H - 1)
          slideOne<Yes, Yes, No>(p, up, stride, k, stride, b, t, count, left, right, low, high, 0)
        else slideOne<Yes, No, No>(p, up, stride, k, stride, b, t, count, left, right, low, high, 0)
      }
    }
  }
}

/** Gradient of one input row, stride 1, where it slides: dy [OH, OW, S] under the kernel turned around. */
export function slideTurned(dy: usize, weight: usize, dx: usize, iy: i32, geometry: usize, accumulate: i32): void {
  const W = load<i32>(geometry, 4)
  const S = load<i32>(geometry, 12)
  const OH = load<i32>(geometry, 16)
  const OW = load<i32>(geometry, 20)
  const stride = (<usize>S) << 2
  const up = <usize>OW * stride
  const none = f32x4.splat(0)
  // The turned kernel has 2 - padTop rows and 2 - padLeft columns outside.
  const middle = iy - 1 + load<i32>(geometry, 44)
  const shift = load<i32>(geometry, 48) - 1
  const tile = tileColumns(S, 1)
  for (let first = 0; first < W; first += tile) {
    const count = min(tile, W - first)
    const start = first + shift
    const left = start > 0
    const right = start + count < OW
    const pixel = dy + <usize>(middle * OW + start) * stride
    const target = dx + <usize>first * stride
    for (let c: usize = 0; c < stride; c += 16) {
      const p = pixel + c
      const k = weight + 8 * stride + c
      const tap: usize = 0 - stride
      const t = target + c
      if (middle == 0) slideOne<No, Yes, Yes>(p, up, stride, k, tap, 0, t, count, left, right, none, none, accumulate)
      else if (middle < OH - 1)
        slideOne<Yes, Yes, Yes>(p, up, stride, k, tap, 0, t, count, left, right, none, none, accumulate)
      else slideOne<Yes, No, Yes>(p, up, stride, k, tap, 0, t, count, left, right, none, none, accumulate)
    }
  }
}
