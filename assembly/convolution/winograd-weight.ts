import { A, B, POINTS } from './winograd-points'

// The transform of the weight in float64: a line of three is evaluated at the six points. What the interpolation would have to divide
// by is taken in here.
const A2: f64 = A * A
const B2: f64 = B * B

/** What the interpolation divides by at 0, at A and -A, at B and -B, as factors. */
export const AT_ZERO: f64 = 1 / (A2 * B2)
export const AT_A: f64 = 1 / (2 * A2 * (A2 - B2))
export const AT_B: f64 = 1 / (2 * B2 * (B2 - A2))

/**
 * Bytes from plane to plane of a transformed weight of K rows and N columns: an odd number of cache lines, so that the 36 lines
 * that are written together lie in different sets of the cache.
 */
export function weightPlane(K: i32, N: i32): usize {
  return ((((<usize>K * <usize>N) << 2) + 63) & ~63) | 64
}

/**
 * Rows that are transformed at once, and where they lie in scratch: written one by one, 36 places in memory at a time would be more than
 * the hardware can follow.
 */
const BLOCK_ROWS: i32 = 16
const BLOCK_OFFSET: usize = 1024
const BLOCK_PLANE: usize = 16 * 32 + 64

/**
 * packed = the transformed weight for `winogradForward`: 36 matrices in the panels that `matmul` wants, `weightPlane(K, N)` apart, computed
 * in float64 and rounded once.
 * weight: f32[3, 3, I, O']. transposed 0: the convolution itself, K = I rows, N = O' columns. transposed 1: the gradient of its
 * input, the kernel turned around and the roles of input and output exchanged, K = O' and N = I padded to 4, with zeros.
 * packed may not overlap the weight; scratch: 1 MiB. Units: panels of 8 columns.
 */
export function winogradWeight(
  weight: usize,
  I: i32,
  O: i32,
  transposed: i32,
  packed: usize,
  scratch: usize,
  from: i32,
  to: i32,
): void {
  const tap = (<usize>I * <usize>O) << 2
  const N = transposed ? (I + 3) & ~3 : O
  const K = transposed ? O : I
  // From one column of the result to the next, and from one row to the next.
  const across: usize = transposed ? (<usize>O) << 2 : 4
  const down: usize = transposed ? 4 : (<usize>O) << 2
  const plane = weightPlane(K, N)
  const first = transposed ? weight + 8 * tap : weight
  for (let panel = from; panel < to; panel++) {
    const n = panel << 3
    const width = min(8, N - n)
    const rowBytes: usize = (<usize>width) << 2
    for (let k = 0; k < K; k += BLOCK_ROWS) {
      const rows = min(BLOCK_ROWS, K - k)
      let block = scratch + BLOCK_OFFSET
      for (let row = k; row < k + rows; row++) {
        const source = first + <usize>n * across + <usize>row * down
        for (let column = 0; column < width; column += 4) {
          const columns = transposed ? min(4, I - n - column) : 4
          transformFour(
            source + <usize>column * across,
            transposed ? 0 - tap : tap,
            across,
            columns,
            scratch,
            block,
            BLOCK_PLANE,
          )
          block += 16
        }
      }
      let from = scratch + BLOCK_OFFSET
      let to = packed + ((<usize>n * <usize>K) << 2) + <usize>k * rowBytes
      for (let point = 0; point < POINTS; point++) {
        memory.copy(to, from, <usize>rows * rowBytes)
        from += BLOCK_PLANE
        to += plane
      }
    }
  }
}

/** Nine taps of `columns` (1…4) weights that lie `across` bytes apart, into 36 planes. */
function transformFour(
  w: usize,
  tap: usize,
  across: usize,
  columns: i32,
  between: usize,
  out: usize,
  plane: usize,
): void {
  for (let j: usize = 0; j < 3; j++) {
    const line = w + j * tap
    evaluateColumn(
      four(line, across, columns),
      four(line + 3 * tap, across, columns),
      four(line + 6 * tap, across, columns),
      between + (j << 5),
    )
  }
  for (let i: usize = 0; i < 6; i++) evaluateRow(between + i * 96, out + 6 * i * plane, plane)
}

/** Up to four floats `across` bytes apart; zeros in place of the others. */
// @ts-ignore: decorator
@inline
function four(w: usize, across: usize, columns: i32): v128 {
  if (across == 4 && columns == 4) return v128.load(w)
  let values = v128.load32_zero(w)
  if (columns > 1) values = v128.load32_lane(w + across, values, 1)
  if (columns > 2) values = v128.load32_lane(w + 2 * across, values, 2)
  if (columns > 3) values = v128.load32_lane(w + 3 * across, values, 3)
  return values
}

/** First pass: a column of the kernel, four of each weight, at the six points. between: f64[6, 3, 4], column j of it at 32·j. */
function evaluateColumn(g0: v128, g1: v128, g2: v128, between: usize): void {
  evaluateHalf(f64x2.promote_low_f32x4(g0), f64x2.promote_low_f32x4(g1), f64x2.promote_low_f32x4(g2), between)
  evaluateHalf(
    f64x2.promote_low_f32x4(v128.shuffle<f32>(g0, g0, 2, 3, 2, 3)),
    f64x2.promote_low_f32x4(v128.shuffle<f32>(g1, g1, 2, 3, 2, 3)),
    f64x2.promote_low_f32x4(v128.shuffle<f32>(g2, g2, 2, 3, 2, 3)),
    between + 16,
  )
}

// @ts-ignore: decorator
@inline
function evaluateHalf(g0: v128, g1: v128, g2: v128, between: usize): void {
  v128.store(between, f64x2.mul(g0, f64x2.splat(AT_ZERO)))
  const evenA = even(g0, g2, A2, AT_A)
  const oddA = f64x2.mul(g1, f64x2.splat(A * AT_A))
  v128.store(between, f64x2.add(evenA, oddA), 96)
  v128.store(between, f64x2.sub(evenA, oddA), 192)
  const evenB = even(g0, g2, B2, AT_B)
  const oddB = f64x2.mul(g1, f64x2.splat(B * AT_B))
  v128.store(between, f64x2.add(evenB, oddB), 288)
  v128.store(between, f64x2.sub(evenB, oddB), 384)
  v128.store(between, g2, 480)
}

/** Second pass: row i of what `evaluateColumn` left (between: at 96·i), rounded, into six planes. */
function evaluateRow(between: usize, out: usize, plane: usize): void {
  const g0 = v128.load(between)
  const h0 = v128.load(between, 16)
  const g1 = v128.load(between, 32)
  const h1 = v128.load(between, 48)
  const g2 = v128.load(between, 64)
  const h2 = v128.load(between, 80)
  storeRounded(out, f64x2.mul(g0, f64x2.splat(AT_ZERO)), f64x2.mul(h0, f64x2.splat(AT_ZERO)))
  const evenA = even(g0, g2, A2, AT_A)
  const oddA = f64x2.mul(g1, f64x2.splat(A * AT_A))
  const highEvenA = even(h0, h2, A2, AT_A)
  const highOddA = f64x2.mul(h1, f64x2.splat(A * AT_A))
  out += plane
  storeRounded(out, f64x2.add(evenA, oddA), f64x2.add(highEvenA, highOddA))
  out += plane
  storeRounded(out, f64x2.sub(evenA, oddA), f64x2.sub(highEvenA, highOddA))
  const evenB = even(g0, g2, B2, AT_B)
  const oddB = f64x2.mul(g1, f64x2.splat(B * AT_B))
  const highEvenB = even(h0, h2, B2, AT_B)
  const highOddB = f64x2.mul(h1, f64x2.splat(B * AT_B))
  out += plane
  storeRounded(out, f64x2.add(evenB, oddB), f64x2.add(highEvenB, highOddB))
  out += plane
  storeRounded(out, f64x2.sub(evenB, oddB), f64x2.sub(highEvenB, highOddB))
  out += plane
  storeRounded(out, g2, h2)
}

/** (g0 + g2·square)·factor */
// @ts-ignore: decorator
@inline
function even(g0: v128, g2: v128, square: f64, factor: f64): v128 {
  return f64x2.mul(f64x2.add(g0, f64x2.mul(g2, f64x2.splat(square))), f64x2.splat(factor))
}

// @ts-ignore: decorator
@inline
function storeRounded(out: usize, low: v128, high: v128): void {
  v128.store(out, v128.shuffle<f32>(f32x4.demote_f64x2_zero(low), f32x4.demote_f64x2_zero(high), 0, 1, 4, 5))
}
