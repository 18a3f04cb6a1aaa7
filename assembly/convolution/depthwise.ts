// Depthwise convolution: every channel has its own kernel. x: f32[N, H, W, S], y: f32[N, OH, OW, S], weight: f32[kh, kw, S];
// geometry as in README.md.

import { forwardRow, gatheredRow, turnedRow } from './depthwise-taps'
import { weightRow } from './depthwise-weight'

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
  const stride = (<usize>load<i32>(geometry, 12)) << 2
  const input = <usize>(load<i32>(geometry, 0) * load<i32>(geometry, 4)) * stride
  const OH = load<i32>(geometry, 16)
  const outputRow = <usize>load<i32>(geometry, 20) * stride
  for (let row = from; row < to; row++) {
    const image = row / OH
    forwardRow(
      x + <usize>image * input,
      weight,
      bias,
      y + <usize>row * outputRow,
      row - image * OH,
      geometry,
      activation,
    )
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
  const stride = (<usize>load<i32>(geometry, 12)) << 2
  const inputRow = <usize>load<i32>(geometry, 4) * stride
  const output = <usize>(load<i32>(geometry, 16) * load<i32>(geometry, 20)) * stride
  const single = load<i32>(geometry, 36) == 1 && load<i32>(geometry, 40) == 1
  for (let row = from; row < to; row++) {
    const image = row / H
    const source = dy + <usize>image * output
    const target = dx + <usize>row * inputRow
    if (single) turnedRow(source, weight, target, row - image * H, geometry, accumulate)
    else gatheredRow(source, weight, target, row - image * H, geometry, accumulate)
  }
}

/**
 * dw += sum over images, output rows (each from zero, added in order) and their pixels of x·dy.
 * Units are groups of 4 channels.
 */
export function depthwiseBackwardWeight(
  x: usize,
  dy: usize,
  dw: usize,
  images: i32,
  geometry: usize,
  from: i32,
  to: i32,
): void {
  const stride = (<usize>load<i32>(geometry, 12)) << 2
  const input = <usize>(load<i32>(geometry, 0) * load<i32>(geometry, 4)) * stride
  const OH = load<i32>(geometry, 16)
  const outputRow = <usize>load<i32>(geometry, 20) * stride
  const first = (<usize>from) << 4
  const end = (<usize>to) << 4
  for (let image = 0; image < images; image++) {
    const source = x + <usize>image * input
    for (let oy = 0; oy < OH; oy++) {
      weightRow(source, dy + <usize>(image * OH + oy) * outputRow, dw, oy, geometry, first, end)
    }
  }
}
