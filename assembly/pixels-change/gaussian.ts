import { MAX_RADIUS } from './places'

/** Pixels on either side that a filter of this width takes: three standard deviations. */
export function radiusOf(sigma: f64): i32 {
  return min(MAX_RADIUS, <i32>ceil(3 * sigma))
}

/** f32[2·radius + 1] that add up to 1. */
export function gaussianWeights(target: usize, sigma: f64, radius: i32): void {
  let sum: f64 = 0
  for (let i = -radius; i <= radius; i++) sum += bell(<f64>i, sigma)
  for (let i = -radius; i <= radius; i++) {
    store<f32>(target + (<usize>(i + radius) << 2), <f32>(bell(<f64>i, sigma) / sum))
  }
}

function bell(x: f64, sigma: f64): f64 {
  return NativeMath.exp((-x * x) / (2 * sigma * sigma))
}
