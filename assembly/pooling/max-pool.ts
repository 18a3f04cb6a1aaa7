// Windows are read in row-major order; a value wins if it is larger than all before it or NaN, as in PyTorch. What lies
// outside the picture takes no part. geometry as in README.md; O' is not used.

/** Lanes where the value replaces the best so far. */
// @ts-ignore: decorator
@inline
function wins(value: v128, best: v128): v128 {
  return v128.or(f32x4.gt(value, best), f32x4.ne(value, value))
}

/** y = maximum of each window.  x: f32[N, H, W, S], y: f32[N, OH, OW, S]. Units are output rows (image·OH + row). */
export function maxPoolForward(x: usize, y: usize, geometry: usize, from: i32, to: i32): void {
  const H = load<i32>(geometry, 0)
  const W = load<i32>(geometry, 4)
  const OH = load<i32>(geometry, 16)
  const stride = (<usize>load<i32>(geometry, 12)) << 2
  const outputRow = stride * <usize>load<i32>(geometry, 20)
  for (let row = from; row < to; row++) {
    const image = row / OH
    forwardRow(x + <usize>(image * H * W) * stride, y + <usize>row * outputRow, row - image * OH, geometry)
  }
}

function forwardRow(image: usize, y: usize, oy: i32, geometry: usize): void {
  const H = load<i32>(geometry, 0)
  const W = load<i32>(geometry, 4)
  const stride = (<usize>load<i32>(geometry, 12)) << 2
  const OW = load<i32>(geometry, 20)
  const kh = load<i32>(geometry, 28)
  const kw = load<i32>(geometry, 32)
  const strideW = load<i32>(geometry, 40)
  const dilationH = load<i32>(geometry, 52)
  const dilationW = load<i32>(geometry, 56)
  const top = oy * load<i32>(geometry, 36) - load<i32>(geometry, 44)
  const firstRow = firstInside(top, dilationH, kh)
  const rows = endInside(top, dilationH, kh, H) - firstRow
  const rowStart = image + <usize>((top + firstRow * dilationH) * W) * stride
  const rowStep = <usize>(dilationH * W) * stride
  const pixelStep = <usize>dilationW * stride
  let left = -load<i32>(geometry, 48)
  for (let ox = 0; ox < OW; ox++) {
    const first = firstInside(left, dilationW, kw)
    const columns = endInside(left, dilationW, kw, W) - first
    const start = rowStart + <usize>(left + first * dilationW) * stride
    if (rows == 3 && columns == 3) maximaOfNine(start, rowStep, pixelStep, y, stride)
    else maxima(start, rowStep, pixelStep, rows, columns, y, stride)
    y += stride
    left += strideW
  }
}

/** The first of `taps` positions, `dilation` apart from `start` on, that is not negative. */
function firstInside(start: i32, dilation: i32, taps: i32): i32 {
  return start >= 0 ? 0 : min(taps, (dilation - 1 - start) / dilation)
}

/** One past the last of them that is less than `size`. */
function endInside(start: i32, dilation: i32, taps: i32, size: i32): i32 {
  return start >= size ? 0 : min(taps, (size - 1 - start) / dilation + 1)
}

/** y = the maximum over a window of rows·columns pixels that all exist, for `bytes` of channels. */
function maxima(start: usize, rowStep: usize, pixelStep: usize, rows: i32, columns: i32, y: usize, bytes: usize): void {
  const end = y + bytes
  for (; y < end; y += 16) {
    let best = f32x4.splat(-Infinity)
    let notNumbers = f32x4.splat(0)
    let row = start
    for (let ky = 0; ky < rows; ky++) {
      let at = row
      for (let kx = 0; kx < columns; kx++) {
        const value = v128.load(at)
        best = f32x4.pmax(best, value)
        notNumbers = v128.or(notNumbers, f32x4.ne(value, value))
        at += pixelStep
      }
      row += rowStep
    }
    // All bits set are a NaN, too.
    v128.store(y, v128.or(best, notNumbers))
    start += 16
  }
}

/** The same of 3x3 pixels, the window of most networks, without the loops: they cost more than what is in them. */
function maximaOfNine(start: usize, rowStep: usize, pixelStep: usize, y: usize, bytes: usize): void {
  const end = y + bytes
  for (; y < end; y += 16) {
    const top = start
    const middle = top + rowStep
    const bottom = middle + rowStep
    const a0 = v128.load(top)
    const a1 = v128.load(top + pixelStep)
    const a2 = v128.load(top + 2 * pixelStep)
    const b0 = v128.load(middle)
    const b1 = v128.load(middle + pixelStep)
    const b2 = v128.load(middle + 2 * pixelStep)
    const c0 = v128.load(bottom)
    const c1 = v128.load(bottom + pixelStep)
    const c2 = v128.load(bottom + 2 * pixelStep)
    let best = f32x4.pmax(f32x4.splat(-Infinity), a0)
    best = f32x4.pmax(best, a1)
    best = f32x4.pmax(best, a2)
    best = f32x4.pmax(best, b0)
    best = f32x4.pmax(best, b1)
    best = f32x4.pmax(best, b2)
    best = f32x4.pmax(best, c0)
    best = f32x4.pmax(best, c1)
    best = f32x4.pmax(best, c2)
    const first = v128.or(v128.or(f32x4.ne(a0, a0), f32x4.ne(a1, a1)), f32x4.ne(a2, a2))
    const second = v128.or(v128.or(f32x4.ne(b0, b0), f32x4.ne(b1, b1)), f32x4.ne(b2, b2))
    const third = v128.or(v128.or(f32x4.ne(c0, c0), f32x4.ne(c1, c1)), f32x4.ne(c2, c2))
    v128.store(y, v128.or(best, v128.or(first, v128.or(second, third))))
    start += 16
  }
}

/** dx = dy at the maximum of its window (the first, if several), 0 elsewhere; written, or added. Units are images. */
export function maxPoolBackward(
  x: usize,
  dy: usize,
  dx: usize,
  geometry: usize,
  accumulate: i32,
  from: i32,
  to: i32,
): void {
  const OH = load<i32>(geometry, 16)
  const stride = (<usize>load<i32>(geometry, 12)) << 2
  const input = <usize>(load<i32>(geometry, 0) * load<i32>(geometry, 4)) * stride
  const outputRow = <usize>load<i32>(geometry, 20) * stride
  for (let image = from; image < to; image++) {
    const source = x + <usize>image * input
    const target = dx + <usize>image * input
    if (!accumulate) memory.fill(target, 0, input)
    for (let oy = 0; oy < OH; oy++) backwardRow(source, dy + <usize>(image * OH + oy) * outputRow, target, oy, geometry)
  }
}

function backwardRow(image: usize, dy: usize, dx: usize, oy: i32, geometry: usize): void {
  const H = load<i32>(geometry, 0)
  const W = load<i32>(geometry, 4)
  const stride = (<usize>load<i32>(geometry, 12)) << 2
  const OW = load<i32>(geometry, 20)
  const kh = load<i32>(geometry, 28)
  const kw = load<i32>(geometry, 32)
  const strideW = load<i32>(geometry, 40)
  const dilationH = load<i32>(geometry, 52)
  const dilationW = load<i32>(geometry, 56)
  const top = oy * load<i32>(geometry, 36) - load<i32>(geometry, 44)
  let left = -load<i32>(geometry, 48)
  for (let ox = 0; ox < OW; ox++) {
    for (let c: usize = 0; c < stride; c += 16) {
      let best = f32x4.splat(-Infinity)
      // Byte offset of the winner; if all are -infinity it is the first of the window.
      let place = i32x4.splat(-1)
      for (let ky = 0, iy = top; ky < kh; ky++, iy += dilationH) {
        if (<u32>iy >= <u32>H) continue
        for (let kx = 0, ix = left; kx < kw; kx++, ix += dilationW) {
          if (<u32>ix >= <u32>W) continue
          const offset = <usize>(iy * W + ix) * stride
          const value = v128.load(image + offset + c)
          const won = v128.or(wins(value, best), i32x4.eq(place, i32x4.splat(-1)))
          best = v128.bitselect(value, best, won)
          place = v128.bitselect(i32x4.splat(<i32>offset), place, won)
        }
      }
      const gradient = v128.load(dy + c)
      const target = dx + c
      give(target, i32x4.extract_lane(place, 0), f32x4.extract_lane(gradient, 0))
      give(target + 4, i32x4.extract_lane(place, 1), f32x4.extract_lane(gradient, 1))
      give(target + 8, i32x4.extract_lane(place, 2), f32x4.extract_lane(gradient, 2))
      give(target + 12, i32x4.extract_lane(place, 3), f32x4.extract_lane(gradient, 3))
    }
    dy += stride
    left += strideW
  }
}

/** Adds the gradient at the offset, if there is one. */
// @ts-ignore: decorator
@inline
function give(dx: usize, offset: i32, gradient: f32): void {
  if (offset == -1) return
  const target = dx + <usize>offset
  store<f32>(target, load<f32>(target) + gradient)
}
