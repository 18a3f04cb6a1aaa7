import { afterAll, describe, expect, test } from 'vitest'
import { createEngine } from '../../src/kernels/engine.ts'
import { randomStream } from '../../src/random.ts'
import { openProjection, principalComponents } from '../../src/solve/principal-components.ts'
import { symmetricEigen } from '../../src/solve/symmetric-eigen.ts'

const engines = [createEngine({ threads: 1 }), createEngine({ threads: 3 })]
const [engine = createEngine()] = engines
afterAll(async () => {
  for (const each of engines) await each.close()
})

function randomMatrix(length: number, purpose: string): Float64Array {
  const random = randomStream({ seed: 3, purpose })
  return Float64Array.from({ length }, () => random.uniform() - 0.5)
}

describe('eigenvectors', () => {
  test.each([1, 2, 3, 5, 40, 130])('of a random symmetric matrix of %d rows', async (n) => {
    const half = randomMatrix(n * n, 'a matrix')
    const matrix = half.map((value, at) => value + (half[(at % n) * n + Math.floor(at / n)] ?? 0))
    const { values, vectors } = await symmetricEigen(matrix.slice(), n)
    for (let k = 0; k < n; k++) {
      if (k > 0) expect(values[k]).toBeLessThanOrEqual(values[k - 1] ?? 0)
      for (let i = 0; i < n; i++) {
        let product = 0
        let dot = 0
        for (let j = 0; j < n; j++) {
          product += (matrix[i * n + j] ?? 0) * (vectors[k * n + j] ?? 0)
          dot += (vectors[i * n + j] ?? 0) * (vectors[k * n + j] ?? 0)
        }
        expect(Math.abs(product - (values[k] ?? 0) * (vectors[k * n + i] ?? 0))).toBeLessThan(1e-12)
        expect(Math.abs(dot - (i === k ? 1 : 0))).toBeLessThan(1e-12)
      }
    }
  })

  test.each([
    ['zeros', [0, 0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0]],
    ['the identity', [1, 0, 0, 0, 1, 0, 0, 0, 1], [1, 1, 1]],
    ['one direction', [1, 1, 1, 1, 1, 1, 1, 1, 1], [3, 0, 0]],
    ['sizes far apart', [1e-12, 0, 0, 0, 1e12, 0, 0, 0, 1], [1e12, 1, 1e-12]],
  ])('of %s', async (_, matrix, expected) => {
    const { values } = await symmetricEigen(Float64Array.from(matrix), 3)
    for (const [at, value] of expected.entries()) expect(values[at]).toBeCloseTo(value, 9)
  })

  test('of a matrix of low rank, parts of which are tiny', async () => {
    const n = 90
    const half = randomMatrix(n * 4, 'low rank')
    const part = (i: number, k: number) => (half[i * 4 + k] ?? 0) * 1e-3 ** (i / n)
    const matrix = Float64Array.from({ length: n * n }, (_, at) => {
      let sum = 0
      for (let k = 0; k < 4; k++) sum += part(Math.floor(at / n), k) * part(at % n, k)
      return Math.fround(sum)
    })
    const trace = Array.from({ length: n }, (_, i) => matrix[i * n + i] ?? 0).reduce((a, b) => a + b)
    const { values } = await symmetricEigen(matrix, n)
    expect(values.reduce((a, b) => a + b)).toBeCloseTo(trace, 12)
    expect(values[3]).toBeGreaterThan(0)
    expect(Math.abs(values[5] ?? 1)).toBeLessThan(1e-6)
  })

  test('of what is not finite are an error', async () => {
    await expect(symmetricEigen(new Float64Array(9).fill(Number.NaN), 3)).rejects.toThrow(RangeError)
  })
})

/** Vectors with more variance in some directions, in pieces of unequal length. */
function vectorsOf(rows: number, columns: number) {
  const mixing = randomMatrix(columns * columns, 'mixing')
  const raw = randomMatrix(rows * columns, 'vectors')
  const values = new Float32Array(rows * columns)
  for (let row = 0; row < rows; row++) {
    for (let c = 0; c < columns; c++) {
      let sum = 10 + c
      for (let d = 0; d < columns; d++)
        sum += ((raw[row * columns + d] ?? 0) * (mixing[c * columns + d] ?? 0)) / (d + 1)
      values[row * columns + c] = sum
    }
  }
  const inPieces = (size: number) => ({
    columns,
    async *pieces() {
      for (let row = 0; row < rows; row += size) yield values.subarray(row * columns, (row + size) * columns)
    },
  })
  return { values, inPieces }
}

test('components are those of the covariance in float64, whitened vectors vary by 1', async () => {
  const [rows, columns, count] = [700, 13, 6]
  const { values, inPieces } = vectorsOf(rows, columns)
  const basis = await principalComponents(engine, inPieces(701), count)
  const mean = Float64Array.from({ length: columns }, (_, c) => {
    let sum = 0
    for (let row = 0; row < rows; row++) sum += values[row * columns + c] ?? 0
    return sum / rows
  })
  const covariance = new Float64Array(columns * columns)
  for (let i = 0; i < columns; i++)
    for (let j = 0; j < columns; j++)
      for (let row = 0; row < rows; row++)
        covariance[i * columns + j] =
          (covariance[i * columns + j] ?? 0) +
          (((values[row * columns + i] ?? 0) - (mean[i] ?? 0)) * ((values[row * columns + j] ?? 0) - (mean[j] ?? 0))) /
            (rows - 1)
  const expected = await symmetricEigen(covariance, columns)
  for (let k = 0; k < count; k++) {
    const value = expected.values[k] ?? 0
    expect(Math.abs((basis.variances[k] ?? 0) - value)).toBeLessThan(1e-5 * value)
    for (let c = 0; c < columns; c++)
      expect(
        Math.abs((basis.components[k * columns + c] ?? 0) - (expected.vectors[k * columns + c] ?? 0)),
      ).toBeLessThan(1e-3)
  }
  const projection = await openProjection(engine, basis, true)
  const whitened = await projection.project(values)
  projection.close()
  for (let k = 0; k < count; k++) {
    let squares = 0
    for (let row = 0; row < rows; row++) squares += (whitened[row * count + k] ?? 0) ** 2
    expect(squares / (rows - 1)).toBeCloseTo(1, 3)
  }
})

test('neither threads nor pieces change a bit', async () => {
  const { values, inPieces } = vectorsOf(1100, 21)
  const results: string[] = []
  for (const each of engines) {
    for (const size of [1, 100, 5000]) {
      const basis = await principalComponents(each, inPieces(size), 5)
      const projection = await openProjection(each, basis, true)
      const projected = await projection.project(values)
      const single = await projection.project(values.subarray(21 * 7, 21 * 8))
      projection.close()
      expect(single).toEqual(projected.slice(5 * 7, 5 * 8))
      results.push(Buffer.from(projected.buffer).toString('base64') + basis.variances.join())
    }
  }
  expect(new Set(results).size).toBe(1)
})

test('more components than there are are refused', async () => {
  await expect(principalComponents(engine, vectorsOf(4, 8).inPieces(4), 4)).rejects.toThrow('at most 3 components')
  const flat = {
    columns: 3,
    pieces: async function* () {
      yield Float32Array.of(1, 1, 0, 2, 2, 0, 3, 3, 0, 4, 4, 0)
    },
  }
  await expect(principalComponents(engine, flat, 2)).rejects.toThrow('vary in 1 directions only')
})
