import { addPatchGradients, addWeightGradients, multiplyPatches } from './patch-products'

/**
 * y = act((bias + residual) + convolution of x).
 * x: f32[N, H, W, S]; packed: the weight f32[K, O'] as `packB` leaves it; y: f32[N, OH, OW, O'], written; bias: f32[O'] or null;
 * residual: like y, or null, may be y; scratch: 1 MiB. y may not overlap x. Units: output pixels, over all images.
 * Error: at most K+1 roundings of the sum of magnitudes; the bits are those of `matmul` on the patches.
 */
export function convolutionForward(
  x: usize,
  packed: usize,
  y: usize,
  bias: usize,
  residual: usize,
  activation: i32,
  geometry: usize,
  scratch: usize,
  from: i32,
  to: i32,
): void {
  const C = load<i32>(geometry, 8)
  const O = load<i32>(geometry, 24)
  multiplyPatches(x, C, packed, y, O, bias, residual, activation, geometry, scratch, from, to)
}

/**
 * dx = the gradient of the input, or dx += it where `accumulate` is not 0.
 * dy: f32[N, OH, OW, O']; packed: the transposed weight f32[O', K] as `packBTransposed(weight, O', packed, O', K)` leaves it;
 * dx: f32[N, H, W, S]; scratch: 1 MiB. dx may not overlap dy. Units: images.
 * Every patch's gradient is a sum over O' in order; they are added to dx in the order of output pixels and columns.
 */
export function convolutionBackwardInput(
  dy: usize,
  packed: usize,
  dx: usize,
  geometry: usize,
  accumulate: i32,
  scratch: usize,
  from: i32,
  to: i32,
): void {
  const C = load<i32>(geometry, 8)
  const O = load<i32>(geometry, 24)
  const inputBytes = (<usize>(load<i32>(geometry) * load<i32>(geometry, 4) * load<i32>(geometry, 12))) << 2
  const pixels = load<i32>(geometry, 16) * load<i32>(geometry, 20)
  const outputBytes = (<usize>(pixels * O)) << 2
  for (let image: usize = from; image < <usize>to; image++) {
    const dxImage = dx + image * inputBytes
    if (!accumulate) memory.fill(dxImage, 0, inputBytes)
    addPatchGradients(dy + image * outputBytes, O, packed, dxImage, C, geometry, scratch, 0, pixels)
  }
}

/**
 * dw += the gradient of the weight.
 * x: f32[images, H, W, S]; dy: f32[images, OH, OW, O']; dw: f32[K, O']; scratch: 1 MiB. dw may not overlap x or dy.
 * Blocks of 256 output pixels (over all images) are summed from zero and added to dw in order. Units: rows of dw.
 */
export function convolutionBackwardWeight(
  x: usize,
  dy: usize,
  dw: usize,
  images: i32,
  geometry: usize,
  scratch: usize,
  from: i32,
  to: i32,
): void {
  const C = load<i32>(geometry, 8)
  const O = load<i32>(geometry, 24)
  const M = images * load<i32>(geometry, 16) * load<i32>(geometry, 20)
  addWeightGradients(x, C, dy, O, dw, O, M, geometry, scratch, from, to)
}
