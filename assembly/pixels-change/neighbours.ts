import { gaussianWeights, radiusOf } from './gaussian'
import { copyOf, floatsOf, pictureBytes } from './places'

/** A Gaussian filter of sigma pixels; outside the picture it goes on mirrored at its outermost pixels. */
export function blur(picture: usize, width: i32, height: i32, sigma: f64): void {
  const radius = radiusOf(sigma)
  const source = copyOf(picture, width, height)
  memory.copy(source, picture, pictureBytes(width, height))
  const rowBytes = width * 3
  const row = floatsOf(picture, width, height)
  const inner = row + (<usize>(3 * radius) << 2)
  const weights = row + (<usize>((width + 2 * radius) * 3 + 16) << 2)
  const taps = 2 * radius + 1
  const rows = weights + (<usize>taps << 2)
  gaussianWeights(weights, sigma, radius)
  for (let y = 0; y < height; y++) {
    for (let k = 0; k < taps; k++) {
      store<usize>(rows + (<usize>k << 2), source + <usize>(mirrored(y + k - radius, height) * rowBytes))
    }
    for (let i = 0; i < rowBytes; i += 4) {
      let sum = f32x4.splat(0)
      for (let k = 0; k < taps; k++) {
        const from = load<usize>(rows + (<usize>k << 2)) + <usize>i
        const bytes = i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(v128.load32_zero(from)))
        const weight = v128.load32_splat(weights + (<usize>k << 2))
        sum = f32x4.add(sum, f32x4.mul(f32x4.convert_i32x4_s(bytes), weight))
      }
      v128.store(inner + (<usize>i << 2), sum)
    }
    for (let x = 1; x <= radius; x++) {
      copyPixel(inner - (<usize>(3 * x) << 2), inner + (<usize>(3 * mirrored(-x, width)) << 2))
      copyPixel(
        inner + (<usize>(3 * (width - 1 + x)) << 2),
        inner + (<usize>(3 * mirrored(width - 1 + x, width)) << 2),
      )
    }
    const target = picture + <usize>(y * rowBytes)
    for (let i = 0; i < rowBytes; i += 4) {
      let sum = f32x4.splat(0.5)
      for (let k = 0; k < taps; k++) {
        const from = row + (<usize>(i + 3 * k) << 2)
        sum = f32x4.add(sum, f32x4.mul(v128.load(from), v128.load32_splat(weights + (<usize>k << 2))))
      }
      const words = i16x8.narrow_i32x4_s(i32x4.trunc_sat_f32x4_s(sum), i32x4.splat(0))
      const bytes = i32x4.extract_lane(i8x16.narrow_i16x8_u(words, words), 0)
      if (i + 4 <= rowBytes) store<i32>(target + <usize>i, bytes)
      else for (let c = 0; c < rowBytes - i; c++) store<u8>(target + <usize>(i + c), bytes >> (c << 3))
    }
  }
}

function copyPixel(target: usize, source: usize): void {
  store<f32>(target, load<f32>(source))
  store<f32>(target, load<f32>(source, 4), 4)
  store<f32>(target, load<f32>(source, 8), 8)
}

function mirrored(at: i32, size: i32): i32 {
  if (at >= 0 && at < size) return at
  const period = 2 * (size - 1)
  if (period == 0) return 0
  const within = ((at % period) + period) % period
  return within < size ? within : period - within
}

/** Away from the mean over 3x3 pixels, the middle one counting five times, or towards it; the outermost pixels stay. */
export function sharpness(picture: usize, width: i32, height: i32, factor: f32): void {
  const source = copyOf(picture, width, height)
  memory.copy(source, picture, pictureBytes(width, height))
  const rowBytes = <usize>width * 3
  for (let y = 1; y < height - 1; y++) {
    for (let i: usize = 3; i < rowBytes - 3; i++) {
      const at = source + <usize>y * rowBytes + i
      const middle = <i32>load<u8>(at)
      const sum = threeBytes(at - rowBytes) + threeBytes(at) + threeBytes(at + rowBytes) + 4 * middle
      const smooth = <f32>sum / 13
      const value = floor<f32>(smooth + factor * (<f32>middle - smooth) + 0.5)
      store<u8>(picture + <usize>y * rowBytes + i, <i32>max<f32>(0, min<f32>(255, value)))
    }
  }
}

/** A byte and those of the pixels beside it. */
// @ts-ignore: decorator of AssemblyScript
@inline
function threeBytes(at: usize): i32 {
  return <i32>load<u8>(at - 3) + <i32>load<u8>(at) + <i32>load<u8>(at, 3)
}
