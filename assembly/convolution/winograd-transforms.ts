import { clamp, lowerBound, upperBound } from '../activations'
import { multiplyAdd } from '../lanes'
import { A, B } from './winograd-points'

// Coefficients of the two polynomials that the transforms are made of, see winograd-points.ts. All are exact in f32.
const A1: f32 = <f32>A
const A2: f32 = <f32>(A * A)
const A3: f32 = <f32>(A * A * A)
const B1: f32 = <f32>B
const B2: f32 = <f32>(B * B)
const B3: f32 = <f32>(B * B * B)
const PRODUCT: f32 = <f32>(A * A * B * B)
const SUM: f32 = <f32>(A * A + B * B)

/** Channels that are transformed at once, so that what lies between the two passes stays in L1. */
export const TRANSFORMED_CHANNELS: i32 = 64

/** Bytes between the two passes: 36 vectors for every four of those channels. */
export const TRANSFORM_BYTES: usize = 16 * 36 * 16

/** Bytes from one group of four channels to the next between the two passes of the input, and of the output. */
const INPUT_GROUP: usize = 36 * 16
const OUTPUT_GROUP: usize = 24 * 16

/**
 * First pass over the input: one column of six pixels, given by their addresses, for `bytes` of channels.
 * between: column j of [group of four channels][6][6], at 16·j.
 */
export function transformColumn(
  d0: usize,
  d1: usize,
  d2: usize,
  d3: usize,
  d4: usize,
  d5: usize,
  between: usize,
  bytes: usize,
): void {
  const end = d0 + bytes
  for (; d0 < end; d0 += 16) {
    const x1 = v128.load(d1)
    const x2 = v128.load(d2)
    const x3 = v128.load(d3)
    const x4 = v128.load(d4)
    v128.store(between, multiplyAdd(f32x4.splat(PRODUCT), v128.load(d0), multiplyAdd(f32x4.splat(-SUM), x2, x4)))
    const evenA = multiplyAdd(f32x4.splat(-B2), x2, x4)
    const oddA = multiplyAdd(f32x4.splat(-B2), x1, x3)
    v128.store(between, multiplyAdd(f32x4.splat(A1), oddA, evenA), 96)
    v128.store(between, multiplyAdd(f32x4.splat(-A1), oddA, evenA), 192)
    const evenB = multiplyAdd(f32x4.splat(-A2), x2, x4)
    const oddB = multiplyAdd(f32x4.splat(-A2), x1, x3)
    v128.store(between, multiplyAdd(f32x4.splat(B1), oddB, evenB), 288)
    v128.store(between, multiplyAdd(f32x4.splat(-B1), oddB, evenB), 384)
    v128.store(between, multiplyAdd(f32x4.splat(PRODUCT), x1, multiplyAdd(f32x4.splat(-SUM), x3, v128.load(d5))), 480)
    d1 += 16
    d2 += 16
    d3 += 16
    d4 += 16
    d5 += 16
    between += INPUT_GROUP
  }
}

/**
 * Second pass over the input: row i of what `transformColumn` left (between: at 96·i), into six planes `plane` bytes apart.
 */
export function transformRow(between: usize, to: usize, plane: usize, bytes: usize): void {
  const end = to + bytes
  for (; to < end; to += 16) {
    const x1 = v128.load(between, 16)
    const x2 = v128.load(between, 32)
    const x3 = v128.load(between, 48)
    const x4 = v128.load(between, 64)
    let out = to
    v128.store(out, multiplyAdd(f32x4.splat(PRODUCT), v128.load(between), multiplyAdd(f32x4.splat(-SUM), x2, x4)))
    const evenA = multiplyAdd(f32x4.splat(-B2), x2, x4)
    const oddA = multiplyAdd(f32x4.splat(-B2), x1, x3)
    out += plane
    v128.store(out, multiplyAdd(f32x4.splat(A1), oddA, evenA))
    out += plane
    v128.store(out, multiplyAdd(f32x4.splat(-A1), oddA, evenA))
    const evenB = multiplyAdd(f32x4.splat(-A2), x2, x4)
    const oddB = multiplyAdd(f32x4.splat(-A2), x1, x3)
    out += plane
    v128.store(out, multiplyAdd(f32x4.splat(B1), oddB, evenB))
    out += plane
    v128.store(out, multiplyAdd(f32x4.splat(-B1), oddB, evenB))
    out += plane
    v128.store(out, multiplyAdd(f32x4.splat(PRODUCT), x1, multiplyAdd(f32x4.splat(-SUM), x3, v128.load(between, 80))))
    between += INPUT_GROUP
  }
}

/**
 * First pass over the products: the column of six planes that starts at `from`, six planes of `plane` bytes apart.
 * between: column j of [group of four channels][4][6], at 16·j.
 */
export function gatherColumn(from: usize, plane: usize, between: usize, bytes: usize): void {
  const step = plane * 6
  const end = from + bytes
  for (; from < end; from += 16) {
    let at = from
    const m0 = v128.load(at)
    at += step
    const m1 = v128.load(at)
    at += step
    const m2 = v128.load(at)
    at += step
    const m3 = v128.load(at)
    at += step
    const m4 = v128.load(at)
    at += step
    const sumA = f32x4.add(m1, m2)
    const oddA = f32x4.sub(m1, m2)
    const sumB = f32x4.add(m3, m4)
    const oddB = f32x4.sub(m3, m4)
    v128.store(between, f32x4.add(m0, f32x4.add(sumA, sumB)))
    v128.store(between, multiplyAdd(f32x4.splat(A1), oddA, f32x4.mul(f32x4.splat(B1), oddB)), 96)
    v128.store(between, multiplyAdd(f32x4.splat(A2), sumA, f32x4.mul(f32x4.splat(B2), sumB)), 192)
    v128.store(between, multiplyAdd(f32x4.splat(A3), oddA, multiplyAdd(f32x4.splat(B3), oddB, v128.load(at))), 288)
    between += OUTPUT_GROUP
  }
}

/**
 * Second pass over the products: row i of what `gatherColumn` left (between: at 96·i), as `pixels` (1…4) pixels of `pixel` bytes:
 * y = act((sum + bias) + residual). bias and residual may be null; residual may be y.
 */
export function writeRow(
  between: usize,
  y: usize,
  pixel: usize,
  pixels: i32,
  bias: usize,
  residual: usize,
  activation: i32,
  bytes: usize,
): void {
  const low = lowerBound(activation)
  const high = upperBound(activation)
  const end = y + bytes
  const ahead = residual - y
  for (; y < end; y += 16) {
    const m1 = v128.load(between, 16)
    const m2 = v128.load(between, 32)
    const m3 = v128.load(between, 48)
    const m4 = v128.load(between, 64)
    const sumA = f32x4.add(m1, m2)
    const oddA = f32x4.sub(m1, m2)
    const sumB = f32x4.add(m3, m4)
    const oddB = f32x4.sub(m3, m4)
    let y0 = f32x4.add(v128.load(between), f32x4.add(sumA, sumB))
    let y1 = multiplyAdd(f32x4.splat(A1), oddA, f32x4.mul(f32x4.splat(B1), oddB))
    let y2 = multiplyAdd(f32x4.splat(A2), sumA, f32x4.mul(f32x4.splat(B2), sumB))
    let y3 = multiplyAdd(f32x4.splat(A3), oddA, multiplyAdd(f32x4.splat(B3), oddB, v128.load(between, 80)))
    if (bias) {
      const shift = v128.load(bias)
      y0 = f32x4.add(y0, shift)
      y1 = f32x4.add(y1, shift)
      y2 = f32x4.add(y2, shift)
      y3 = f32x4.add(y3, shift)
      bias += 16
    }
    let at = y
    if (residual) y0 = f32x4.add(y0, v128.load(at + ahead))
    v128.store(at, clamp(y0, low, high))
    if (pixels > 1) {
      at += pixel
      if (residual) y1 = f32x4.add(y1, v128.load(at + ahead))
      v128.store(at, clamp(y1, low, high))
    }
    if (pixels > 2) {
      at += pixel
      if (residual) y2 = f32x4.add(y2, v128.load(at + ahead))
      v128.store(at, clamp(y2, low, high))
    }
    if (pixels > 3) {
      at += pixel
      if (residual) y3 = f32x4.add(y3, v128.load(at + ahead))
      v128.store(at, clamp(y3, low, high))
    }
    between += OUTPUT_GROUP
  }
}

/**
 * First pass over the gradient of the output, the way back of `gatherColumn`: one column of four pixels, given by their addresses.
 * between: column j of [group of four channels][6][4], at 16·j.
 */
export function spreadColumn(d0: usize, d1: usize, d2: usize, d3: usize, between: usize, bytes: usize): void {
  const end = d0 + bytes
  for (; d0 < end; d0 += 16) {
    const y0 = v128.load(d0)
    const y1 = v128.load(d1)
    const y2 = v128.load(d2)
    const y3 = v128.load(d3)
    v128.store(between, y0)
    const evenA = multiplyAdd(f32x4.splat(A2), y2, y0)
    const oddA = multiplyAdd(f32x4.splat(A3), y3, f32x4.mul(f32x4.splat(A1), y1))
    v128.store(between, f32x4.add(evenA, oddA), 64)
    v128.store(between, f32x4.sub(evenA, oddA), 128)
    const evenB = multiplyAdd(f32x4.splat(B2), y2, y0)
    const oddB = multiplyAdd(f32x4.splat(B3), y3, f32x4.mul(f32x4.splat(B1), y1))
    v128.store(between, f32x4.add(evenB, oddB), 192)
    v128.store(between, f32x4.sub(evenB, oddB), 256)
    v128.store(between, y3, 320)
    d1 += 16
    d2 += 16
    d3 += 16
    between += OUTPUT_GROUP
  }
}

/** Second pass: row i of what `spreadColumn` left (between: at 64·i), into six planes `plane` bytes apart. */
export function spreadRow(between: usize, to: usize, plane: usize, bytes: usize): void {
  const end = to + bytes
  for (; to < end; to += 16) {
    const y0 = v128.load(between)
    const y1 = v128.load(between, 16)
    const y2 = v128.load(between, 32)
    const y3 = v128.load(between, 48)
    let out = to
    v128.store(out, y0)
    const evenA = multiplyAdd(f32x4.splat(A2), y2, y0)
    const oddA = multiplyAdd(f32x4.splat(A3), y3, f32x4.mul(f32x4.splat(A1), y1))
    out += plane
    v128.store(out, f32x4.add(evenA, oddA))
    out += plane
    v128.store(out, f32x4.sub(evenA, oddA))
    const evenB = multiplyAdd(f32x4.splat(B2), y2, y0)
    const oddB = multiplyAdd(f32x4.splat(B3), y3, f32x4.mul(f32x4.splat(B1), y1))
    out += plane
    v128.store(out, f32x4.add(evenB, oddB))
    out += plane
    v128.store(out, f32x4.sub(evenB, oddB))
    out += plane
    v128.store(out, y3)
    between += OUTPUT_GROUP
  }
}
