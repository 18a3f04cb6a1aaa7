import { multiplyAdd } from '../lanes'
import { addTransposedBlock, SUM_ROWS } from '../matmul/transposed'
import { A, B } from './winograd-points'
import { spreadTiles, tilePlane } from './winograd-tiles'
import { TRANSFORMED_CHANNELS } from './winograd-transforms'
import { AT_A, AT_B, AT_ZERO, weightPlane } from './winograd-weight'

// The gradient of the weight by the same algorithm, run backwards: at each point the product of the transformed input and the
// gradient of the products (`winogradInput`, `winogradOutputGradient`) is summed over all tiles, and 36 such sums make nine.
//
// Error: with inputs and gradients such that the result has unit variance, no element is off by more than 2e-5.

/** Bytes from one group of four channels to the next between the two passes over the sums. */
const GROUP: usize = 18 * 16

/**
 * The gradient of the products. dy: f32[N, OH, OW, O']; d: 36 planes f32[tiles, ldd], their first O' columns written,
 * `tilePlane(tiles, ldd)` apart; scratch: 1 MiB. Units: tiles.
 */
export function winogradOutputGradient(
  dy: usize,
  d: usize,
  ldd: i32,
  tiles: i32,
  geometry: usize,
  scratch: usize,
  from: i32,
  to: i32,
): void {
  const step = (<usize>ldd) << 2
  spreadTiles(dy, geometry, scratch, d + <usize>from * step, tilePlane(tiles, ldd), step, from, to - from)
}

/**
 * sums[point, c, o] = sum over the tiles of v[point, tile, c]·d[point, tile, o].
 * v, d: as above, of C and O' columns; sums: 36 planes f32[C, O'],
 * written, `weightPlane(C, O')` apart. Blocks of 256 tiles are summed from zero and added in order.
 * Units: rows of sums (point·C + c).
 */
export function winogradMultiplyTransposed(
  v: usize,
  ldv: i32,
  d: usize,
  ldd: i32,
  sums: usize,
  tiles: i32,
  C: i32,
  O: i32,
  from: i32,
  to: i32,
): void {
  const row = (<usize>O) << 2
  for (let unit = from; unit < to; ) {
    const point: usize = unit / C
    const first = unit % C
    const end = min(C, first + to - unit)
    const a = v + point * tilePlane(tiles, ldv)
    const b = d + point * tilePlane(tiles, ldd)
    const c = sums + point * weightPlane(C, O)
    memory.fill(c + <usize>first * row, 0, <usize>(end - first) * row)
    for (let tile = 0; tile < tiles; tile += SUM_ROWS) {
      const rows = min(SUM_ROWS, tiles - tile)
      const offset = (<usize>tile) << 2
      addTransposedBlock(a + offset * ldv, ldv, b + offset * ldd, ldd, c, O, rows, O, first, end)
    }
    unit += end - first
  }
}

/**
 * dw += the gradient of the weight, f32[3, 3, I, O']. sums: as `winogradMultiplyTransposed` leaves them; scratch: 1 MiB.
 * Units: input channels.
 */
export function winogradWeightGradient(
  sums: usize,
  dw: usize,
  I: i32,
  O: i32,
  scratch: usize,
  from: i32,
  to: i32,
): void {
  const plane = weightPlane(I, O)
  const tap = (<usize>I * <usize>O) << 2
  for (let i = from; i < to; i++) {
    const row = (<usize>i * <usize>O) << 2
    for (let o = 0; o < O; o += TRANSFORMED_CHANNELS) {
      const offset = row + ((<usize>o) << 2)
      const bytes = (<usize>min(TRANSFORMED_CHANNELS, O - o)) << 2
      for (let j: usize = 0; j < 6; j++) sumColumn(sums + offset + j * plane, plane * 6, scratch + (j << 4), bytes)
      for (let k: usize = 0; k < 3; k++) addRow(scratch + k * 96, dw + offset + 3 * k * tap, tap, bytes)
    }
  }
}

/** First pass: six sums `step` bytes apart make three. between: column j of [group of four channels][3][6], at 16·j. */
function sumColumn(from: usize, step: usize, between: usize, bytes: usize): void {
  const end = from + bytes
  for (; from < end; from += 16) {
    let at = from
    const m0 = v128.load(at)
    at += step
    const m1 = v128.load(at)
    at += step
    const m2 = v128.load(at)
    at += step
    const m3 = v128.load(at)
    at += step
    const m4 = v128.load(at)
    at += step
    const evenA = f32x4.add(m1, m2)
    const oddA = f32x4.sub(m1, m2)
    const evenB = f32x4.add(m3, m4)
    const oddB = f32x4.sub(m3, m4)
    v128.store(between, first(m0, evenA, evenB))
    v128.store(between, second(oddA, oddB), 96)
    v128.store(between, third(evenA, evenB, v128.load(at)), 192)
    between += GROUP
  }
}

/** Second pass: row k of what `sumColumn` left (between: at 96·k), added to three taps of dw, `tap` bytes apart. */
function addRow(between: usize, dw: usize, tap: usize, bytes: usize): void {
  const end = dw + bytes
  for (; dw < end; dw += 16) {
    const m1 = v128.load(between, 16)
    const m2 = v128.load(between, 32)
    const m3 = v128.load(between, 48)
    const m4 = v128.load(between, 64)
    const evenA = f32x4.add(m1, m2)
    const oddA = f32x4.sub(m1, m2)
    const evenB = f32x4.add(m3, m4)
    const oddB = f32x4.sub(m3, m4)
    let at = dw
    v128.store(at, f32x4.add(v128.load(at), first(v128.load(between), evenA, evenB)))
    at += tap
    v128.store(at, f32x4.add(v128.load(at), second(oddA, oddB)))
    at += tap
    v128.store(at, f32x4.add(v128.load(at), third(evenA, evenB, v128.load(between, 80))))
    between += GROUP
  }
}

// @ts-ignore: decorator
@inline
function first(zero: v128, evenA: v128, evenB: v128): v128 {
  const b = multiplyAdd(f32x4.splat(<f32>AT_B), evenB, f32x4.mul(f32x4.splat(<f32>AT_ZERO), zero))
  return multiplyAdd(f32x4.splat(<f32>AT_A), evenA, b)
}

// @ts-ignore: decorator
@inline
function second(oddA: v128, oddB: v128): v128 {
  return multiplyAdd(f32x4.splat(<f32>(A * AT_A)), oddA, f32x4.mul(f32x4.splat(<f32>(B * AT_B)), oddB))
}

// @ts-ignore: decorator
@inline
function third(evenA: v128, evenB: v128, infinity: v128): v128 {
  const b = multiplyAdd(f32x4.splat(<f32>(B * B * AT_B)), evenB, infinity)
  return multiplyAdd(f32x4.splat(<f32>(A * A * AT_A)), evenA, b)
}
