import { philox } from './philox'
import { floatsOf } from './places'

const LEVELS: i32 = 2048

/**
 * Adds Gaussian noise of `deviation` bytes, independent in each byte. A random half word chooses one of 4096 equally likely values:
 * byte i takes its lower or upper half, i even or odd, from word (i >> 1) of the counted numbers under the key.
 */
export function noise(picture: usize, width: i32, height: i32, deviation: f32, key0: u32, key1: u32): void {
  const quantiles = floatsOf(picture, width, height)
  const words = quantiles + (<usize>LEVELS << 2)
  for (let i = 0; i < LEVELS; i++) {
    store<f32>(quantiles + (<usize>i << 2), <f32>upperQuantile((<f64>i + 0.5) / <f64>(2 * LEVELS)))
  }
  const bytes = width * height * 3
  for (let block = 0; block << 3 < bytes; block++) {
    philox(words, block, key0, key1)
    const end = min(8, bytes - (block << 3))
    for (let i = 0; i < end; i++) {
      const at = picture + <usize>((block << 3) + i)
      const half = <i32>load<u16>(words + (<usize>i << 1))
      const size = load<f32>(quantiles + (<usize>(half & (LEVELS - 1)) << 2))
      const value = <f32>load<u8>(at) + (half & LEVELS ? size : -size) * deviation
      store<u8>(at, <i32>max<f32>(0, min<f32>(255, floor<f32>(value + 0.5))))
    }
  }
}

/**
 * Where the upper tail of the normal distribution has this share, 0 < share <= 1/2; within 4.5e-4.
 * @see Abramowitz and Stegun, 26.2.23
 */
function upperQuantile(share: f64): f64 {
  const t = sqrt(-2 * NativeMath.log(share))
  const above = 2.515517 + t * (0.802853 + t * 0.010328)
  const below = 1 + t * (1.432788 + t * (0.189269 + t * 0.001308))
  return t - above / below
}
