// What the nearest vectors of known class say of a vector.
import { log } from '../exact-math.ts'
import type { Neighbour } from './cosine-index.ts'

/**
 * Logarithms of the classes' probabilities. Each of the nearest votes for its class with (1 + cosine)/2; one more vote is divided among
 * all classes, so that none is impossible. Without any neighbour all classes are alike.
 * @param neighbours  nearest first; the first `count` vote
 * @param labelOf     class of a row
 * @returns [classes]; softmax gives the probabilities back
 */
export function neighbourVotes(
  neighbours: readonly Neighbour[],
  count: number,
  labelOf: (row: number) => number,
  classes: number,
): Float64Array {
  const votes = new Float64Array(classes).fill(1 / classes)
  let total = 1
  for (const { row, score } of neighbours.slice(0, count)) {
    const vote = (1 + score) / 2
    const label = labelOf(row)
    votes[label] = (votes[label] ?? 0) + vote
    total += vote
  }
  return votes.map((vote) => log(vote / total))
}
