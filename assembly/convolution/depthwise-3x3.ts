// Depthwise 3x3, stride 1 or 2, as most networks have it: four channels at a time slide along a row, the nine weights and the
// sums of the outputs under way in registers. An output starts at its bias and takes its taps column by column, top to bottom.
// (Unrolling the slide by three, to save the moves, was slower: 34 -> 29 GFLOP/s at 14x14x576.)

import { clamp, lowerBound, upperBound } from '../activations'
import { IN_PAIRS, multiplyAdd, ZEROS } from '../lanes'

// Flags for the compiler: a function is compiled once for each combination of TOP and BOTTOM (the row above, below exists),
// GRADIENT and TWO, where isInteger<Yes>() is true and isInteger<No>() false. With TWO it works on eight channels, in two vectors
// side by side, which V8 can fuse: only in the wide build, as 128-bit registers hold the weights of four. What k, p, q, r, a and b
// are to the first vector, l, s, t, u, c and d are to the second; README.md, "What V8 fuses", says what they must keep to.
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

/** Writes act(value), or with GRADIENT the value itself, added to what is there if asked; with TWO act(other) behind it. */
// @ts-ignore: decorator
@inline
function put<GRADIENT, TWO>(y: usize, value: v128, other: v128, low: v128, high: v128, accumulate: i32): void {
  if (isInteger<GRADIENT>()) {
    if (accumulate) {
      value = f32x4.add(v128.load(y), value)
      if (isInteger<TWO>()) other = f32x4.add(v128.load(y, 16), other)
    }
  } else {
    value = clamp(value, low, high)
    if (isInteger<TWO>()) other = clamp(other, low, high)
  }
  v128.store(y, value)
  if (isInteger<TWO>()) v128.store(y, other, 16)
}

/** A pixel of a row that may be absent. */
// @ts-ignore: decorator
@inline
export function pixelAt<PRESENT>(x: usize): v128 {
  return isInteger<PRESENT>() ? v128.load(x) : f32x4.splat(0)
}

/** The four channels behind those of `pixelAt`, where they are worked on. */
// @ts-ignore: decorator
@inline
export function besidesAt<PRESENT, TWO>(x: usize): v128 {
  return isInteger<TWO>() ? pixelAt<PRESENT>(x + 16) : f32x4.splat(0)
}

/** What a sum starts from: the bias, or with GRADIENT nothing. */
// @ts-ignore: decorator
@inline
function startAt<GRADIENT>(bias: usize, none: v128): v128 {
  return isInteger<GRADIENT>() ? none : v128.load(bias)
}

/**
 * `count` outputs of stride 1, four channels, with TWO eight. x: the pixel under the middle tap of the first; up: bytes of an input row;
 * weight: the first tap, `tap` bytes from one to the next; left, right: whether the pixels before the first middle and behind
 * the last one exist.
 */
function slideOne<TOP, BOTTOM, GRADIENT, TWO>(
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
  activation: i32,
  accumulate: i32,
): void {
  const low = lowerBound(activation)
  const high = upperBound(activation)
  const k0 = v128.load(weight)
  const k1 = v128.load(weight + tap)
  const k2 = v128.load(weight + tap * 2)
  const k3 = v128.load(weight + tap * 3)
  const k4 = v128.load(weight + tap * 4)
  const k5 = v128.load(weight + tap * 5)
  const k6 = v128.load(weight + tap * 6)
  const k7 = v128.load(weight + tap * 7)
  const k8 = v128.load(weight + tap * 8)
  const l0 = besidesAt<Yes, TWO>(weight)
  const l1 = besidesAt<Yes, TWO>(weight + tap)
  const l2 = besidesAt<Yes, TWO>(weight + tap * 2)
  const l3 = besidesAt<Yes, TWO>(weight + tap * 3)
  const l4 = besidesAt<Yes, TWO>(weight + tap * 4)
  const l5 = besidesAt<Yes, TWO>(weight + tap * 5)
  const l6 = besidesAt<Yes, TWO>(weight + tap * 6)
  const l7 = besidesAt<Yes, TWO>(weight + tap * 7)
  const l8 = besidesAt<Yes, TWO>(weight + tap * 8)
  // Zero, which the compiler may not see: it makes constants where they are used, and V8 fuses nothing from two blocks of code.
  const none = isInteger<TWO>() ? i32x4.splat(count >> 31) : f32x4.splat(0)
  let above = x - up
  let below = x + up
  let a = startAt<GRADIENT>(bias, none)
  let b = a
  let c = startAt<GRADIENT>(bias + 16, none)
  let d = c
  if (left) {
    const p = pixelAt<TOP>(above - stride)
    const q = v128.load(x - stride)
    const r = pixelAt<BOTTOM>(below - stride)
    a = column<TOP, BOTTOM>(p, q, r, k0, k3, k6, a)
    if (isInteger<TWO>()) {
      const s = besidesAt<TOP, TWO>(above - stride)
      const t = v128.load(x - stride, 16)
      const u = besidesAt<BOTTOM, TWO>(below - stride)
      c = column<TOP, BOTTOM>(s, t, u, l0, l3, l6, c)
    }
  }
  let p = pixelAt<TOP>(above)
  let q = v128.load(x)
  let r = pixelAt<BOTTOM>(below)
  let s = besidesAt<TOP, TWO>(above)
  let t = besidesAt<Yes, TWO>(x)
  let u = besidesAt<BOTTOM, TWO>(below)
  b = column<TOP, BOTTOM>(p, q, r, k0, k3, k6, b)
  if (isInteger<TWO>()) d = column<TOP, BOTTOM>(s, t, u, l0, l3, l6, d)
  a = column<TOP, BOTTOM>(p, q, r, k1, k4, k7, a)
  if (isInteger<TWO>()) c = column<TOP, BOTTOM>(s, t, u, l1, l4, l7, c)
  while (--count > 0) {
    above += stride
    x += stride
    below += stride
    p = pixelAt<TOP>(above)
    q = v128.load(x)
    r = pixelAt<BOTTOM>(below)
    const done = column<TOP, BOTTOM>(p, q, r, k2, k5, k8, a)
    a = column<TOP, BOTTOM>(p, q, r, k1, k4, k7, b)
    b = column<TOP, BOTTOM>(p, q, r, k0, k3, k6, startAt<GRADIENT>(bias, none))
    let other = done
    if (isInteger<TWO>()) {
      s = besidesAt<TOP, TWO>(above)
      t = besidesAt<Yes, TWO>(x)
      u = besidesAt<BOTTOM, TWO>(below)
      other = column<TOP, BOTTOM>(s, t, u, l2, l5, l8, c)
      c = column<TOP, BOTTOM>(s, t, u, l1, l4, l7, d)
      d = column<TOP, BOTTOM>(s, t, u, l0, l3, l6, startAt<GRADIENT>(bias + 16, none))
    }
    put<GRADIENT, TWO>(y, done, other, low, high, accumulate)
    y += stride
  }
  if (right) {
    p = pixelAt<TOP>(above + stride)
    r = pixelAt<BOTTOM>(below + stride)
    a = column<TOP, BOTTOM>(p, v128.load(x + stride), r, k2, k5, k8, a)
    if (isInteger<TWO>()) {
      s = besidesAt<TOP, TWO>(above + stride)
      u = besidesAt<BOTTOM, TWO>(below + stride)
      c = column<TOP, BOTTOM>(s, v128.load(x + stride, 16), u, l2, l5, l8, c)
    }
  }
  put<GRADIENT, TWO>(y, a, c, low, high, accumulate)
}

/** The same with stride 2: neighbouring outputs share one column. */
function slideTwo<TOP, BOTTOM, TWO>(
  x: usize,
  up: usize,
  stride: usize,
  weight: usize,
  bias: usize,
  y: usize,
  count: i32,
  left: bool,
  right: bool,
  activation: i32,
): void {
  const low = lowerBound(activation)
  const high = upperBound(activation)
  const k0 = v128.load(weight)
  const k1 = v128.load(weight + stride)
  const k2 = v128.load(weight + stride * 2)
  const k3 = v128.load(weight + stride * 3)
  const k4 = v128.load(weight + stride * 4)
  const k5 = v128.load(weight + stride * 5)
  const k6 = v128.load(weight + stride * 6)
  const k7 = v128.load(weight + stride * 7)
  const k8 = v128.load(weight + stride * 8)
  const l0 = besidesAt<Yes, TWO>(weight)
  const l1 = besidesAt<Yes, TWO>(weight + stride)
  const l2 = besidesAt<Yes, TWO>(weight + stride * 2)
  const l3 = besidesAt<Yes, TWO>(weight + stride * 3)
  const l4 = besidesAt<Yes, TWO>(weight + stride * 4)
  const l5 = besidesAt<Yes, TWO>(weight + stride * 5)
  const l6 = besidesAt<Yes, TWO>(weight + stride * 6)
  const l7 = besidesAt<Yes, TWO>(weight + stride * 7)
  const l8 = besidesAt<Yes, TWO>(weight + stride * 8)
  const step = stride << 1
  let above = x - up
  let below = x + up
  let a = v128.load(bias)
  let c = besidesAt<Yes, TWO>(bias)
  if (left) {
    const p = pixelAt<TOP>(above - stride)
    const q = v128.load(x - stride)
    const r = pixelAt<BOTTOM>(below - stride)
    a = column<TOP, BOTTOM>(p, q, r, k0, k3, k6, a)
    if (isInteger<TWO>()) {
      const s = besidesAt<TOP, TWO>(above - stride)
      const t = v128.load(x - stride, 16)
      const u = besidesAt<BOTTOM, TWO>(below - stride)
      c = column<TOP, BOTTOM>(s, t, u, l0, l3, l6, c)
    }
  }
  while (--count > 0) {
    a = column<TOP, BOTTOM>(pixelAt<TOP>(above), v128.load(x), pixelAt<BOTTOM>(below), k1, k4, k7, a)
    const p = pixelAt<TOP>(above + stride)
    const q = v128.load(x + stride)
    const r = pixelAt<BOTTOM>(below + stride)
    const done = column<TOP, BOTTOM>(p, q, r, k2, k5, k8, a)
    a = column<TOP, BOTTOM>(p, q, r, k0, k3, k6, v128.load(bias))
    let other = done
    if (isInteger<TWO>()) {
      let s = besidesAt<TOP, TWO>(above)
      let t = v128.load(x, 16)
      let u = besidesAt<BOTTOM, TWO>(below)
      c = column<TOP, BOTTOM>(s, t, u, l1, l4, l7, c)
      s = besidesAt<TOP, TWO>(above + stride)
      t = v128.load(x + stride, 16)
      u = besidesAt<BOTTOM, TWO>(below + stride)
      other = column<TOP, BOTTOM>(s, t, u, l2, l5, l8, c)
      c = column<TOP, BOTTOM>(s, t, u, l0, l3, l6, v128.load(bias, 16))
    }
    put<No, TWO>(y, done, other, low, high, 0)
    above += step
    x += step
    below += step
    y += stride
  }
  a = column<TOP, BOTTOM>(pixelAt<TOP>(above), v128.load(x), pixelAt<BOTTOM>(below), k1, k4, k7, a)
  if (isInteger<TWO>()) {
    const s = besidesAt<TOP, TWO>(above)
    const u = besidesAt<BOTTOM, TWO>(below)
    c = column<TOP, BOTTOM>(s, v128.load(x, 16), u, l1, l4, l7, c)
  }
  if (right) {
    const p = pixelAt<TOP>(above + stride)
    const r = pixelAt<BOTTOM>(below + stride)
    a = column<TOP, BOTTOM>(p, v128.load(x + stride), r, k2, k5, k8, a)
    if (isInteger<TWO>()) {
      const s = besidesAt<TOP, TWO>(above + stride)
      const u = besidesAt<BOTTOM, TWO>(below + stride)
      c = column<TOP, BOTTOM>(s, v128.load(x + stride, 16), u, l2, l5, l8, c)
    }
  }
  put<No, TWO>(y, a, c, low, high, 0)
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
    let c: usize = 0
    if (IN_PAIRS) {
      for (; c + 32 <= stride; c += 32) {
        forwardAt<Yes>(
          pixel + c,
          up,
          stride,
          weight + c,
          bias ? bias + c : ZEROS,
          target + c,
          count,
          left,
          right,
          step,
          middle,
          H,
          activation,
        )
      }
    }
    for (; c < stride; c += 16) {
      forwardAt<No>(
        pixel + c,
        up,
        stride,
        weight + c,
        bias ? bias + c : ZEROS,
        target + c,
        count,
        left,
        right,
        step,
        middle,
        H,
        activation,
      )
    }
  }
}

// @ts-ignore: decorator
@inline
function forwardAt<TWO>(
  x: usize,
  up: usize,
  stride: usize,
  weight: usize,
  bias: usize,
  y: usize,
  count: i32,
  left: bool,
  right: bool,
  step: i32,
  middle: i32,
  H: i32,
  activation: i32,
): void {
  if (step == 2) {
    if (middle == 0) slideTwo<No, Yes, TWO>(x, up, stride, weight, bias, y, count, left, right, activation)
    else if (middle < H - 1) slideTwo<Yes, Yes, TWO>(x, up, stride, weight, bias, y, count, left, right, activation)
    else slideTwo<Yes, No, TWO>(x, up, stride, weight, bias, y, count, left, right, activation)
  } else {
    if (middle == 0)
      slideOne<No, Yes, No, TWO>(x, up, stride, weight, stride, bias, y, count, left, right, activation, 0)
    else if (middle < H - 1)
      slideOne<Yes, Yes, No, TWO>(x, up, stride, weight, stride, bias, y, count, left, right, activation, 0)
    else slideOne<Yes, No, No, TWO>(x, up, stride, weight, stride, bias, y, count, left, right, activation, 0)
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
    let c: usize = 0
    const last = weight + 8 * stride
    if (IN_PAIRS) {
      for (; c + 32 <= stride; c += 32) {
        turnedAt<Yes>(pixel + c, up, stride, last + c, target + c, count, left, right, middle, OH, accumulate)
      }
    }
    for (; c < stride; c += 16) {
      turnedAt<No>(pixel + c, up, stride, last + c, target + c, count, left, right, middle, OH, accumulate)
    }
  }
}

// @ts-ignore: decorator
@inline
function turnedAt<TWO>(
  dy: usize,
  up: usize,
  stride: usize,
  weight: usize,
  dx: usize,
  count: i32,
  left: bool,
  right: bool,
  middle: i32,
  OH: i32,
  accumulate: i32,
): void {
  const tap: usize = 0 - stride
  if (middle == 0) slideOne<No, Yes, Yes, TWO>(dy, up, stride, weight, tap, 0, dx, count, left, right, 0, accumulate)
  else if (middle < OH - 1)
    slideOne<Yes, Yes, Yes, TWO>(dy, up, stride, weight, tap, 0, dx, count, left, right, 0, accumulate)
  else slideOne<Yes, No, Yes, TWO>(dy, up, stride, weight, tap, 0, dx, count, left, right, 0, accumulate)
}
