import { LONGEST_DEPTH, multiplyBlock } from '../matmul/matmul'
import { packB } from '../matmul/pack'
import { addTransposedBlock, SUM_ROWS } from '../matmul/transposed'
import { addPatches, alignColumn, blockEnd, copyPatches, patchColumns } from './patches'

// Blocks of the patch matrix are built in scratch (1 MiB): at most 256 rows of at most 512 columns and a margin, half of it.

/** Columns of patches, and of dy, of which the gradient of the weight is computed at once, and where dy lies in scratch. */
const WEIGHT_COLUMNS: i32 = 256
const DY_COLUMNS: i32 = 512
const DY_OFFSET: usize = 512 * 1024

/** Output pixels whose patches are built at once. */
const BLOCK_PIXELS: i32 = 128

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
  const K = patchColumns(geometry)
  const most = balancedDepth(K, C)
  for (let pixel = from; pixel < to; pixel += BLOCK_PIXELS) {
    const pixels = min(BLOCK_PIXELS, to - pixel)
    const offset = (<usize>pixel * <usize>O) << 2
    for (let k = 0; k < K; ) {
      const end = blockEnd(k, most, K, C)
      const depth = end - k
      copyPatches(x, geometry, scratch, depth, pixel, pixel + pixels, k, end)
      // Patches hold the columns from k on, a block is told where column 0 would be.
      const a = scratch - ((<usize>k) << 2)
      multiplyBlock(
        a,
        depth,
        pixels,
        packed,
        K,
        k,
        depth,
        y + offset,
        O,
        O,
        bias,
        residual ? residual + offset : 0,
        activation,
      )
      k = end
    }
  }
}

/** Columns per block so that all blocks are about as long: nine taps of 64 channels as 5 + 4, not 8 + 1. */
function balancedDepth(K: i32, C: i32): i32 {
  const blocks = (K + LONGEST_DEPTH - 1) / LONGEST_DEPTH
  const even = (K + blocks - 1) / blocks
  const wholeTaps = ((even + C - 1) / C) * C
  return wholeTaps <= LONGEST_DEPTH ? wholeTaps : LONGEST_DEPTH
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
  const inputSize = load<i32>(geometry) * load<i32>(geometry, 4) * load<i32>(geometry, 12)
  const pixels = load<i32>(geometry, 16) * load<i32>(geometry, 20)
  const O = load<i32>(geometry, 24)
  const K = patchColumns(geometry)
  for (let image = from; image < to; image++) {
    const dxImage = dx + ((<usize>image * <usize>inputSize) << 2)
    const dyImage = dy + ((<usize>image * <usize>pixels * <usize>O) << 2)
    if (!accumulate) memory.fill(dxImage, 0, (<usize>inputSize) << 2)
    for (let pixel = 0; pixel < pixels; pixel += BLOCK_PIXELS) {
      const end = min(pixels, pixel + BLOCK_PIXELS)
      const dyBlock = dyImage + ((<usize>pixel * <usize>O) << 2)
      for (let k = 0; k < K; k += LONGEST_DEPTH) {
        const columns = min(LONGEST_DEPTH, K - k)
        const width = (columns + 3) & ~3
        const panels = packed + ((<usize>k * <usize>O) << 2)
        for (let o = 0; o < O; o += LONGEST_DEPTH) {
          const depth = min(LONGEST_DEPTH, O - o)
          multiplyBlock(dyBlock, O, end - pixel, panels, O, o, depth, scratch, width, width, 0, 0, 0)
        }
        addPatches(dxImage, geometry, scratch, width, pixel, end, k, k + columns)
      }
    }
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
  const S = load<i32>(geometry, 12)
  const M = images * load<i32>(geometry, 16) * load<i32>(geometry, 20)
  const dyPanels = scratch + DY_OFFSET
  // Cache lines that lie a power of two apart push each other out: worth a copy where it is used often enough.
  const copies = !isIdentity(geometry) || (C >= 64 && O >= 64)
  const packs = to - from >= 64 && O >= 64
  for (let k = from; k < to; ) {
    const first = alignColumn(k, C)
    const end = blockEnd(first, WEIGHT_COLUMNS, to, C)
    // An odd number of cache lines from row to row spreads a column over all sets of the cache.
    const step = copies ? ((end - first + 4 + 15) & ~15) | 16 : S
    const block = dw + ((<usize>first * <usize>O) << 2)
    for (let m = 0; m < M; m += SUM_ROWS) {
      const rows = min(SUM_ROWS, M - m)
      let a = x + ((<usize>m * <usize>S + <usize>first) << 2)
      if (copies) {
        a = scratch
        copyPatches(x, geometry, scratch, step, m, m + rows, first, end)
      }
      for (let o = 0; o < O; o += DY_COLUMNS) {
        const columns = min(DY_COLUMNS, O - o)
        let b = dy + ((<usize>m * <usize>O + <usize>o) << 2)
        if (packs) {
          packB(b, O, dyPanels, rows, columns, 0, (columns + 7) >> 3)
          b = dyPanels
        }
        addTransposedBlock(
          a,
          step,
          b,
          packs ? 0 : O,
          block + ((<usize>o) << 2),
          O,
          rows,
          columns,
          k - first,
          end - first,
        )
      }
    }
    k = end
  }
}

/** Whether the patches of x are x itself: a 1x1 convolution of stride 1. */
function isIdentity(geometry: usize): bool {
  return (
    load<i32>(geometry, 28) == 1 &&
    load<i32>(geometry, 32) == 1 &&
    load<i32>(geometry, 36) == 1 &&
    load<i32>(geometry, 40) == 1 &&
    load<i32>(geometry, 44) == 0 &&
    load<i32>(geometry, 48) == 0 &&
    load<i32>(geometry) == load<i32>(geometry, 16) &&
    load<i32>(geometry, 4) == load<i32>(geometry, 20)
  )
}
