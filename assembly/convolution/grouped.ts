import {
  addPatchGradients,
  addWeightGradients,
  BLOCK_PIXELS,
  multiplyPatches,
  WEIGHT_FREE_OFFSET,
  WEIGHT_FREE_BYTES,
} from './patch-products'

// Convolutions in groups, as one product per **bundle** of groups: as many as fill whole vectors of four channels on both sides, and
// only the last bundle may have fewer. A bundle's matrix is zero where an output of one group would see an input of another.
// I is the number of input channels of a group, O that of its output channels; the geometry counts the channels of all groups.

/** Floats of a bundle's product that fit in scratch beside what `addWeightGradients` keeps there. */
const BUNDLE_FLOATS: i32 = WEIGHT_FREE_BYTES / 4

/** Groups of a bundle, but for the last. */
function bundleSize(I: i32, O: i32): i32 {
  return ((I | O) & 3) == 0 ? 1 : ((I | O) & 1) == 0 ? 2 : 4
}

/**
 * packed = the bundles' matrices, one after the other, each as `packB` leaves it (transposed 0: f32[K, N]) or as `packBTransposed`
 * (transposed 1: f32[N, K], K padded to 4). K = taps·(inputs of the bundle), N = its outputs, padded to 4.
 * weight: f32[taps, I, O'], O' the outputs of all groups, padded. Units: bundles.
 */
export function packGroups(
  weight: usize,
  packed: usize,
  taps: i32,
  I: i32,
  O: i32,
  groups: i32,
  transposed: i32,
  from: i32,
  to: i32,
): void {
  const size = bundleSize(I, O)
  const ldw = (groups * O + 3) & ~3
  for (let bundle = from; bundle < to; bundle++) {
    const first = bundle * size
    const count = min(size, groups - first)
    const K = taps * count * I
    const N = (count * O + 3) & ~3
    const columns = (K + 3) & ~3
    const target = packed + ((<usize>(bundle * taps * size * I) * <usize>(size * O)) << 2)
    memory.fill(target, 0, (<usize>(transposed ? columns : K) * <usize>N) << 2)
    for (let tap = 0; tap < taps; tap++) {
      for (let channel = 0; channel < count * I; channel++) {
        const group = channel / I
        const k = tap * count * I + channel
        let source =
          weight + ((<usize>(tap * I + channel - group * I) * <usize>ldw + <usize>((first + group) * O)) << 2)
        for (let n = group * O; n < (group + 1) * O; n++) {
          store<f32>(
            target + (transposed ? packedOffset(n, k, N, columns) : packedOffset(k, n, K, N)),
            load<f32>(source),
          )
          source += 4
        }
      }
    }
  }
}

/** Where element (k, n) of a packed matrix of K rows and N columns lies, in bytes. */
function packedOffset(k: i32, n: i32, K: i32, N: i32): usize {
  const start = n & ~7
  const width = N - start > 4 ? 8 : 4
  return (<usize>(start * K + k * width + n - start)) << 2
}

/** As `convolutionForward`, in groups; packed: as `packGroups` leaves it. Units: output pixels, over all images. */
export function groupedForward(
  x: usize,
  packed: usize,
  y: usize,
  bias: usize,
  residual: usize,
  activation: i32,
  geometry: usize,
  I: i32,
  O: i32,
  groups: i32,
  scratch: usize,
  from: i32,
  to: i32,
): void {
  const taps = load<i32>(geometry, 28) * load<i32>(geometry, 32)
  const size = bundleSize(I, O)
  // Block by block, so that the pixels of all groups, which share cache lines, are fetched once.
  for (let pixel = from; pixel < to; pixel += BLOCK_PIXELS) {
    let panels = packed
    for (let group = 0; group < groups; group += size) {
      const C = min(size, groups - group) * I
      const N = (min(size, groups - group) * O + 3) & ~3
      const input = (<usize>(group * I)) << 2
      const output = (<usize>(group * O)) << 2
      multiplyPatches(
        x + input,
        C,
        panels,
        y + output,
        N,
        bias ? bias + output : 0,
        residual ? residual + output : 0,
        activation,
        geometry,
        scratch,
        pixel,
        min(to, pixel + BLOCK_PIXELS),
      )
      panels += (<usize>(taps * C) * <usize>N) << 2
    }
  }
}

/** As `convolutionBackwardInput`, in groups; packed: as `packGroups` leaves it, transposed. Units: images. */
export function groupedBackwardInput(
  dy: usize,
  packed: usize,
  dx: usize,
  geometry: usize,
  I: i32,
  O: i32,
  groups: i32,
  accumulate: i32,
  scratch: usize,
  from: i32,
  to: i32,
): void {
  const pixels = load<i32>(geometry, 16) * load<i32>(geometry, 20)
  const inputBytes = (<usize>(load<i32>(geometry) * load<i32>(geometry, 4) * load<i32>(geometry, 12))) << 2
  const outputBytes = (<usize>(pixels * load<i32>(geometry, 24))) << 2
  const taps = load<i32>(geometry, 28) * load<i32>(geometry, 32)
  const size = bundleSize(I, O)
  for (let image: usize = from; image < <usize>to; image++) {
    const dxImage = dx + image * inputBytes
    const dyImage = dy + image * outputBytes
    if (!accumulate) memory.fill(dxImage, 0, inputBytes)
    for (let pixel = 0; pixel < pixels; pixel += BLOCK_PIXELS) {
      let panels = packed
      for (let group = 0; group < groups; group += size) {
        const C = min(size, groups - group) * I
        const N = (min(size, groups - group) * O + 3) & ~3
        addPatchGradients(
          dyImage + ((<usize>(group * O)) << 2),
          N,
          panels,
          dxImage + ((<usize>(group * I)) << 2),
          C,
          geometry,
          scratch,
          pixel,
          min(pixels, pixel + BLOCK_PIXELS),
        )
        panels += (<usize>N * <usize>((taps * C + 3) & ~3)) << 2
      }
    }
  }
}

/**
 * As `convolutionBackwardWeight`, in groups; dw: f32[taps, I, O'] with O' the outputs of all groups, padded.
 * Units: taps of bundles (bundle·taps + tap).
 */
export function groupedBackwardWeight(
  x: usize,
  dy: usize,
  dw: usize,
  images: i32,
  geometry: usize,
  I: i32,
  O: i32,
  groups: i32,
  scratch: usize,
  from: i32,
  to: i32,
): void {
  const taps = load<i32>(geometry, 28) * load<i32>(geometry, 32)
  const ldw = load<i32>(geometry, 24)
  const M = images * load<i32>(geometry, 16) * load<i32>(geometry, 20)
  const size = bundleSize(I, O)
  for (let unit = from; unit < to; ) {
    const group = (unit / taps) * size
    const tap = unit % taps
    const end = min(taps, tap + to - unit)
    const C = min(size, groups - group) * I
    const N = (min(size, groups - group) * O + 3) & ~3
    const xGroup = x + ((<usize>(group * I)) << 2)
    const output = (<usize>(group * O)) << 2
    if (size == 1) {
      addWeightGradients(xGroup, C, dy + output, N, dw + output, ldw, M, geometry, scratch, tap * C, end * C)
    } else {
      // The product of whole bundles has gradients between groups, too: only what belongs to the weight is taken from it.
      const rows = max(1, BUNDLE_FLOATS / N)
      const product = scratch + WEIGHT_FREE_OFFSET
      for (let k = tap * C; k < end * C; k += rows) {
        const last = min(end * C, k + rows)
        const start = (<usize>k * <usize>N) << 2
        memory.fill(product, 0, ((<usize>last * <usize>N) << 2) - start)
        addWeightGradients(xGroup, C, dy + output, N, product - start, N, M, geometry, scratch, k, last)
        addOwnGradients(product, N, dw + output, ldw, C, I, O, k, last)
      }
    }
    unit += end - tap
  }
}

/** dw += the part of rows from … to - 1 of a bundle's product in which outputs and inputs are of the same group. */
function addOwnGradients(
  product: usize,
  N: i32,
  dw: usize,
  ldw: i32,
  C: i32,
  I: i32,
  O: i32,
  from: i32,
  to: i32,
): void {
  for (let k = from; k < to; k++) {
    const tap = k / C
    const group = (k - tap * C) / I
    const i = k - tap * C - group * I
    let source = product + ((<usize>(k - from) * <usize>N + <usize>(group * O)) << 2)
    let target = dw + ((<usize>(tap * I + i) * <usize>ldw + <usize>(group * O)) << 2)
    for (let o = 0; o < O; o++) {
      store<f32>(target, load<f32>(target) + load<f32>(source))
      source += 4
      target += 4
    }
  }
}
