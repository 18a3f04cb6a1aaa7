import { LONGEST_DEPTH, multiplyBlock } from '../matmul/matmul'
import { POINTS } from './winograd-points'
import { TILES_SCRATCH_BYTES, tilePlane, transformTiles, writeTiles } from './winograd-tiles'
import { weightPlane } from './winograd-weight'

// Winograd's algorithm for 3x3 kernels with stride and dilation 1 has three stages: tiles of the input are transformed; for each of 36
// points they are multiplied with the transformed weight; the products are transformed back. `winogradForward` does all three for a
// strip of tiles that stays in the cache, which is best where the weight stays there, too. Otherwise the stages follow each
// other for the whole batch, so that the weight is read once: `winogradInput`, `winogradMultiply`, `winogradOutput`.
// Both give the same bits: every sum belongs to one tile and runs over the channels in order.
//
// Error: with inputs and weights such that outputs have unit variance, no output is off by more than 8e-6 at 64 channels, 1.2e-5 at 128,
// 2e-5 at 256 and 3e-5 at 512. The gradient of the input is the same with the roles of input and output exchanged. What is not finite
// spoils all outputs of the tiles that see it.

/** A strip lies behind what the transforms use, with a margin for the gaps between planes. */
const STRIP_BYTES: usize = 1024 * 1024 - TILES_SCRATCH_BYTES - 2 * 128 * POINTS

/** Output channels of which a strip's products are held at once. */
const STRIP_COLUMNS: i32 = 64

/** Bytes of transformed input that meet all columns of the weight before the next do. */
const BLOCK_BYTES: i32 = 256 * 1024
const FEWEST_ROWS: i32 = 32

/**
 * y = act((convolution + bias) + residual) for a 3x3 kernel with stride and dilation 1.
 * x: f32[N, H, W, S]; packed: as `winogradWeight` leaves it; y: f32[N, OH, OW, O'], written; bias: f32[O'] or null; residual: like y, or
 * null, may be y; scratch: 1 MiB. y may not overlap x. padTop and padLeft may be any integers, S at most 4096.
 * Units: tiles of 4x4 output pixels, over all images.
 */
export function winogradForward(
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
  const S = load<i32>(geometry, 12)
  const O = load<i32>(geometry, 24)
  const columns = min(O, STRIP_COLUMNS)
  const most = <i32>(STRIP_BYTES / <usize>((POINTS * (S + columns)) << 2))
  const strips = (to - from + most - 1) / most
  if (strips == 0) return
  // Strips of about equal length, if possible in multiples of what is multiplied at once.
  const even = (to - from + strips - 1) / strips
  const length = min(most, (even + 3) & ~3)
  for (let tile = from; tile < to; tile += length) {
    const tiles = min(length, to - tile)
    const vPlane = tilePlane(tiles, S)
    const mPlane = tilePlane(tiles, columns)
    const v = scratch + TILES_SCRATCH_BYTES
    const m = v + vPlane * POINTS
    transformTiles(x, geometry, scratch, v, vPlane, (<usize>S) << 2, tile, tiles)
    for (let o = 0; o < O; o += columns) {
      const width = min(columns, O - o)
      const first = (<usize>o) << 2
      let panels = packed + first * <usize>C
      let a = v
      let c = m
      for (let point = 0; point < POINTS; point++) {
        multiplyRows(a, S, tiles, panels, C, c, width, width)
        a += vPlane
        c += mPlane
        panels += weightPlane(C, O)
      }
      writeTiles(
        m,
        mPlane,
        y + first,
        bias ? bias + first : 0,
        residual ? residual + first : 0,
        activation,
        geometry,
        scratch,
        tile,
        tiles,
        width,
      )
    }
  }
}

/**
 * The first stage. x: f32[N, H, W, S]; v: 36 planes f32[tiles, ldv], their first S columns written, `tilePlane(tiles, ldv)` apart;
 * tiles: those of all images; scratch: 1 MiB. Units: tiles.
 */
export function winogradInput(
  x: usize,
  v: usize,
  ldv: i32,
  tiles: i32,
  geometry: usize,
  scratch: usize,
  from: i32,
  to: i32,
): void {
  const step = (<usize>ldv) << 2
  transformTiles(x, geometry, scratch, v + <usize>from * step, tilePlane(tiles, ldv), step, from, to - from)
}

/**
 * The second stage. v: as `winogradInput` leaves it; packed: as `winogradWeight` leaves it; m: 36 planes f32[tiles, O'], written;
 * C, S and O': as in the geometry. Units: panels of 8 columns (point·ceil(O'/8) + panel).
 */
export function winogradMultiply(
  v: usize,
  packed: usize,
  m: usize,
  tiles: i32,
  C: i32,
  S: i32,
  O: i32,
  from: i32,
  to: i32,
): void {
  const panels = (O + 7) >> 3
  const block = max(FEWEST_ROWS, (BLOCK_BYTES / (S << 2)) & ~3)
  for (let unit = from; unit < to; ) {
    const point: usize = unit / panels
    const panel = unit % panels
    const end = min(panels, panel + to - unit)
    const first = panel << 3
    const width = min(O, end << 3) - first
    const b = packed + point * weightPlane(C, O) + ((<usize>first * <usize>C) << 2)
    const a = v + point * tilePlane(tiles, S)
    const c = m + point * tilePlane(tiles, O) + ((<usize>first) << 2)
    for (let row = 0; row < tiles; row += block) {
      const aBlock = a + ((<usize>row * <usize>S) << 2)
      multiplyRows(aBlock, S, min(block, tiles - row), b, C, c + ((<usize>row * <usize>O) << 2), O, width)
    }
    unit += end - panel
  }
}

/**
 * The third stage. m: as `winogradMultiply` leaves it; y, bias, residual, activation: as in `winogradForward`; scratch: 1 MiB.
 * Units: tiles.
 */
export function winogradOutput(
  m: usize,
  y: usize,
  bias: usize,
  residual: usize,
  activation: i32,
  tiles: i32,
  geometry: usize,
  scratch: usize,
  from: i32,
  to: i32,
): void {
  const O = load<i32>(geometry, 24)
  const first = m + ((<usize>from * <usize>O) << 2)
  writeTiles(first, tilePlane(tiles, O), y, bias, residual, activation, geometry, scratch, from, to - from, O)
}

/** c = a·b for `rows` rows of one plane, over all C channels. b is packed. */
function multiplyRows(a: usize, lda: i32, rows: i32, b: usize, C: i32, c: usize, ldc: i32, width: i32): void {
  const stretches = (C + LONGEST_DEPTH - 1) / LONGEST_DEPTH
  const depth = (C + stretches - 1) / stretches
  for (let k = 0; k < C; k += depth) {
    multiplyBlock(a, lda, rows, b, C, k, min(depth, C - k), c, ldc, width, 0, 0, 0)
  }
}
