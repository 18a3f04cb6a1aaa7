// Depthwise convolution: every channel has its own kernel. x: f32[N, H, W, S], y: f32[N, OH, OW, S], weight: f32[kh, kw, S];
// geometry as in README.md. Which way a row is computed, and so the order of its sums, depends on the shape and its place in
// the picture alone.

import { scaleShiftRows } from '../normalisation/scale-shift'
import { slideForward, slides, slideTurned } from './depthwise-3x3'
import { slideApart } from './depthwise-3x3-stride-2'
import { slideWeight } from './depthwise-3x3-weight'
import { forwardRow, gatheredRow, turnedRow } from './depthwise-taps'
import { weightRow } from './depthwise-weight'

/** Bytes of a worker's scratch memory. */
const SCRATCH_BYTES: usize = 1 << 20

/** y = act(bias + x * weight); bias may be null. Units are output rows (image·OH + row). */
export function depthwiseForward(
  x: usize,
  weight: usize,
  y: usize,
  bias: usize,
  activation: i32,
  geometry: usize,
  from: i32,
  to: i32,
): void {
  const H = load<i32>(geometry, 0)
  const W = load<i32>(geometry, 4)
  const stride = (<usize>load<i32>(geometry, 12)) << 2
  const OH = load<i32>(geometry, 16)
  const OW = load<i32>(geometry, 20)
  const input = <usize>(H * W) * stride
  const outputRow = <usize>OW * stride
  for (let row = from; row < to; row++) {
    const image = row / OH
    const oy = row - image * OH
    const source = x + <usize>image * input
    const target = y + <usize>row * outputRow
    if (slides(geometry, oy, H, W, OW, load<i32>(geometry, 44), load<i32>(geometry, 48))) {
      slideForward(source, weight, bias, target, oy, geometry, activation)
    } else {
      forwardRow(source, weight, bias, target, oy, geometry, activation)
    }
  }
}

/** dx = dy * turned weight, written, or added. Units are input rows (image·H + row). */
export function depthwiseBackwardInput(
  dy: usize,
  weight: usize,
  dx: usize,
  geometry: usize,
  accumulate: i32,
  from: i32,
  to: i32,
): void {
  const H = load<i32>(geometry, 0)
  const W = load<i32>(geometry, 4)
  const stride = (<usize>load<i32>(geometry, 12)) << 2
  const OH = load<i32>(geometry, 16)
  const OW = load<i32>(geometry, 20)
  const inputRow = <usize>W * stride
  const output = <usize>(OH * OW) * stride
  for (let row = from; row < to; row++) {
    const image = row / H
    const iy = row - image * H
    const source = dy + <usize>image * output
    const target = dx + <usize>row * inputRow
    if (load<i32>(geometry, 36) == 1 && load<i32>(geometry, 40) == 1) {
      if (slides(geometry, iy, OH, OW, W, 2 - load<i32>(geometry, 44), 2 - load<i32>(geometry, 48))) {
        slideTurned(source, weight, target, iy, geometry, accumulate)
      } else {
        turnedRow(source, weight, target, iy, geometry, accumulate)
      }
    } else if (isThreeByTwo(geometry)) {
      slideApart(source, weight, target, iy, geometry, accumulate)
    } else {
      gatheredRow(source, weight, target, iy, geometry, accumulate)
    }
  }
}

/** Kernel 3x3, stride 2, no dilation. */
function isThreeByTwo(geometry: usize): bool {
  return (
    load<i32>(geometry, 28) == 3 &&
    load<i32>(geometry, 32) == 3 &&
    load<i32>(geometry, 36) == 2 &&
    load<i32>(geometry, 40) == 2 &&
    load<i32>(geometry, 52) == 1 &&
    load<i32>(geometry, 56) == 1
  )
}

/**
 * dw += sum over images, output rows and their pixels of x·dy, or, where scaleShift (scale[S], shift[S]) is not null, of
 * act(x·scale + shift)·dy. A row (where it slides, a tile of its columns) is summed from zero; rows are added in order.
 * scratch: 1 MiB, used with scaleShift only; the rows of x that a row of dy needs must fit in. Units are groups of 4 channels.
 */
export function depthwiseBackwardWeight(
  x: usize,
  scaleShift: usize,
  activation: i32,
  dy: usize,
  dw: usize,
  images: i32,
  geometry: usize,
  scratch: usize,
  from: i32,
  to: i32,
): void {
  const H = load<i32>(geometry, 0)
  const W = load<i32>(geometry, 4)
  const stride = (<usize>load<i32>(geometry, 12)) << 2
  const OH = load<i32>(geometry, 16)
  const OW = load<i32>(geometry, 20)
  const strideH = load<i32>(geometry, 36)
  const padTop = load<i32>(geometry, 44)
  const extent = (load<i32>(geometry, 28) - 1) * load<i32>(geometry, 52) + 1
  const inputRow = <usize>W * stride
  const outputRow = <usize>OW * stride
  const first = (<usize>from) << 4
  const end = (<usize>to) << 4
  // Output rows for which scratch holds the input rows.
  const most = scaleShift ? max(1, (<i32>(SCRATCH_BYTES / inputRow) - extent) / strideH + 1) : OH
  for (let image = 0; image < images; image++) {
    const picture = x + <usize>(image * H) * inputRow
    for (let top = 0; top < OH; top += most) {
      const bottom = min(OH, top + most)
      let source = picture
      if (scaleShift) {
        const row = max(0, top * strideH - padTop)
        const rows = min(H, (bottom - 1) * strideH - padTop + extent) - row
        const offset = <usize>row * inputRow
        const pixels = rows * W
        scaleShiftRows(picture + offset, stride, scratch, stride, pixels, scaleShift, stride, activation, first, end)
        // Where row 0 would lie.
        source = scratch - offset
      }
      for (let oy = top; oy < bottom; oy++) {
        const gradient = dy + <usize>(image * OH + oy) * outputRow
        if (slides(geometry, oy, H, W, OW, padTop, load<i32>(geometry, 48))) {
          slideWeight(source, gradient, dw, oy, geometry, first, end)
        } else {
          weightRow(source, gradient, dw, oy, geometry, first, end)
        }
      }
    }
  }
}
