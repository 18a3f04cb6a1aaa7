// How much each input pixel counts for an output pixel, with the arithmetic of Pillow's precompute_coeffs.

/** Bits after the point of a weight: 32, less 8 of a byte, less 2 so that sums of overshooting filters fit. */
export const PRECISION: i32 = 22

// The order of `interpolations` in src/data/preprocessing.ts.
const BILINEAR: i32 = 0
const BICUBIC: i32 = 1
const NEAREST: i32 = 3

/** Half the width of a filter in output pixels. */
function supportOf(interpolation: i32): f64 {
  if (interpolation == BILINEAR) return 1
  if (interpolation == BICUBIC) return 2
  return interpolation == NEAREST ? 0 : 3
}

function filter(interpolation: i32, x: f64): f64 {
  if (interpolation == BILINEAR) return max<f64>(0, 1 - abs(x))
  if (interpolation == BICUBIC) return cubic(abs(x))
  return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0
}

/** Keys' cubic with a = -0.5. */
function cubic(x: f64): f64 {
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1
  if (x < 2) return ((-0.5 * x + 2.5) * x - 4) * x + 2
  return 0
}

function sinc(x: f64): f64 {
  return x == 0 ? 1 : NativeMath.sin(x * Math.PI) / (x * Math.PI)
}

/** Weights that one output pixel may have. The same size is left alone, whatever the filter. */
export function tapsOf(inputSize: i32, outputSize: i32, interpolation: i32): i32 {
  const support = inputSize == outputSize ? 0 : supportOf(interpolation)
  return <i32>ceil(support * max<f64>(1, <f64>inputSize / <f64>outputSize)) * 2 + 1
}

/**
 * Of the output pixels first, first + 1, ...: where their inputs begin and end, and the weights, `taps` apart, as integers
 * of 22 bits after the point. Each of the two tables of places has `count` entries; `exact` is scratch of f64[taps].
 */
export function filterWeights(
  inputSize: i32,
  outputSize: i32,
  first: i32,
  count: i32,
  interpolation: i32,
  starts: usize,
  ends: usize,
  weights: usize,
  taps: i32,
  exact: usize,
): void {
  const kind = inputSize == outputSize ? NEAREST : interpolation
  const scale = <f64>inputSize / <f64>outputSize
  const stretch = max<f64>(1, scale)
  const support = supportOf(kind) * stretch
  for (let i = 0; i < count; i++) {
    const center = (<f64>(first + i) + 0.5) * scale
    const row = weights + ((<usize>i * <usize>taps) << 2)
    if (kind == NEAREST) {
      const start = min<i32>(inputSize - 1, <i32>floor(center))
      store<i32>(starts + (<usize>i << 2), start)
      store<i32>(ends + (<usize>i << 2), start + 1)
      store<i32>(row, 1 << PRECISION)
      continue
    }
    const start = max<i32>(0, <i32>(center - support + 0.5))
    const end = min<i32>(inputSize, <i32>(center + support + 0.5))
    let sum: f64 = 0
    for (let k = 0; k < end - start; k++) {
      const weight = filter(kind, (<f64>(start + k) - center + 0.5) / stretch)
      store<f64>(exact + (<usize>k << 3), weight)
      sum += weight
    }
    for (let k = 0; k < end - start; k++) {
      const scaled = (load<f64>(exact + (<usize>k << 3)) / sum) * <f64>(1 << PRECISION)
      store<i32>(row + (<usize>k << 2), <i32>(scaled + (scaled < 0 ? -0.5 : 0.5)))
    }
    store<i32>(starts + (<usize>i << 2), start)
    store<i32>(ends + (<usize>i << 2), end)
  }
}
