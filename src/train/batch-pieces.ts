/** Positions in the order of an epoch, the last one not included. */
export interface Piece {
  readonly start: number
  readonly end: number
}

/**
 * What is computed at a time: pieces of at most `most` positions that never reach from one batch into the next.
 * @param from   a position where a batch begins
 * @param count  positions of the epoch
 */
export function* batchPieces(from: number, count: number, batchSize: number, most: number): Generator<Piece> {
  for (let start = from; start < count; ) {
    const batchEnd = start - (start % batchSize) + batchSize
    const end = Math.min(start + most, batchEnd, count)
    yield { start, end }
    start = end
  }
}
