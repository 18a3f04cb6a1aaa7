// The verb `dedupe`: which stored vectors are almost the same.
import { openCosineIndex } from '../solve/cosine-index.ts'
import type { DedupeOptions, DedupeResult } from './options.ts'
import { openStoredVectors, storedRows } from './stored-vectors.ts'
import { usualSimilarity } from './usual-similarity.ts'

/**
 * Groups of stored vectors that are connected by pairs of at least a cosine. The first row of each group is the one to keep.
 * @param vectors  folder of embed, or a `.npy` file
 * @throws RegraftError 'data'; 'memory' when the vectors do not fit into memory together
 */
export async function dedupe(vectors: string, options: DedupeOptions): Promise<DedupeResult> {
  const { engine, signal, listener, similarity = usualSimilarity } = options
  const stored = await openStoredVectors(vectors)
  const { rows } = stored.matrix
  listener?.({ type: 'phase', phase: 'search', total: rows, unit: 'vectors' })
  // For each row the first row that it is known to belong to.
  const group = Int32Array.from({ length: rows }, (_, row) => row)
  const firstOf = (row: number): number => {
    let first = row
    while (group[first] !== first) first = group[first] ?? first
    for (let at = row; group[at] !== first; ) {
      const next = group[at] ?? first
      group[at] = first
      at = next
    }
    return first
  }
  const best = new Map<number, number>()
  const index = await openCosineIndex(engine, stored.matrix, signal)
  try {
    const onProgress = (done: number) => listener?.({ type: 'progress', phase: 'search', done, total: rows })
    for await (const { first, second, score } of index.pairs(similarity, { signal, onProgress })) {
      for (const row of [first, second]) best.set(row, Math.max(best.get(row) ?? -1, score))
      const [a, b] = [firstOf(first), firstOf(second)]
      group[Math.max(a, b)] = Math.min(a, b)
    }
  } finally {
    index.close()
  }
  const members = new Map<number, { row: number; path: string; label: string | null; score: number }[]>()
  let number = 0
  for await (const { path, label } of storedRows(stored)) {
    const row = number++
    const score = best.get(row)
    if (score === undefined) continue
    const first = firstOf(row)
    const list = members.get(first) ?? []
    list.push({ row, path, label, score })
    members.set(first, list)
  }
  listener?.({ type: 'phaseEnd', phase: 'search' })
  const groups = [...members.values()].sort((a, b) => (a[0]?.row ?? 0) - (b[0]?.row ?? 0))
  return { vectors: rows, similarity, groups, copies: groups.reduce((sum, { length }) => sum + length - 1, 0) }
}
