import {
  gatherColumn,
  spreadColumn,
  spreadRow,
  TRANSFORM_BYTES,
  TRANSFORMED_CHANNELS,
  transformColumn,
  transformRow,
  writeRow,
} from './winograd-transforms'

// Tiles are 4x4 output pixels, counted row by row over all images; a tile at the bottom or right edge may reach beyond it.
// Transformed tiles lie in 36 planes, one per point: f32[tiles, channels] each.

/** What the transforms use at the beginning of scratch: what lies between two passes, and a pixel of zeros. */
const ZEROS_OFFSET: usize = TRANSFORM_BYTES
export const TILES_SCRATCH_BYTES: usize = ZEROS_OFFSET + 4 * TRANSFORMED_CHANNELS

/** Bytes from plane to plane: an odd number of cache lines, which spreads what is written together over all sets of the cache. */
export function tilePlane(tiles: i32, channels: i32): usize {
  return ((((<usize>tiles * <usize>channels) << 2) + 63) & ~63) | 64
}

/**
 * The transformed input of `tiles` tiles from `tile` on, into planes that start at v and are `plane` bytes apart, tiles `step` bytes
 * apart.
 */
export function transformTiles(
  x: usize,
  geometry: usize,
  scratch: usize,
  v: usize,
  plane: usize,
  step: usize,
  tile: i32,
  tiles: i32,
): void {
  const H = load<i32>(geometry)
  const W = load<i32>(geometry, 4)
  const S = load<i32>(geometry, 12)
  const down = (load<i32>(geometry, 16) + 3) >> 2
  const across = (load<i32>(geometry, 20) + 3) >> 2
  const padTop = load<i32>(geometry, 44)
  const padLeft = load<i32>(geometry, 48)
  const zeros = scratch + ZEROS_OFFSET
  memory.fill(zeros, 0, 4 * TRANSFORMED_CHANNELS)
  const pixel = (<usize>S) << 2
  const row = pixel * <usize>W
  for (let t = tile; t < tile + tiles; t++) {
    const tx = t % across
    const ty = (t / across) % down
    const image = x + <usize>(t / across / down) * <usize>H * row
    const top = (ty << 2) - padTop
    const left = (tx << 2) - padLeft
    for (let c = 0; c < S; c += TRANSFORMED_CHANNELS) {
      const offset = (<usize>c) << 2
      const bytes = (<usize>min(TRANSFORMED_CHANNELS, S - c)) << 2
      for (let j = 0; j < 6; j++) {
        const at = left + j
        const inside = at >= 0 && at < W
        const first = image + offset + <usize>at * pixel + <usize>top * row
        transformColumn(
          inside && top >= 0 && top < H ? first : zeros,
          inside && top + 1 >= 0 && top + 1 < H ? first + row : zeros,
          inside && top + 2 >= 0 && top + 2 < H ? first + 2 * row : zeros,
          inside && top + 3 >= 0 && top + 3 < H ? first + 3 * row : zeros,
          inside && top + 4 >= 0 && top + 4 < H ? first + 4 * row : zeros,
          inside && top + 5 >= 0 && top + 5 < H ? first + 5 * row : zeros,
          scratch + ((<usize>j) << 4),
          bytes,
        )
      }
      let to = v + offset
      for (let i = 0; i < 6; i++) {
        transformRow(scratch + <usize>i * 96, to, plane, bytes)
        to += 6 * plane
      }
    }
    v += step
  }
}

/** The same of the gradient of the output, dy: f32[N, OH, OW, O']. */
export function spreadTiles(
  dy: usize,
  geometry: usize,
  scratch: usize,
  d: usize,
  plane: usize,
  step: usize,
  tile: i32,
  tiles: i32,
): void {
  const OH = load<i32>(geometry, 16)
  const OW = load<i32>(geometry, 20)
  const O = load<i32>(geometry, 24)
  const down = (OH + 3) >> 2
  const across = (OW + 3) >> 2
  const zeros = scratch + ZEROS_OFFSET
  memory.fill(zeros, 0, 4 * TRANSFORMED_CHANNELS)
  const pixel = (<usize>O) << 2
  const row = pixel * <usize>OW
  for (let t = tile; t < tile + tiles; t++) {
    const left = (t % across) << 2
    const top = ((t / across) % down) << 2
    const first = dy + (<usize>(t / across / down) * <usize>OH + <usize>top) * row + <usize>left * pixel
    for (let c = 0; c < O; c += TRANSFORMED_CHANNELS) {
      const offset = (<usize>c) << 2
      const bytes = (<usize>min(TRANSFORMED_CHANNELS, O - c)) << 2
      for (let j = 0; j < 4; j++) {
        const inside = left + j < OW
        const from = first + offset + <usize>j * pixel
        spreadColumn(
          inside ? from : zeros,
          inside && top + 1 < OH ? from + row : zeros,
          inside && top + 2 < OH ? from + 2 * row : zeros,
          inside && top + 3 < OH ? from + 3 * row : zeros,
          scratch + ((<usize>j) << 4),
          bytes,
        )
      }
      let to = d + offset
      for (let i: usize = 0; i < 6; i++) {
        spreadRow(scratch + (i << 6), to, plane, bytes)
        to += 6 * plane
      }
    }
    d += step
  }
}

/**
 * The output of `tiles` tiles from `tile` on, from planes that start at m and are `plane` bytes apart: `width` channels, from those on
 * at which y, bias and residual point.
 */
export function writeTiles(
  m: usize,
  plane: usize,
  y: usize,
  bias: usize,
  residual: usize,
  activation: i32,
  geometry: usize,
  scratch: usize,
  tile: i32,
  tiles: i32,
  width: i32,
): void {
  const OH = load<i32>(geometry, 16)
  const OW = load<i32>(geometry, 20)
  const pixel = (<usize>load<i32>(geometry, 24)) << 2
  const down = (OH + 3) >> 2
  const across = (OW + 3) >> 2
  for (let t = tile; t < tile + tiles; t++) {
    const left = (t % across) << 2
    const top = ((t / across) % down) << 2
    const image = t / across / down
    const pixels = min(4, OW - left)
    const rows = min(4, OH - top)
    for (let c = 0; c < width; c += TRANSFORMED_CHANNELS) {
      const offset = (<usize>c) << 2
      const bytes = (<usize>min(TRANSFORMED_CHANNELS, width - c)) << 2
      for (let j: usize = 0; j < 6; j++) gatherColumn(m + offset + j * plane, plane, scratch + (j << 4), bytes)
      let at = offset + (<usize>(image * OH + top) * <usize>OW + <usize>left) * pixel
      for (let i = 0; i < rows; i++) {
        writeRow(
          scratch + <usize>i * 96,
          y + at,
          pixel,
          pixels,
          bias ? bias + offset : 0,
          residual ? residual + at : 0,
          activation,
          bytes,
        )
        at += pixel * <usize>OW
      }
    }
    m += (<usize>width) << 2
  }
}
