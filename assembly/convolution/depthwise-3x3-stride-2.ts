// Gradient of the input of a depthwise 3x3 with stride 2. In input row iy, iy + padTop even: two output rows reach it (taps of
// rows 0 and 2); odd: one (row 1). Along the row likewise: pixels come in pairs, the first of which has two output columns.

import { IN_PAIRS, multiplyAdd, ZEROS } from '../lanes'
import { besidesAt, No, pixelAt, Yes } from './depthwise-3x3'
import { gatherPixel } from './depthwise-taps'

/**
 * Pairs j = first … end - 1; dy and second: output column `first` of the one or two rows; dx: the first pixel of the first pair.
 * With TWO eight channels, in two vectors side by side (see depthwise-3x3.ts).
 */
function pairs<SECOND, TWO>(
  dy: usize,
  second: usize,
  weight: usize,
  secondWeight: usize,
  dx: usize,
  pairCount: i32,
  stride: usize,
  accumulate: i32,
): void {
  const k0 = v128.load(weight)
  const k1 = v128.load(weight + stride)
  const k2 = v128.load(weight + stride * 2)
  const l0 = besidesAt<Yes, TWO>(weight)
  const l1 = besidesAt<Yes, TWO>(weight + stride)
  const l2 = besidesAt<Yes, TWO>(weight + stride * 2)
  const m0 = pixelAt<SECOND>(secondWeight)
  const m1 = pixelAt<SECOND>(secondWeight + stride)
  const m2 = pixelAt<SECOND>(secondWeight + stride * 2)
  const n0 = besidesAt<SECOND, TWO>(secondWeight)
  const n1 = besidesAt<SECOND, TWO>(secondWeight + stride)
  const n2 = besidesAt<SECOND, TWO>(secondWeight + stride * 2)
  let p = v128.load(dy - stride)
  let r = besidesAt<Yes, TWO>(dy - stride)
  let q = pixelAt<SECOND>(second - stride)
  let s = besidesAt<SECOND, TWO>(second - stride)
  // What dx starts from, read without a branch, for the sake of TWO.
  let start = accumulate ? dx : ZEROS
  const startStep: usize = accumulate ? stride : 0
  for (; pairCount > 0; pairCount--) {
    let even = v128.load(start)
    let odd = v128.load(start + startStep)
    let even2 = besidesAt<Yes, TWO>(start)
    let odd2 = besidesAt<Yes, TWO>(start + startStep)
    start += startStep << 1
    even = multiplyAdd(p, k2, even)
    p = v128.load(dy)
    even = multiplyAdd(p, k0, even)
    odd = multiplyAdd(p, k1, odd)
    if (isInteger<SECOND>()) {
      even = multiplyAdd(q, m2, even)
      q = v128.load(second)
      even = multiplyAdd(q, m0, even)
      odd = multiplyAdd(q, m1, odd)
    }
    if (isInteger<TWO>()) {
      even2 = multiplyAdd(r, l2, even2)
      r = v128.load(dy, 16)
      even2 = multiplyAdd(r, l0, even2)
      odd2 = multiplyAdd(r, l1, odd2)
    }
    if (isInteger<TWO>() && isInteger<SECOND>()) {
      even2 = multiplyAdd(s, n2, even2)
      s = v128.load(second, 16)
      even2 = multiplyAdd(s, n0, even2)
      odd2 = multiplyAdd(s, n1, odd2)
    }
    v128.store(dx, even)
    if (isInteger<TWO>()) v128.store(dx, even2, 16)
    v128.store(dx + stride, odd)
    if (isInteger<TWO>()) v128.store(dx + stride, odd2, 16)
    dy += stride
    second += stride
    dx += stride << 1
  }
}

/** Gradient of one input row of one picture, dy [OH, OW, S]. Pixels at the ends of the row are gathered one by one. */
export function slideApart(dy: usize, weight: usize, dx: usize, iy: i32, geometry: usize, accumulate: i32): void {
  const W = load<i32>(geometry, 4)
  const stride = (<usize>load<i32>(geometry, 12)) << 2
  const OH = load<i32>(geometry, 16)
  const OW = load<i32>(geometry, 20)
  const padLeft = load<i32>(geometry, 48)
  const bottom = iy + load<i32>(geometry, 44)
  const oy = bottom >> 1
  // The output row of the upper tap row that exists, and the one above it.
  const hasFirst = oy < OH
  const hasSecond = !(bottom & 1) && oy > 0 && oy - 1 < OH
  const first = max(1, (padLeft + 1) >> 1)
  const end = hasFirst || hasSecond ? min(OW, (W + padLeft) >> 1) : first
  const head = end > first ? 2 * first - padLeft : W
  for (let ix = 0; ix < head; ix++) {
    gatherPixel(dy, weight, dx + <usize>ix * stride, bottom, ix + padLeft, stride, geometry, accumulate)
  }
  if (end <= first) return
  const row = dy + <usize>(oy * OW + first) * stride
  const above = row - <usize>OW * stride
  const target = dx + <usize>head * stride
  const k = weight + (bottom & 1 ? 3 * stride : 0)
  const m = weight + 6 * stride
  const secondRow = hasFirst && hasSecond
  const onlyRow = hasFirst ? row : above
  const onlyWeight = hasFirst ? k : m
  let c: usize = 0
  if (IN_PAIRS) {
    for (; c + 32 <= stride; c += 32) {
      const t = target + c
      if (secondRow) pairs<Yes, Yes>(row + c, above + c, k + c, m + c, t, end - first, stride, accumulate)
      else pairs<No, Yes>(onlyRow + c, 0, onlyWeight + c, 0, t, end - first, stride, accumulate)
    }
  }
  for (; c < stride; c += 16) {
    const t = target + c
    if (secondRow) pairs<Yes, No>(row + c, above + c, k + c, m + c, t, end - first, stride, accumulate)
    else pairs<No, No>(onlyRow + c, 0, onlyWeight + c, 0, t, end - first, stride, accumulate)
  }
  for (let ix = 2 * end - padLeft; ix < W; ix++) {
    gatherPixel(dy, weight, dx + <usize>ix * stride, bottom, ix + padLeft, stride, geometry, accumulate)
  }
}
