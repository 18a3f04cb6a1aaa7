// Average pooling to a given size, as in PyTorch: cell i of `out` covers floor(i·in/out) … ceil((i+1)·in/out).
// 1x1 is global average pooling.

import { spread, windowMean } from './average-pool'

// @ts-ignore: decorator
@inline
function cellStart(i: i32, size: i32, cells: i32): i32 {
  return (i * size) / cells
}

// @ts-ignore: decorator
@inline
function cellEnd(i: i32, size: i32, cells: i32): i32 {
  return ((i + 1) * size + cells - 1) / cells
}

/** y = mean of each cell.  x: f32[N, H, W, S], y: f32[N, OH, OW, S]. Units are images. */
export function adaptivePoolForward(
  x: usize,
  y: usize,
  H: i32,
  W: i32,
  S: i32,
  OH: i32,
  OW: i32,
  from: i32,
  to: i32,
): void {
  const stride = (<usize>S) << 2
  for (let image = from; image < to; image++) {
    const source = x + <usize>(image * H * W) * stride
    let target = y + <usize>(image * OH * OW) * stride
    for (let oy = 0; oy < OH; oy++) {
      const firstRow = cellStart(oy, H, OH)
      const endRow = cellEnd(oy, H, OH)
      for (let ox = 0; ox < OW; ox++) {
        const first = cellStart(ox, W, OW)
        const end = cellEnd(ox, W, OW)
        const divisor = (endRow - firstRow) * (end - first)
        windowMean(source, stride, W, firstRow, endRow, first, end, divisor, target)
        target += stride
      }
    }
  }
}

/** dx = sum over the cells that hold it of dy / (size of the cell); written, or added. Units are images. */
export function adaptivePoolBackward(
  dy: usize,
  dx: usize,
  H: i32,
  W: i32,
  S: i32,
  OH: i32,
  OW: i32,
  accumulate: i32,
  from: i32,
  to: i32,
): void {
  const stride = (<usize>S) << 2
  const input = <usize>(H * W) * stride
  for (let image = from; image < to; image++) {
    const target = dx + <usize>image * input
    if (!accumulate) memory.fill(target, 0, input)
    let source = dy + <usize>(image * OH * OW) * stride
    for (let oy = 0; oy < OH; oy++) {
      const firstRow = cellStart(oy, H, OH)
      const endRow = cellEnd(oy, H, OH)
      for (let ox = 0; ox < OW; ox++) {
        const first = cellStart(ox, W, OW)
        const end = cellEnd(ox, W, OW)
        const divisor = (endRow - firstRow) * (end - first)
        spread(source, target, stride, W, firstRow, endRow, first, end, divisor)
        source += stride
      }
    }
  }
}
