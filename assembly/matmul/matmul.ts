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
 * Where both are at least so large, a block of a is copied to scratch memory with its rows close together: every panel of b reads it again,
 * and rows that lie a multiple of 4 KiB apart push each other out of L1 (1024x1024x1024 on a Zen 4: 35 GFLOP/s without, 43 with).
 */
const COPY_COLUMNS: i32 = 128
const COPY_DEPTH: i32 = 256
/** Of 512 columns 390 KiB, in an L2 of 1 MiB; a multiple of twelve as above. */
const COPY_ROWS: i32 = 192
/** Columns between two rows of a copy, so that four rows never fall on the same lines of a cache. */
const COPY_GAP: i32 = 16

/**
 * From this depth on a block of a is read through once before it is used: tiles read four rows at a time, which the hardware does not
 * foresee where rows are long (12544x24x144 on a Zen 4: 34 GFLOP/s without, 43 with; shorter rows lose).
 */
const FETCH_DEPTH: i32 = 96

/**
 * c = act((bias + residual) + a·b).
 * a: f32[rows, lda], its first K columns; packed: b f32[K, N] as `packB` leaves it; c: f32[rows, ldc], its first N columns,
 * written; bias: f32[N] or null; residual: like c, or null, may be c. N, lda, ldc in elements; N a multiple of 4.
 * c may not overlap a or packed; scratch: 1 MiB of the caller's own, or null. Error: at most K+1 roundings of the sum of magnitudes. Units: rows.
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
  scratch: usize,
  from: i32,
  to: i32,
): void {
  // Stretches of equal length: 576 as 288 + 288, not 512 + 64.
  const stretches = max(1, (K + LONGEST_DEPTH - 1) / LONGEST_DEPTH)
  const depth = (K + stretches - 1) / stretches
  const copied = scratch != 0 && N >= COPY_COLUMNS && K >= COPY_DEPTH
  const blockRows = copied ? COPY_ROWS : max(FEWEST_ROWS, (BLOCK_BYTES / ((depth + N + 1) << 2) / 12) * 12)
  for (let row = from; row < to; row += blockRows) {
    const rows = min(blockRows, to - row)
    const aBlock = a + ((<usize>row * <usize>lda) << 2)
    const offset = (<usize>row * <usize>ldc) << 2
    const residualBlock = residual ? residual + offset : 0
    if (!copied && depth >= FETCH_DEPTH) fetch(aBlock, aBlock + ((<usize>(rows - 1) * <usize>lda + <usize>K) << 2))
    for (let stretch = 0; stretch < stretches; stretch++) {
      const k = stretch * depth
      const length = min(depth, K - k)
      // multiplyBlock looks for column k, which is the first one that was copied.
      const block = copied ? copyRows(aBlock, lda, rows, k, length, depth + COPY_GAP, scratch) - ((<usize>k) << 2) : aBlock
      const step = copied ? depth + COPY_GAP : lda
      multiplyBlock(block, step, rows, packed, K, k, length, c + offset, ldc, N, bias, residualBlock, activation)
    }
  }
}

/** Columns k … k + length - 1 of the rows, `step` columns apart. @returns target */
function copyRows(a: usize, lda: i32, rows: i32, k: i32, length: i32, step: i32, target: usize): usize {
  const bytes = (<usize>length) << 2
  let source = a + ((<usize>k) << 2)
  let to = target
  for (let row = 0; row < rows; row++) {
    memory.copy(to, source, bytes)
    source += (<usize>lda) << 2
    to += (<usize>step) << 2
  }
  return target
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
