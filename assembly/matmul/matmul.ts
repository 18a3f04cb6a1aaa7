import { multiplyPanels } from './panels'

/** Longest stretch of k taken at once: 8 columns of it (16 KiB) and four rows of a stay in a 32 KiB L1. */
export const LONGEST_DEPTH: i32 = 512

/**
 * Bytes of a and c that a block of rows may touch, for the sake of L1 and L2; but a block has 36 rows, to make use of b. Rows of a
 * block are a multiple of twelve, so that tiles of four and of six rows fill it.
 */
const BLOCK_BYTES: i32 = 64 * 1024
const FEWEST_ROWS: i32 = 36

/**
 * From this depth on a block of a is read through once before it is used: tiles read four rows at a time, which the hardware does not
 * foresee where rows are long (12544x24x144 on a Zen 4: 34 GFLOP/s without, 43 with; shorter rows lose).
 */
const FETCH_DEPTH: i32 = 96

/**
 * c = act((bias + residual) + a·b).
 * a: f32[rows, lda], its first K columns; packed: b f32[K, N] as `packB` leaves it; c: f32[rows, ldc], its first N columns,
 * written; bias: f32[N] or null; residual: like c, or null, may be c. N, lda, ldc in elements; N a multiple of 4.
 * c may not overlap a or packed. Error: at most K+1 roundings of the sum of magnitudes. Units: rows.
 */
export function matmul(
  a: usize,
  lda: i32,
  packed: usize,
  c: usize,
  ldc: i32,
  N: i32,
  K: i32,
  bias: usize,
  residual: usize,
  activation: i32,
  from: i32,
  to: i32,
): void {
  // Stretches of equal length: 576 as 288 + 288, not 512 + 64.
  const stretches = max(1, (K + LONGEST_DEPTH - 1) / LONGEST_DEPTH)
  const depth = (K + stretches - 1) / stretches
  const blockRows = max(FEWEST_ROWS, (BLOCK_BYTES / ((depth + N + 1) << 2) / 12) * 12)
  for (let row = from; row < to; row += blockRows) {
    const rows = min(blockRows, to - row)
    const aBlock = a + ((<usize>row * <usize>lda) << 2)
    const offset = (<usize>row * <usize>ldc) << 2
    const residualBlock = residual ? residual + offset : 0
    if (depth >= FETCH_DEPTH) fetch(aBlock, aBlock + ((<usize>(rows - 1) * <usize>lda + <usize>K) << 2))
    for (let stretch = 0; stretch < stretches; stretch++) {
      const k = stretch * depth
      multiplyBlock(
        aBlock,
        lda,
        rows,
        packed,
        K,
        k,
        min(depth, K - k),
        c + offset,
        ldc,
        N,
        bias,
        residualBlock,
        activation,
      )
    }
  }
}

/**
 * The part of `matmul` that k … k + depth - 1 of K contribute to a block of rows. The first part starts from bias and residual, the
 * others go on from c, the last one applies the activation: called for all parts in order, the sums are those of one pass.
 * a, c and residual point at the first row of the block.
 */
export function multiplyBlock(
  a: usize,
  lda: i32,
  rows: i32,
  packed: usize,
  K: i32,
  k: i32,
  depth: i32,
  c: usize,
  ldc: i32,
  N: i32,
  bias: usize,
  residual: usize,
  activation: i32,
): void {
  if (k > 0) {
    bias = 0
    residual = c
  }
  if (k + depth < K) activation = 0
  const aStep = (<usize>lda) << 2
  const cStep = (<usize>ldc) << 2
  multiplyPanels(a, aStep, rows, packed, K, k, depth, c, cStep, N, bias, residual, activation)
}

/** Brings memory into the caches. A load could trap, so that no optimiser removes it. */
function fetch(start: usize, end: usize): void {
  for (; start < end; start += 64) load<i32>(start)
}
