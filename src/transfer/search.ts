// The verb `search`: which stored vectors are nearest to a picture's.
import { breathing } from '../breath.ts'
import { RegraftError } from '../errors.ts'
import { bytesPerVector, type Neighbour, openCosineIndex } from '../solve/cosine-index.ts'
import type { VectorRow } from '../vectors/vector-table.ts'
import type { Inputs, SearchOptions, SearchResult, SearchRow } from './options.ts'
import { matrixQueries, pictureQueries, type Query } from './query-vectors.ts'
import { openStoredVectors, storedRows } from './stored-vectors.ts'

/** Beside vectors, room for queries, scores and what else the engine holds. */
const ROOM_BYTES = 128 * 2 ** 20

/**
 * Finds the stored vectors with the largest cosine to each query, exactly: the order is that of float64. Vectors that do not fit into
 * the engine's memory together are searched part by part.
 * @param vectors  folder of embed, or a `.npy` file
 * @param inputs   pictures, or one `.npy` file of vectors
 * @throws RegraftError 'data', 'weights', 'usage'
 */
export async function search(vectors: string, inputs: Inputs, options: SearchOptions): Promise<SearchResult> {
  const { engine, signal, listener, topk = 10 } = options
  const stored = await openStoredVectors(vectors)
  const { rows, columns, readRows } = stored.matrix
  const queries: Query[] = []
  const one = Array.isArray(inputs) && inputs.length === 1 ? String(inputs[0]) : ''
  const asked = one.endsWith('.npy') ? matrixQueries(one, columns) : pictureQueries(stored, inputs, options)
  for await (const query of asked) queries.push(query)
  if (queries.length === 0) throw new RegraftError('data', 'There are no pictures to search for.')
  const joined = new Float32Array(queries.length * columns)
  for (const [at, { vector }] of queries.entries()) joined.set(vector, at * columns)

  const found: Neighbour[][] = queries.map(() => [])
  const seconds = { load: 0, search: 0 }
  const fitting = Math.floor((engine.arena.roomBytes() - ROOM_BYTES) / bytesPerVector(columns))
  const part = Math.max(1, Math.min(rows, fitting))
  listener?.({ type: 'phase', phase: 'search', total: rows, unit: 'vectors' })
  for (let first = 0; first < rows; first += part) {
    const startedAt = performance.now()
    const source = {
      rows: Math.min(part, rows - first),
      columns,
      readRows: (from: number, count: number) => readRows(first + from, count),
    }
    const index = await openCosineIndex(engine, source, signal)
    const loadedAt = performance.now()
    try {
      for (const [at, list] of (await index.search(joined, topk, signal)).entries()) {
        const before = found[at] ?? []
        for (const { row, score } of list) before.push({ row: first + row, score })
        // Parts come in the order of their rows, and the sort is stable: among equals the first row.
        found[at] = before.sort((a, b) => b.score - a.score).slice(0, topk)
      }
    } finally {
      index.close()
    }
    seconds.load += (loadedAt - startedAt) / 1000
    seconds.search += (performance.now() - loadedAt) / 1000
    listener?.({ type: 'progress', phase: 'search', done: first + source.rows, total: rows })
  }
  const named = new Map<number, VectorRow>()
  for (const list of found) for (const { row } of list) named.set(row, { path: '', label: null, error: null })
  const breath = breathing()
  let number = 0
  for await (const row of storedRows(stored)) {
    if (named.has(number)) named.set(number, row)
    number += 1
    if (breath.due()) await breath.pause()
  }
  listener?.({ type: 'phaseEnd', phase: 'search' })
  const results = queries.map(({ path, error }, at): SearchRow => {
    const matches = (found[at] ?? []).map(({ row, score }) => {
      const { path: name = '', label = null } = named.get(row) ?? {}
      return { row, path: name, label, score }
    })
    return { query: path, error, matches }
  })
  return { rows: results, vectors: rows, features: columns, seconds }
}
