// Depthwise sums for any kernel, stride and dilation. An output starts at its bias and takes its taps row by row, left to
// right, skipping those outside the picture; four neighbouring outputs share each load of a weight.

import { clamp, lowerBound, upperBound } from '../activations'
import { multiplyAdd } from '../lanes'

/** Writes act(value), or with GRADIENT the value itself, added to what is there if asked. GRADIENT is a constant of the caller. */
// @ts-ignore: decorator
@inline
export function put(y: usize, value: v128, low: v128, high: v128, accumulate: i32, GRADIENT: bool): void {
  if (GRADIENT) {
    if (accumulate) value = f32x4.add(v128.load(y), value)
    v128.store(y, value)
  } else {
    v128.store(y, clamp(value, low, high))
  }
}

/**
 * One row of outputs. x: the picture [H, W, S]; weight: its first tap, `tap` bytes from one to the next (negative where the
 * kernel is turned around); y: the first output; bias may be null.
 */
// @ts-ignore: decorator
@inline
function rowBody(
  x: usize,
  weight: usize,
  tap: usize,
  bias: usize,
  y: usize,
  oy: i32,
  H: i32,
  W: i32,
  OW: i32,
  stride: usize,
  kh: i32,
  kw: i32,
  strideH: i32,
  strideW: i32,
  padTop: i32,
  padLeft: i32,
  dilationH: i32,
  dilationW: i32,
  low: v128,
  high: v128,
  accumulate: i32,
  GRADIENT: bool,
): void {
  const top = oy * strideH - padTop
  const firstTapRow = firstInside(top, dilationH)
  const rows = endInside(top, dilationH, H, kh) - firstTapRow
  const rowTap = tap * <usize>kw
  const rowStep = <usize>(dilationH * W) * stride
  const columnStep = <usize>dilationW * stride
  const weightRow = weight + <usize>firstTapRow * rowTap
  const pixelRow = x + <usize>((top + firstTapRow * dilationH) * W) * stride
  let ox = 0
  while (ox < OW) {
    const left = ox * strideW - padLeft
    const pixel = pixelRow + <usize>left * stride
    const inside = left >= 0 && left + 3 * strideW + (kw - 1) * dilationW < W
    if (inside && ox + 4 <= OW) {
      if (GRADIENT) {
        fourGradients(
          pixel,
          weightRow,
          tap,
          y,
          stride,
          rows,
          kw,
          rowStep,
          columnStep,
          <usize>strideW * stride,
          accumulate,
        )
      } else {
        fourOutputs(
          pixel,
          weightRow,
          tap,
          bias,
          y,
          stride,
          rows,
          kw,
          rowStep,
          columnStep,
          <usize>strideW * stride,
          low,
          high,
        )
      }
      ox += 4
      y += stride << 2
    } else {
      const first = firstInside(left, dilationW)
      const columns = max(endInside(left, dilationW, W, kw) - first, 0)
      const corner = pixel + <usize>first * columnStep
      oneOutput(
        corner,
        weightRow + <usize>first * tap,
        tap,
        rowTap,
        bias,
        y,
        stride,
        rows,
        columns,
        rowStep,
        columnStep,
        low,
        high,
        accumulate,
        GRADIENT,
      )
      ox++
      y += stride
    }
  }
}

/** First tap of those at start, start + dilation, … that is not before the picture. */
// @ts-ignore: decorator
@inline
export function firstInside(start: i32, dilation: i32): i32 {
  return start < 0 ? (dilation - 1 - start) / dilation : 0
}

/** One past the last of k taps that is not behind the picture. */
// @ts-ignore: decorator
@inline
export function endInside(start: i32, dilation: i32, size: i32, k: i32): i32 {
  return start < size ? min(k, (size - 1 - start) / dilation + 1) : 0
}

// @ts-ignore: decorator
@inline
function fourBody(
  x: usize,
  weight: usize,
  tap: usize,
  bias: usize,
  y: usize,
  stride: usize,
  rows: i32,
  columns: i32,
  rowStep: usize,
  columnStep: usize,
  outputStep: usize,
  low: v128,
  high: v128,
  accumulate: i32,
  GRADIENT: bool,
): void {
  const twoSteps = outputStep << 1
  const threeSteps = outputStep + twoSteps
  for (let c: usize = 0; c < stride; c += 16) {
    let a = bias ? v128.load(bias + c) : f32x4.splat(0)
    let b = a
    let d = a
    let e = a
    let k = weight + c
    let row = x + c
    for (let ky = 0; ky < rows; ky++) {
      let pixel = row
      for (let kx = 0; kx < columns; kx++) {
        const w = v128.load(k)
        a = multiplyAdd(v128.load(pixel), w, a)
        b = multiplyAdd(v128.load(pixel + outputStep), w, b)
        d = multiplyAdd(v128.load(pixel + twoSteps), w, d)
        e = multiplyAdd(v128.load(pixel + threeSteps), w, e)
        k += tap
        pixel += columnStep
      }
      row += rowStep
    }
    const target = y + c
    put(target, a, low, high, accumulate, GRADIENT)
    put(target + stride, b, low, high, accumulate, GRADIENT)
    put(target + (stride << 1), d, low, high, accumulate, GRADIENT)
    put(target + stride * 3, e, low, high, accumulate, GRADIENT)
  }
}

function fourOutputs(
  x: usize,
  weight: usize,
  tap: usize,
  bias: usize,
  y: usize,
  stride: usize,
  rows: i32,
  columns: i32,
  rowStep: usize,
  columnStep: usize,
  outputStep: usize,
  low: v128,
  high: v128,
): void {
  fourBody(x, weight, tap, bias, y, stride, rows, columns, rowStep, columnStep, outputStep, low, high, 0, false)
}

function fourGradients(
  x: usize,
  weight: usize,
  tap: usize,
  y: usize,
  stride: usize,
  rows: i32,
  columns: i32,
  rowStep: usize,
  columnStep: usize,
  outputStep: usize,
  accumulate: i32,
): void {
  const none = f32x4.splat(0)
  fourBody(x, weight, tap, 0, y, stride, rows, columns, rowStep, columnStep, outputStep, none, none, accumulate, true)
}

function oneOutput(
  x: usize,
  weight: usize,
  tap: usize,
  rowTap: usize,
  bias: usize,
  y: usize,
  stride: usize,
  rows: i32,
  columns: i32,
  rowStep: usize,
  columnStep: usize,
  low: v128,
  high: v128,
  accumulate: i32,
  gradient: bool,
): void {
  for (let c: usize = 0; c < stride; c += 16) {
    let sum = bias ? v128.load(bias + c) : f32x4.splat(0)
    for (let ky = 0; ky < rows; ky++) {
      let k = weight + <usize>ky * rowTap + c
      let pixel = x + <usize>ky * rowStep + c
      for (let kx = 0; kx < columns; kx++) {
        sum = multiplyAdd(v128.load(pixel), v128.load(k), sum)
        k += tap
        pixel += columnStep
      }
    }
    if (gradient) put(y + c, sum, low, high, accumulate, true)
    else put(y + c, sum, low, high, accumulate, false)
  }
}

/** Forward, one row of outputs of one picture. */
export function forwardRow(
  x: usize,
  weight: usize,
  bias: usize,
  y: usize,
  oy: i32,
  geometry: usize,
  activation: i32,
): void {
  const stride = (<usize>load<i32>(geometry, 12)) << 2
  rowBody(
    x,
    weight,
    stride,
    bias,
    y,
    oy,
    load<i32>(geometry, 0),
    load<i32>(geometry, 4),
    load<i32>(geometry, 20),
    stride,
    load<i32>(geometry, 28),
    load<i32>(geometry, 32),
    load<i32>(geometry, 36),
    load<i32>(geometry, 40),
    load<i32>(geometry, 44),
    load<i32>(geometry, 48),
    load<i32>(geometry, 52),
    load<i32>(geometry, 56),
    lowerBound(activation),
    upperBound(activation),
    0,
    false,
  )
}

/** Gradient of one input row where both strides are 1: dy convolved with the kernel turned around. */
export function turnedRow(dy: usize, weight: usize, dx: usize, iy: i32, geometry: usize, accumulate: i32): void {
  const stride = (<usize>load<i32>(geometry, 12)) << 2
  const kh = load<i32>(geometry, 28)
  const kw = load<i32>(geometry, 32)
  const dilationH = load<i32>(geometry, 52)
  const dilationW = load<i32>(geometry, 56)
  const none = f32x4.splat(0)
  rowBody(
    dy,
    weight + <usize>(kh * kw - 1) * stride,
    0 - stride,
    0,
    dx,
    iy,
    load<i32>(geometry, 16),
    load<i32>(geometry, 20),
    load<i32>(geometry, 4),
    stride,
    kh,
    kw,
    1,
    1,
    dilationH * (kh - 1) - load<i32>(geometry, 44),
    dilationW * (kw - 1) - load<i32>(geometry, 48),
    dilationH,
    dilationW,
    none,
    none,
    accumulate,
    true,
  )
}

/** Gradient of one input row for any stride: every tap whose output exists is gathered. */
export function gatheredRow(dy: usize, weight: usize, dx: usize, iy: i32, geometry: usize, accumulate: i32): void {
  const W = load<i32>(geometry, 4)
  const stride = (<usize>load<i32>(geometry, 12)) << 2
  const padLeft = load<i32>(geometry, 48)
  for (let ix = 0; ix < W; ix++) {
    gatherPixel(dy, weight, dx, iy + load<i32>(geometry, 44), ix + padLeft, stride, geometry, accumulate)
    dx += stride
  }
}

/** The same for one pixel: dx [S]; bottom, right: its row + padTop and column + padLeft. */
export function gatherPixel(
  dy: usize,
  weight: usize,
  dx: usize,
  bottom: i32,
  right: i32,
  stride: usize,
  geometry: usize,
  accumulate: i32,
): void {
  const OH = load<i32>(geometry, 16)
  const OW = load<i32>(geometry, 20)
  const kh = load<i32>(geometry, 28)
  const kw = load<i32>(geometry, 32)
  const strideH = load<i32>(geometry, 36)
  const strideW = load<i32>(geometry, 40)
  const dilationH = load<i32>(geometry, 52)
  const dilationW = load<i32>(geometry, 56)
  let fresh = !accumulate
  for (let ky = 0; ky < kh; ky++) {
    const y = bottom - ky * dilationH
    if (y < 0 || y % strideH || y / strideH >= OH) continue
    for (let kx = 0; kx < kw; kx++) {
      const x = right - kx * dilationW
      if (x < 0 || x % strideW || x / strideW >= OW) continue
      const source = dy + <usize>((y / strideH) * OW + x / strideW) * stride
      const k = weight + <usize>(ky * kw + kx) * stride
      gatherTap(source, k, dx, stride, fresh)
      fresh = false
    }
  }
  if (fresh) memory.fill(dx, 0, stride)
}

function gatherTap(dy: usize, weight: usize, dx: usize, stride: usize, fresh: bool): void {
  for (let c: usize = 0; c < stride; c += 16) {
    const before = fresh ? f32x4.splat(0) : v128.load(dx + c)
    v128.store(dx + c, multiplyAdd(v128.load(dy + c), v128.load(weight + c), before))
  }
}
