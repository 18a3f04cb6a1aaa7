// Gradient of depthwise weights, any kernel, stride and dilation: one output row at a time, every tap by itself.

import { multiplyAdd } from '../lanes'
import { endInside, firstInside } from './depthwise-taps'

/** dw += what output row oy of one picture gives, for channels first … end (in bytes). */
export function weightRow(x: usize, dy: usize, dw: usize, oy: i32, geometry: usize, first: usize, end: usize): void {
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
  for (let ky = 0; ky < kh; ky++) {
    const iy = top + ky * dilationH
    if (<u32>iy >= <u32>H) continue
    for (let kx = 0; kx < kw; kx++) {
      // Input column of output column 0; the outputs whose column is inside the picture take part.
      const start = kx * dilationW - load<i32>(geometry, 48)
      const firstOutput = firstInside(start, strideW)
      const count = endInside(start, strideW, W, OW) - firstOutput
      if (count <= 0) continue
      const pixel = x + <usize>(iy * W + start + firstOutput * strideW) * stride
      const gradient = dy + <usize>firstOutput * stride
      const target = dw + <usize>(ky * kw + kx) * stride
      for (let c = first; c < end; c += 16) {
        tapSum(pixel + c, gradient + c, target + c, count, <usize>strideW * stride, stride)
      }
    }
  }
}

// Four sums side by side: one alone would wait for each multiply-add.
function tapSum(x: usize, dy: usize, dw: usize, count: i32, xStep: usize, dyStep: usize): void {
  let a = f32x4.splat(0)
  let b = a
  let d = a
  let e = a
  for (; count >= 4; count -= 4) {
    a = multiplyAdd(v128.load(x), v128.load(dy), a)
    b = multiplyAdd(v128.load(x + xStep), v128.load(dy + dyStep), b)
    x += xStep << 1
    dy += dyStep << 1
    d = multiplyAdd(v128.load(x), v128.load(dy), d)
    e = multiplyAdd(v128.load(x + xStep), v128.load(dy + dyStep), e)
    x += xStep << 1
    dy += dyStep << 1
  }
  for (; count > 0; count--) {
    a = multiplyAdd(v128.load(x), v128.load(dy), a)
    x += xStep
    dy += dyStep
  }
  v128.store(dw, f32x4.add(v128.load(dw), f32x4.add(f32x4.add(a, b), f32x4.add(d, e))))
}
