import { afterAll, expect, test } from 'vitest'
import { createEngine } from '../../src/kernels/engine.ts'
import { randomStream } from '../../src/random.ts'
import { type Neighbour, openCosineIndex, type VectorSource } from '../../src/solve/cosine-index.ts'

const engines = [createEngine({ threads: 1 }), createEngine({ threads: 2 })]
const [engine = createEngine()] = engines
afterAll(async () => {
  for (const each of engines) await each.close()
})

function sourceOf(values: Float32Array, columns: number): VectorSource {
  return {
    rows: values.length / columns,
    columns,
    readRows: async (first, count) => values.slice(first * columns, (first + count) * columns),
  }
}

function randomVectors(rows: number, columns: number, purpose: string): Float32Array {
  const random = randomStream({ seed: 9, purpose })
  return Float32Array.from({ length: rows * columns }, () => random.uniform() - 0.4)
}

/** Everything in float64, by plain loops. */
function reference(values: Float32Array, columns: number, query: Float32Array): Neighbour[] {
  const product = (a: ArrayLike<number>, b: ArrayLike<number>) => {
    let sum = 0
    for (let at = 0; at < columns; at++) sum += (a[at] ?? 0) * (b[at] ?? 0)
    return sum
  }
  const all: Neighbour[] = []
  for (let row = 0; row < values.length / columns; row++) {
    const vector = values.subarray(row * columns, (row + 1) * columns)
    const size = Math.sqrt(product(vector, vector)) * Math.sqrt(product(query, query))
    if (Number.isFinite(size)) all.push({ row, score: size === 0 ? 0 : product(vector, query) / size })
  }
  return all.sort((a, b) => b.score - a.score || a.row - b.row)
}

function expectSame(found: readonly Neighbour[] | undefined, expected: readonly Neighbour[]): void {
  expect(found?.map(({ row }) => row)).toEqual(expected.map(({ row }) => row))
  for (const [at, { score }] of expected.entries())
    expect(Math.abs((found?.[at]?.score ?? 9) - score)).toBeLessThan(1e-14)
}

test.each([
  [1, 3, 1],
  [7, 5, 3],
  [3000, 33, 10],
  [40_000, 8, 5],
])('search of %d vectors of %d values finds what float64 finds', async (rows, columns, count) => {
  const values = randomVectors(rows, columns, 'vectors')
  const queries = randomVectors(37, columns, 'queries')
  for (const each of engines) {
    const index = await openCosineIndex(each, sourceOf(values, columns))
    const found = await index.search(queries, count)
    index.close()
    expect(found).toHaveLength(37)
    for (const at of [0, 1, 31, 32, 36]) {
      const query = queries.subarray(at * columns, (at + 1) * columns)
      expectSame(found[at], reference(values, columns, query).slice(0, count))
    }
    expect(each.arena.usedBytes()).toBe(each.threads * 2 ** 20)
  }
})

test('neighbours that 32 bits cannot tell apart are ordered as in float64', async () => {
  const [rows, columns] = [5000, 64]
  const base = randomVectors(1, columns, 'base')
  const noise = randomVectors(rows, columns, 'noise')
  const values = noise.map((value, at) => (base[at % columns] ?? 0) + 1e-4 * value)
  const index = await openCosineIndex(engine, sourceOf(values, columns))
  const [found] = await index.search(base, 20)
  index.close()
  expectSame(found, reference(values, columns, base).slice(0, 20))
})

test('copies come by their rows, zeros have 0, and what is not finite is never found', async () => {
  const values = Float32Array.of(1, 2, 0, 0, Number.NaN, 1, 2, 4, -1, -2, 1e38, 2e38, Number.POSITIVE_INFINITY, 1)
  const index = await openCosineIndex(engine, sourceOf(values, 2))
  const [found, none] = await index.search(Float32Array.of(3, 6, Number.NaN, 1), 10)
  index.close()
  expect(found?.map(({ row }) => row)).toEqual([...(found?.slice(0, 3) ?? []).map(({ row }) => row), 1, 4])
  expect(new Set(found?.slice(0, 3).map(({ row }) => row))).toEqual(new Set([0, 3, 5]))
  expect(found?.[0]?.score).toBeCloseTo(1, 14)
  expect(found?.[3]).toEqual({ row: 1, score: 0 })
  expect(none).toEqual([])
})

test('pairs above a score are all of those, once', async () => {
  const [rows, columns] = [500, 16]
  const values = randomVectors(rows, columns, 'pairs')
  for (let at = 0; at < columns; at++) values[333 * columns + at] = 2 * (values[44 * columns + at] ?? 0)
  const index = await openCosineIndex(engine, sourceOf(values, columns))
  for (const threshold of [0.6, 0.99]) {
    const found: string[] = []
    for await (const { first, second } of index.pairs(threshold)) found.push(`${first} ${second}`)
    const expected: string[] = []
    for (let first = 0; first < rows; first++) {
      const near = reference(values, columns, values.subarray(first * columns, (first + 1) * columns))
      for (const { row, score } of near.sort((a, b) => a.row - b.row))
        if (row > first && score >= threshold) expected.push(`${first} ${row}`)
    }
    expect(found).toEqual(expected)
    expect(found).toContain('44 333')
  }
  index.close()
})

test('vectors that do not fit are told, with what would help', async () => {
  const source = { rows: 2 ** 22, columns: 2048, readRows: async () => new Float32Array() }
  await expect(openCosineIndex(engine, source)).rejects.toMatchObject({
    code: 'memory',
    message: expect.stringContaining('embed --pca'),
  })
})
