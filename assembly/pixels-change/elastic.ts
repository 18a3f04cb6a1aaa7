import { gaussianWeights, radiusOf } from './gaussian'
import { philox } from './philox'
import { copyOf, floatsOf, pictureBytes } from './places'
import { colourOf, sampleTo } from './sample'

/**
 * Pulls each pixel by smoothed noise: in both directions, uniform from -1 to 1 and independent in each pixel and around the picture,
 * filtered by a Gaussian of sigma pixels, times alpha.
 * @see Simard et al. 2003, "Best practices for convolutional neural networks applied to visual document analysis"
 */
export function elastic(
  picture: usize,
  width: i32,
  height: i32,
  alpha: f64,
  sigma: f64,
  key0: u32,
  key1: u32,
  outside: i32,
  red: i32,
  green: i32,
  blue: i32,
): void {
  const radius = radiusOf(sigma)
  const stride = (width + 2 * radius + 3) & ~3
  const rows = height + 2 * radius
  const first = floatsOf(picture, width, height)
  const second = first + (<usize>stride * <usize>rows << 2)
  const row = second + (<usize>stride * <usize>rows << 2)
  const weights = row + (<usize>(stride + 4) << 2)
  gaussianWeights(weights, sigma, radius)
  const blocks = (stride * rows) >> 2
  fillNoise(first, blocks, 0, key0, key1)
  fillNoise(second, blocks, <u32>blocks, key0, key1)
  smooth(first, stride, width, height, radius, weights, row)
  smooth(second, stride, width, height, radius, weights, row)

  const source = copyOf(picture, width, height)
  memory.copy(source, picture, pictureBytes(width, height))
  const colour = colourOf(red, green, blue)
  let target = picture
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = <usize>(y * stride + x) << 2
      const fromX = <f64>x + alpha * <f64>load<f32>(first + at)
      const fromY = <f64>y + alpha * <f64>load<f32>(second + at)
      sampleTo(target, source, width, height, fromX, fromY, outside, colour)
      target += 3
    }
  }
}

/** Uniform from -1 to below 1, four floats a block. */
function fillNoise(target: usize, blocks: i32, firstBlock: u32, key0: u32, key1: u32): void {
  const unit = f32x4.splat(<f32>(1.0 / 2147483648.0))
  for (let i = 0; i < blocks; i++) {
    philox(target, firstBlock + <u32>i, key0, key1)
    v128.store(target, f32x4.mul(f32x4.convert_i32x4_s(v128.load(target)), unit))
    target += 16
  }
}

/** A plane with a border of `radius` to its inner part, which comes to lie at the beginning of the plane, rows as far apart as before. */
function smooth(
  plane: usize,
  stride: i32,
  width: i32,
  height: i32,
  radius: i32,
  weights: usize,
  row: usize,
): void {
  const taps = 2 * radius + 1
  const rowBytes = <usize>stride << 2
  for (let y = 0; y < height; y++) {
    const top = plane + <usize>y * rowBytes
    for (let x = 0; x < stride; x += 4) {
      let sum = f32x4.splat(0)
      let at = top + (<usize>x << 2)
      for (let k = 0; k < taps; k++) {
        sum = f32x4.add(sum, f32x4.mul(v128.load(at), v128.load32_splat(weights + (<usize>k << 2))))
        at += rowBytes
      }
      v128.store(row + (<usize>x << 2), sum)
    }
    // The row below has no more use for this one.
    for (let x = 0; x < width; x += 4) {
      let sum = f32x4.splat(0)
      let at = row + (<usize>x << 2)
      for (let k = 0; k < taps; k++) {
        sum = f32x4.add(sum, f32x4.mul(v128.load(at), v128.load32_splat(weights + (<usize>k << 2))))
        at += 4
      }
      v128.store(top + (<usize>x << 2), sum)
    }
  }
}
