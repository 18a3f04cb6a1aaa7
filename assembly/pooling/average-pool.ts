// The divisor is PyTorch's: with includePad the part of the window inside the picture and its padding (what ceil mode hangs
// over beyond it does not count; padBottom and padRight equal padTop and padLeft here), without it the part inside the picture.
// Dilation is 1. geometry as in README.md; O' is not used.

/** How much of the window of length k that starts at `start` counts, along one axis. */
// @ts-ignore: decorator
@inline
function counted(start: i32, k: i32, size: i32, pad: i32, includePad: i32): i32 {
  return includePad ? min(start + k, size + pad) - start : min(start + k, size) - max(start, 0)
}

/** y = mean of each window.  x: f32[N, H, W, S], y: f32[N, OH, OW, S]. Units are output rows (image·OH + row). */
export function averagePoolForward(x: usize, y: usize, geometry: usize, includePad: i32, from: i32, to: i32): void {
  const H = load<i32>(geometry, 0)
  const W = load<i32>(geometry, 4)
  const OH = load<i32>(geometry, 16)
  const stride = (<usize>load<i32>(geometry, 12)) << 2
  const outputRow = stride * <usize>load<i32>(geometry, 20)
  for (let row = from; row < to; row++) {
    const image = row / OH
    forwardRow(x + <usize>(image * H * W) * stride, y + <usize>row * outputRow, row - image * OH, geometry, includePad)
  }
}

function forwardRow(image: usize, y: usize, oy: i32, geometry: usize, includePad: i32): void {
  const H = load<i32>(geometry, 0)
  const W = load<i32>(geometry, 4)
  const stride = (<usize>load<i32>(geometry, 12)) << 2
  const OW = load<i32>(geometry, 20)
  const kh = load<i32>(geometry, 28)
  const kw = load<i32>(geometry, 32)
  const strideW = load<i32>(geometry, 40)
  const padTop = load<i32>(geometry, 44)
  const padLeft = load<i32>(geometry, 48)
  const top = oy * load<i32>(geometry, 36) - padTop
  const firstRow = max(top, 0)
  const endRow = min(top + kh, H)
  const height = counted(top, kh, H, padTop, includePad)
  for (let ox = 0; ox < OW; ox++) {
    const left = ox * strideW - padLeft
    const divisor = height * counted(left, kw, W, padLeft, includePad)
    windowMean(image, stride, W, firstRow, endRow, max(left, 0), min(left + kw, W), divisor, y)
    y += stride
  }
}

/** Mean over a rectangle of pixels: each of its rows from zero, rows added in order; then divided. Also for adaptive pooling. */
export function windowMean(
  image: usize,
  stride: usize,
  W: i32,
  firstRow: i32,
  endRow: i32,
  firstColumn: i32,
  endColumn: i32,
  divisor: i32,
  y: usize,
): void {
  for (let c: usize = 0; c < stride; c += 16) {
    let sum = f32x4.splat(0)
    for (let iy = firstRow; iy < endRow; iy++) {
      let rowSum = f32x4.splat(0)
      let pixel = image + <usize>(iy * W + firstColumn) * stride + c
      for (let ix = firstColumn; ix < endColumn; ix++) {
        rowSum = f32x4.add(rowSum, v128.load(pixel))
        pixel += stride
      }
      sum = f32x4.add(sum, rowSum)
    }
    v128.store(y + c, f32x4.div(sum, f32x4.splat(<f32>divisor)))
  }
}

/** dx = sum over the windows that hold it of dy / divisor; written, or added. Units are images. */
export function averagePoolBackward(
  dy: usize,
  dx: usize,
  geometry: usize,
  includePad: i32,
  accumulate: i32,
  from: i32,
  to: i32,
): void {
  const OH = load<i32>(geometry, 16)
  const stride = (<usize>load<i32>(geometry, 12)) << 2
  const input = <usize>(load<i32>(geometry, 0) * load<i32>(geometry, 4)) * stride
  const outputRow = <usize>load<i32>(geometry, 20) * stride
  for (let image = from; image < to; image++) {
    const target = dx + <usize>image * input
    if (!accumulate) memory.fill(target, 0, input)
    for (let oy = 0; oy < OH; oy++) {
      backwardRow(dy + <usize>(image * OH + oy) * outputRow, target, oy, geometry, includePad)
    }
  }
}

function backwardRow(dy: usize, dx: usize, oy: i32, geometry: usize, includePad: i32): void {
  const H = load<i32>(geometry, 0)
  const W = load<i32>(geometry, 4)
  const stride = (<usize>load<i32>(geometry, 12)) << 2
  const OW = load<i32>(geometry, 20)
  const kh = load<i32>(geometry, 28)
  const kw = load<i32>(geometry, 32)
  const strideW = load<i32>(geometry, 40)
  const padTop = load<i32>(geometry, 44)
  const padLeft = load<i32>(geometry, 48)
  const top = oy * load<i32>(geometry, 36) - padTop
  const firstRow = max(top, 0)
  const endRow = min(top + kh, H)
  const height = counted(top, kh, H, padTop, includePad)
  for (let ox = 0; ox < OW; ox++) {
    const left = ox * strideW - padLeft
    const divisor = height * counted(left, kw, W, padLeft, includePad)
    spread(dy, dx, stride, W, firstRow, endRow, max(left, 0), min(left + kw, W), divisor)
    dy += stride
  }
}

/** Adds dy / divisor to every pixel of a rectangle. Also for adaptive pooling. */
export function spread(
  dy: usize,
  image: usize,
  stride: usize,
  W: i32,
  firstRow: i32,
  endRow: i32,
  firstColumn: i32,
  endColumn: i32,
  divisor: i32,
): void {
  const divisors = f32x4.splat(<f32>divisor)
  for (let iy = firstRow; iy < endRow; iy++) {
    let pixel = image + <usize>(iy * W + firstColumn) * stride
    for (let ix = firstColumn; ix < endColumn; ix++) {
      for (let c: usize = 0; c < stride; c += 16) {
        v128.store(pixel + c, f32x4.add(v128.load(pixel + c), f32x4.div(v128.load(dy + c), divisors)))
      }
      pixel += stride
    }
  }
}
