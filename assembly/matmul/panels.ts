// The tiles that cover a block of rows. Which tile is fastest is the host's business, so each build has its own; a sum takes k in
// order in all of them, so that their bits are the same.

import { IN_PAIRS, TILE_ROWS, ZEROS } from '../lanes'
import { tile4, tile8 } from './tile'
import { tile6x8 } from './tile-6x8'
import { tile6x16 } from './tile-6x16'

/**
 * c = act((bias + residual) + a·b) for k … k + depth - 1 alone. a, c and residual: `rows` rows, aStep and cStep bytes apart; packed:
 * from its start, a panel has K rows. bias and residual may be null; residual may be c.
 */
export function multiplyPanels(
  a: usize,
  aStep: usize,
  rows: i32,
  packed: usize,
  K: i32,
  k: i32,
  depth: i32,
  c: usize,
  cStep: usize,
  N: i32,
  bias: usize,
  residual: usize,
  activation: i32,
): void {
  const ahead = residual - c
  const panelBytes = (<usize>K) << 5
  let panel = packed
  let n = 0
  if (IN_PAIRS) {
    for (; N - n >= 16; n += 16) {
      const column = (<usize>n) << 2
      const start = bias ? bias + column : ZEROS
      let from = a
      let to = c + column
      for (let left = rows; left > 0; left -= 6) {
        const added = residual ? to + ahead : 0
        tile6x16(from, aStep, left, panel, panelBytes, k, depth, to, cStep, start, added, activation)
        from += aStep * 6
        to += cStep * 6
      }
      panel += panelBytes << 1
    }
  }
  for (; N - n >= 8; n += 8) {
    const column = (<usize>n) << 2
    const start = bias ? bias + column : ZEROS
    let from = a
    let to = c + column
    let left = rows
    if (TILE_ROWS == 6) {
      // Of the last rows four at most are left to a tile of four, where there is one.
      for (; left > (IN_PAIRS ? 0 : 4); left -= 6) {
        const added = residual ? to + ahead : 0
        tile6x8(from, aStep, left, panel, k, depth, to, cStep, start, added, activation)
        from += aStep * 6
        to += cStep * 6
      }
    }
    if (!IN_PAIRS) {
      for (; left > 0; left -= 4) {
        const added = residual ? to + ahead : 0
        tile8(from, aStep, left, panel, k, depth, to, cStep, start, added, activation)
        from += aStep << 2
        to += cStep << 2
      }
    }
    panel += panelBytes
  }
  if (n < N) {
    const column = (<usize>n) << 2
    const start = bias ? bias + column : ZEROS
    let from = a
    let to = c + column
    for (let left = rows; left > 0; left -= 4) {
      const added = residual ? to + ahead : 0
      tile4(from, aStep, left, panel, k, depth, to, cStep, start, added, activation)
      from += aStep << 2
      to += cStep << 2
    }
  }
}
