import { LONGEST_DEPTH, multiplyBlock } from '../matmul/matmul'
import { packB } from '../matmul/pack'
import { addTransposedBlock, SUM_ROWS } from '../matmul/transposed'
import { addPatches, alignColumn, blockEnd, copyPatches, patchColumns } from './patches'

// What a convolution multiplies: C channels of x from a pointer on, and N output channels, of pixels that have more of both where
// the convolution has groups. N is a multiple of 4. Blocks of the patch matrix are built in scratch (1 MiB): at most 256 rows of at
// most 512 columns and a margin, half of it.

/** Columns of patches, and of dy, of which the gradient of the weight is computed at once, and where dy lies in scratch. */
const WEIGHT_COLUMNS: i32 = 256
const DY_COLUMNS: i32 = 512
const DY_OFFSET: usize = 512 * 1024

/** What the gradient of the weight leaves free in scratch: it has 256 rows of at most 272 floats of patches. */
export const WEIGHT_FREE_OFFSET: usize = 288 * 1024
export const WEIGHT_FREE_BYTES: i32 = <i32>(DY_OFFSET - WEIGHT_FREE_OFFSET)

/** Output pixels whose patches are built at once. */
export const BLOCK_PIXELS: i32 = 128

/**
 * y = act((bias + residual) + patches·b), N columns of the output pixels from … to - 1, over all images.
 * x: the first of C channels of f32[N, H, W, S]; packed: b f32[K, N] as `packB` leaves it; y, bias, residual: at the first column.
 */
export function multiplyPatches(
  x: usize,
  C: i32,
  packed: usize,
  y: usize,
  N: i32,
  bias: usize,
  residual: usize,
  activation: i32,
  geometry: usize,
  scratch: usize,
  from: i32,
  to: i32,
): void {
  const O = load<i32>(geometry, 24)
  const K = patchColumns(geometry, C)
  const most = balancedDepth(K, C)
  for (let pixel = from; pixel < to; pixel += BLOCK_PIXELS) {
    const pixels = min(BLOCK_PIXELS, to - pixel)
    const offset = (<usize>pixel * <usize>O) << 2
    for (let k = 0; k < K; ) {
      const end = blockEnd(k, most, K, C)
      const depth = end - k
      copyPatches(x, C, geometry, scratch, depth, pixel, pixel + pixels, k, end)
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
        N,
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
 * dx += the gradient of C channels of one image by N columns of dy, of the output pixels from … to - 1 of the image.
 * dy: the first column of the image f32[OH, OW, O']; packed: bᵀ f32[N, K] as `packBTransposed` leaves it; dx: the first channel of the
 * image f32[H, W, S].
 */
export function addPatchGradients(
  dy: usize,
  N: i32,
  packed: usize,
  dx: usize,
  C: i32,
  geometry: usize,
  scratch: usize,
  from: i32,
  to: i32,
): void {
  const O = load<i32>(geometry, 24)
  const K = patchColumns(geometry, C)
  for (let pixel = from; pixel < to; pixel += BLOCK_PIXELS) {
    const end = min(to, pixel + BLOCK_PIXELS)
    const dyBlock = dy + ((<usize>pixel * <usize>O) << 2)
    for (let k = 0; k < K; k += LONGEST_DEPTH) {
      const columns = min(LONGEST_DEPTH, K - k)
      const width = (columns + 3) & ~3
      const panels = packed + ((<usize>k * <usize>N) << 2)
      for (let o = 0; o < N; o += LONGEST_DEPTH) {
        const depth = min(LONGEST_DEPTH, N - o)
        multiplyBlock(dyBlock, O, end - pixel, panels, N, o, depth, scratch, width, width, 0, 0, 0)
      }
      addPatches(dx, C, geometry, scratch, width, pixel, end, k, k + columns)
    }
  }
}

/**
 * dw[k, …] += patchesᵀ·dy for the columns k = from … to - 1 of the patches and N columns of dy, over M output pixels.
 * x: the first of C channels; dy: the first column of f32[M, O']; dw: f32[K, ldw], from row 0 on.
 * Blocks of 256 output pixels (over all images) are summed from zero and added to dw in order.
 */
export function addWeightGradients(
  x: usize,
  C: i32,
  dy: usize,
  N: i32,
  dw: usize,
  ldw: i32,
  M: i32,
  geometry: usize,
  scratch: usize,
  from: i32,
  to: i32,
): void {
  const O = load<i32>(geometry, 24)
  const S = load<i32>(geometry, 12)
  const dyPanels = scratch + DY_OFFSET
  // Cache lines that lie a power of two apart push each other out: worth a copy where it is used often enough.
  const copies = !isIdentity(geometry) || (C >= 64 && N >= 64)
  const packs = to - from >= 64 && N >= 64
  for (let k = from; k < to; ) {
    const first = alignColumn(k, C)
    const end = blockEnd(first, WEIGHT_COLUMNS, to, C)
    // An odd number of cache lines from row to row spreads a column over all sets of the cache.
    const step = copies ? ((end - first + 4 + 15) & ~15) | 16 : S
    const block = dw + ((<usize>first * <usize>ldw) << 2)
    for (let m = 0; m < M; m += SUM_ROWS) {
      const rows = min(SUM_ROWS, M - m)
      let a = x + ((<usize>m * <usize>S + <usize>first) << 2)
      if (copies) {
        a = scratch
        copyPatches(x, C, geometry, scratch, step, m, m + rows, first, end)
      }
      for (let o = 0; o < N; o += DY_COLUMNS) {
        const columns = min(DY_COLUMNS, N - o)
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
          ldw,
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
