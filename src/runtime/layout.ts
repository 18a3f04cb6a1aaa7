// Gives every block of memory its place: blocks that are never alive at the same time share bytes.
import type { Block } from '../ops/op.ts'

/** A block with the first and last call that touch it. */
export interface Lifetime {
  readonly block: Block
  readonly first: number
  readonly last: number
}

export interface Layout {
  readonly offsets: ReadonlyMap<Block, number>
  readonly totalBytes: number
}

const ALIGNMENT = 64

export function bytesOf(block: Block, images: number, workers: number): number {
  const { fixedBytes, bytesPerImage, bytesPerWorker = 0 } = block
  return Math.ceil(Math.max(fixedBytes + bytesPerImage * images + bytesPerWorker * workers, 1) / ALIGNMENT) * ALIGNMENT
}

/**
 * Places the largest blocks first, each at the lowest offset where no block lies that is alive at the same time.
 * @see "greedy by size", Pisarchyk & Lee 2020, https://arxiv.org/abs/2001.03288
 */
export function layOut(lifetimes: readonly Lifetime[], images: number, workers: number): Layout {
  const order = [...lifetimes.entries()].sort(
    ([i, a], [j, b]) =>
      bytesOf(b.block, images, workers) - bytesOf(a.block, images, workers) || a.first - b.first || i - j,
  )
  const placed: { lifetime: Lifetime; start: number; end: number }[] = []
  let totalBytes = 0
  for (const [, lifetime] of order) {
    const size = bytesOf(lifetime.block, images, workers)
    const rivals = placed
      .filter((other) => other.lifetime.first <= lifetime.last && lifetime.first <= other.lifetime.last)
      .sort((a, b) => a.start - b.start)
    let start = 0
    for (const rival of rivals) {
      if (rival.start - start >= size) break
      start = Math.max(start, rival.end)
    }
    placed.push({ lifetime, start, end: start + size })
    totalBytes = Math.max(totalBytes, start + size)
  }
  return { offsets: new Map(placed.map(({ lifetime, start }) => [lifetime.block, start])), totalBytes }
}
