import { breathing } from '../breath.ts'
import { throwIfAborted } from '../errors.ts'
import { type HashDistance, hashDistance, type PictureHash } from './picture-hash.ts'

/** Two pictures that look the same, by their positions, the smaller one first. */
export interface NearPair {
  readonly first: number
  readonly second: number
  /** Bits of 64 in which their pHashes differ. */
  readonly distance: number
}

/**
 * Within one of these bounds two pictures look the same. Chosen on 2,348 photos of clothes: copies in other sizes, qualities and formats
 * keep within the first, also without their colours, copies with a slight crop mostly within the second; other photos do not, unless
 * they show the same thing twice.
 */
const bounds: readonly HashDistance[] = [
  { frequencies: 2, gradients: 8, colours: 48 },
  { frequencies: 6, gradients: 12, colours: 12 },
  // Drawings have many frequencies that are nothing but noise.
  { frequencies: 64, gradients: 2, colours: 4 },
]

/**
 * Pairs of pictures that look the same, by dHash, pHash and coarse colours together.
 * @param hashes  undefined where there is none
 */
export async function nearDuplicates(
  hashes: readonly (PictureHash | undefined)[],
  signal?: AbortSignal,
): Promise<NearPair[]> {
  const pairs: NearPair[] = []
  const indices = [quarterIndex(({ frequencies }) => frequencies), quarterIndex(({ gradients }) => gradients)]
  const breath = breathing()
  for (const [position, hash] of hashes.entries()) {
    if (hash === undefined) continue
    const candidates = new Set<number>()
    for (const index of indices) index.findAndAdd(hash, position, candidates)
    for (const candidate of candidates) {
      const other = hashes[candidate]
      if (other === undefined) continue
      const distance = hashDistance(hash, other)
      if (bounds.some((bound) => within(distance, bound))) {
        pairs.push({ first: candidate, second: position, distance: distance.frequencies })
      }
    }
    throwIfAborted(signal)
    if (breath.due()) await breath.pause()
  }
  return pairs.sort((a, b) => a.first - b.first || a.second - b.second)
}

function within(distance: HashDistance, bound: HashDistance): boolean {
  return (
    distance.frequencies <= bound.frequencies &&
    distance.gradients <= bound.gradients &&
    distance.colours <= bound.colours
  )
}

/**
 * Finds hashes that differ in at most 7 bits, and others: of such two, a quarter of 16 bits differs in at most one bit.
 * @param wordsOf  the 64 bits
 */
function quarterIndex(wordsOf: (hash: PictureHash) => readonly [number, number]) {
  const quarters = [0, 1, 2, 3].map(() => new Map<number, number[]>())
  return {
    findAndAdd(hash: PictureHash, position: number, candidates: Set<number>): void {
      const words = wordsOf(hash)
      for (const [quarter, known] of quarters.entries()) {
        const bits = ((words[quarter >> 1] ?? 0) >>> ((quarter & 1) * 16)) & 0xffff
        for (let flip = -1; flip < 16; flip++) {
          for (const other of known.get(flip < 0 ? bits : bits ^ (1 << flip)) ?? []) candidates.add(other)
        }
        const alike = known.get(bits)
        if (alike) alike.push(position)
        else known.set(bits, [position])
      }
    },
  }
}
