import { describe, expect, test } from 'vitest'
import { activate, matmulReference, matmulTransposedReference } from '../reference/matmul.ts'
import { at, bits, padded, padRows, randomFloats, roundingOfSum, unpadRows, worstError } from '../support/dense-data.ts'
import { kernelBuilds, loadDenseKernels } from '../support/dense-kernels.ts'
import { oracleExists, readOracle } from '../support/read-oracle.ts'

const sizes = [0, 1, 3, 4, 5, 16, 17]

/** Shapes with sums in several stretches, several blocks of rows, panels of both widths. */
const longShapes = [
  { M: 7, N: 12, K: 513 },
  { M: 3, N: 20, K: 1030 },
  { M: 600, N: 8, K: 9 },
  { M: 130, N: 300, K: 520 },
]

describe.each(kernelBuilds)('%s build', (build) => {
  const kernels = loadDenseKernels(build)

  interface Product {
    readonly M: number
    readonly N: number
    readonly K: number
    readonly activation?: number
    readonly bias?: boolean
    readonly residual?: 'none' | 'separate' | 'c'
    readonly cuts?: readonly number[]
    /** Whether rows may be copied first. */
    readonly scratch?: boolean
  }

  /** Runs `matmul` on random data, cut at `cuts`, and gives c, what was expected, and the state of the guards. */
  function multiply({
    M,
    N,
    K,
    activation = 0,
    bias = true,
    residual = 'separate',
    cuts = [],
    scratch = true,
  }: Product) {
    kernels.reset()
    const N4 = padded(N)
    const [lda, ldc] = [K + 3, N4 + 4]
    const aValues = randomFloats(M * K, 1)
    const bValues = randomFloats(K * N, 2)
    const biasValues = randomFloats(N, 3)
    const residualValues = randomFloats(M * N, 4)
    const a = kernels.floats(padRows(aValues, K, lda))
    const b = kernels.floats(bValues)
    const packed = kernels.floats(K * N4)
    const biasBuffer = kernels.floats(padRows(biasValues, N, N4))
    const paddedResidual = padRows(residualValues, N, ldc)
    const separate = kernels.floats(residual === 'separate' ? paddedResidual : 0)
    const c = kernels.floats(residual === 'c' ? paddedResidual : new Float32Array(M * ldc).fill(Number.NaN))
    kernels.call('packB', b.pointer, N, packed.pointer, K, N, 0, Math.ceil(N / 8))
    const residualPointer = residual === 'none' ? 0 : residual === 'c' ? c.pointer : separate.pointer
    const bounds = [0, ...cuts, M]
    for (let i = 0; i + 1 < bounds.length; i++) {
      kernels.call(
        'matmul',
        a.pointer,
        lda,
        packed.pointer,
        c.pointer,
        ldc,
        N4,
        K,
        bias ? biasBuffer.pointer : 0,
        residualPointer,
        activation,
        scratch ? kernels.scratch() : 0,
        at(bounds, i),
        at(bounds, i + 1),
      )
    }
    const expected = matmulReference(
      aValues,
      bValues,
      M,
      N,
      K,
      bias ? biasValues : null,
      residual === 'none' ? null : residualValues,
      activation,
    )
    const rows = Array.from({ length: M }, (_, m) => c.values.slice(m * ldc, m * ldc + N4))
    const flat = new Float32Array(M * N4)
    rows.forEach((row, m) => {
      flat.set(row, m * N4)
    })
    const between = Array.from({ length: M }, (_, m) => c.values.slice(m * ldc + N4, (m + 1) * ldc))
    return { c: flat, values: unpadRows(flat, N, N4), expected, between, damaged: kernels.damagedGuards(), N4 }
  }

  test('matmul agrees with the plain loop on all small sizes and touches nothing else', () => {
    for (const M of sizes) {
      for (const N of sizes) {
        for (const K of sizes) {
          const result = multiply({ M, N, K })
          expect(worstError(result.values, result.expected, roundingOfSum(K)), `${M}x${N}x${K}`).toBeLessThanOrEqual(1)
          expect(result.damaged, `guards of ${M}x${N}x${K}`).toBe(0)
          for (const gap of result.between) expect(gap.every(Number.isNaN), `gaps of ${M}x${N}x${K}`).toBe(true)
        }
      }
    }
  })

  test.each(longShapes)('matmul agrees with the plain loop on $M x $N x $K', (shape) => {
    const result = multiply({ ...shape, activation: 1 })
    expect(worstError(result.values, result.expected, roundingOfSum(shape.K))).toBeLessThanOrEqual(1)
    expect(result.damaged).toBe(0)
  })

  test('columns past N of the matrix become zeros in c', () => {
    const { c, N4 } = multiply({ M: 5, N: 13, K: 6, residual: 'none' })
    for (let m = 0; m < 5; m++) expect(Array.from(c.slice(m * N4 + 13, (m + 1) * N4))).toEqual([0, 0, 0])
  })

  test.each([0, 1, 2])('activation %i applies after the whole sum, also of several stretches', (activation) => {
    for (const K of [40, 1030]) {
      const result = multiply({ M: 6, N: 12, K, activation })
      expect(worstError(result.values, result.expected, roundingOfSum(K))).toBeLessThanOrEqual(1)
    }
  })

  test('bias and residual may be absent', () => {
    for (const bias of [false, true]) {
      for (const residual of ['none', 'separate'] as const) {
        const result = multiply({ M: 5, N: 12, K: 700, bias, residual })
        expect(worstError(result.values, result.expected, roundingOfSum(700))).toBeLessThanOrEqual(1)
      }
    }
  })

  test('the residual may be c itself, with the same bits', () => {
    for (const K of [5, 700]) {
      const inPlace = multiply({ M: 7, N: 20, K, residual: 'c', activation: 2 })
      const separate = multiply({ M: 7, N: 20, K, residual: 'separate', activation: 2 })
      expect(bits(inPlace.c)).toEqual(bits(separate.c))
    }
  })

  test('matmul gives the same bits wherever its rows are cut', () => {
    for (const shape of [
      { M: 17, N: 20, K: 37 },
      { M: 9, N: 12, K: 1030 },
    ]) {
      const whole = bits(multiply(shape).c)
      for (let cut = 0; cut <= shape.M; cut++) {
        expect(bits(multiply({ ...shape, cuts: [cut] }).c), `cut at ${cut}`).toEqual(whole)
      }
      const everywhere = Array.from({ length: shape.M - 1 }, (_, i) => i + 1)
      expect(bits(multiply({ ...shape, cuts: everywhere }).c)).toEqual(whole)
    }
  })

  test('rows that are copied first give the bits of those that are not', () => {
    for (const shape of [
      { M: 5, N: 128, K: 256 },
      { M: 205, N: 132, K: 600, activation: 2 },
      { M: 193, N: 130, K: 1030, residual: 'c' },
    ] as const) {
      const copied = multiply(shape)
      expect(bits(copied.c)).toEqual(bits(multiply({ ...shape, scratch: false }).c))
      expect(bits(multiply({ ...shape, cuts: [1, 3] }).c)).toEqual(bits(copied.c))
      expect(worstError(copied.values, copied.expected, roundingOfSum(shape.K))).toBeLessThanOrEqual(1)
      expect(copied.damaged).toBe(0)
    }
  })

  test('NaN survives an activation', () => {
    kernels.reset()
    const a = kernels.floats([Number.NaN, 1])
    const packed = kernels.floats(4 * 2).pointer
    const c = kernels.floats(4)
    for (const activation of [1, 2]) {
      c.values.fill(0)
      kernels.call('matmul', a.pointer, 2, packed, c.pointer, 4, 4, 2, 0, 0, activation, 0, 0, 1)
      expect(Array.from(c.values)).toEqual([Number.NaN, Number.NaN, Number.NaN, Number.NaN])
    }
    expect(activate(7, 2)).toBe(6)
  })

  test('packBTransposed packs what packB packs from the transposed matrix', () => {
    for (const K of sizes) {
      for (const N of sizes) {
        kernels.reset()
        const b = randomFloats(K * N, 5)
        const transposed = new Float32Array(N * (K + 2))
        for (let k = 0; k < K; k++) for (let n = 0; n < N; n++) transposed[n * (K + 2) + k] = at(b, k * N + n)
        const plain = kernels.floats(K * padded(N))
        const other = kernels.floats(new Float32Array(K * padded(N)).fill(7))
        const panels = Math.ceil(N / 8)
        kernels.call('packB', kernels.floats(b).pointer, N, plain.pointer, K, N, 0, panels)
        const source = kernels.floats(transposed).pointer
        for (let panel = 0; panel < panels; panel++) {
          kernels.call('packBTransposed', source, K + 2, other.pointer, K, N, panel, panel + 1)
        }
        expect(bits(other.values)).toEqual(bits(plain.values))
        expect(kernels.damagedGuards()).toBe(0)
      }
    }
  })

  interface Transposed {
    readonly cuts?: readonly number[]
    readonly byColumns?: boolean
    /** Of a normalisation of a; none when left out. */
    readonly activation?: number
  }

  /** Runs `matmulTransposed` on random data, adding to random c. */
  function multiplyTransposed(M: number, N: number, K: number, more: Transposed = {}) {
    const { cuts = [], byColumns = false, activation } = more
    kernels.reset()
    const N4 = padded(N)
    const lda = padded(K)
    const [ldb, ldc] = [N4 + 4, N4 + 8]
    const aValues = randomFloats(M * K, 6)
    const bValues = randomFloats(M * N, 7)
    const start = randomFloats(K * ldc, 8)
    const a = kernels.floats(padRows(aValues, K, lda))
    const b = kernels.floats(padRows(bValues, N, ldb))
    const c = kernels.floats(start)
    const scale = randomFloats(K, 11)
    const shift = randomFloats(K, 12)
    const scaleShift = kernels.floats([...padRows(scale, K, lda), ...padRows(shift, K, lda)])
    const scratch = kernels.scratch()
    const bounds = [0, ...cuts, byColumns ? N4 / 4 : K]
    for (let i = 0; i + 1 < bounds.length; i++) {
      const from = [a.pointer, lda, activation === undefined ? 0 : scaleShift.pointer, activation ?? 0] as const
      const to = [c.pointer, ldc, M, K, N4, byColumns ? 1 : 0, scratch, at(bounds, i), at(bounds, i + 1)] as const
      kernels.call('matmulTransposed', ...from, b.pointer, ldb, ...to)
    }
    const normalised = aValues.map((value, i) => activate(value * at(scale, i % K) + at(shift, i % K), activation ?? 0))
    const product = matmulTransposedReference(activation === undefined ? aValues : normalised, bValues, M, N, K)
    const expected = Float64Array.from(start)
    for (let k = 0; k < K; k++) {
      for (let n = 0; n < N; n++) expected[k * ldc + n] = at(start, k * ldc + n) + at(product, k * N + n)
    }
    return { c: c.values.slice(), expected, damaged: kernels.damagedGuards() }
  }

  test('matmulTransposed adds what the plain loop gives, on all small sizes, and touches nothing else', () => {
    for (const M of sizes) {
      for (const N of sizes) {
        for (const K of sizes) {
          const result = multiplyTransposed(M, N, K)
          const error = worstError(result.c, result.expected, roundingOfSum(M))
          expect(error, `${M}x${N}x${K}`).toBeLessThanOrEqual(1)
          expect(result.damaged).toBe(0)
        }
      }
    }
  })

  test('matmulTransposed sums several blocks of rows', () => {
    for (const M of [255, 256, 257, 700]) {
      const result = multiplyTransposed(M, 20, 6)
      expect(worstError(result.c, result.expected, roundingOfSum(M))).toBeLessThanOrEqual(1)
    }
  })

  test('matmulTransposed gives the same bits wherever its rows are cut', () => {
    for (const [M, N, K] of [
      [300, 12, 17],
      [40, 20, 9],
    ] as const) {
      const whole = bits(multiplyTransposed(M, N, K).c)
      for (let cut = 0; cut <= K; cut++)
        expect(bits(multiplyTransposed(M, N, K, { cuts: [cut] }).c), `cut at ${cut}`).toEqual(whole)
      expect(bits(multiplyTransposed(M, N, K, { cuts: Array.from({ length: K - 1 }, (_, i) => i + 1) }).c)).toEqual(
        whole,
      )
    }
  })

  test('matmulTransposed gives the same bits by columns', () => {
    for (const [M, N, K] of [
      [300, 12, 17],
      [40, 20, 9],
      [270, 130, 70],
    ] as const) {
      const whole = bits(multiplyTransposed(M, N, K).c)
      for (let cut = 0; cut <= padded(N) / 4; cut++) {
        const byColumns = multiplyTransposed(M, N, K, { cuts: [cut], byColumns: true })
        expect(bits(byColumns.c), `cut at ${cut}`).toEqual(whole)
        expect(byColumns.damaged).toBe(0)
      }
    }
  })

  test.each([0, 1, 2])('matmulTransposed normalises a on the way, activation %i', (activation) => {
    for (const [M, N, K] of [
      [5, 4, 3],
      [300, 12, 17],
      [260, 68, 300],
      [100, 4, 600],
    ] as const) {
      const result = multiplyTransposed(M, N, K, { activation })
      expect(worstError(result.c, result.expected, roundingOfSum(M + 2))).toBeLessThanOrEqual(1)
      expect(result.damaged).toBe(0)
      const cut = multiplyTransposed(M, N, K, { activation, cuts: [1, 2] })
      expect(bits(cut.c)).toEqual(bits(result.c))
    }
  })

  test('sumRows adds the sum of every channel, the same bits for every cut', () => {
    for (const S of [4, 8, 16, 20, 36]) {
      for (const M of [0, 1, 5, 256, 300]) {
        const x = randomFloats(M * S, 9)
        const start = randomFloats(S, 10)
        const expected = Float64Array.from(start)
        for (let m = 0; m < M; m++) for (let c = 0; c < S; c++) expected[c] = at(expected, c) + at(x, m * S + c)
        const groups = S / 4
        const runs = Array.from({ length: groups + 1 }, (_, cut) => {
          kernels.reset()
          const out = kernels.floats(start)
          const pointer = kernels.floats(x).pointer
          kernels.call('sumRows', pointer, S, M, out.pointer, 0, cut)
          kernels.call('sumRows', pointer, S, M, out.pointer, cut, groups)
          expect(kernels.damagedGuards()).toBe(0)
          return out.values.slice()
        })
        const first = runs[0] ?? new Float32Array(0)
        expect(worstError(first, expected, roundingOfSum(M))).toBeLessThanOrEqual(1)
        for (const run of runs) expect(bits(run)).toEqual(bits(first))
      }
    }
  })

  test.each([
    [0, 78],
    [1, 51],
    [2, 37.5],
    [4096, 24],
    [10_000, 24],
  ])('registerPeak takes its twelve chains through %i rounds', (iterations, sum) => {
    // They start at 1 … 12, and a round takes c to c/2 + 1, whose fixed point is 2.
    kernels.reset()
    const out = kernels.floats(8)
    // The wide build has each chain twice, and takes half the rounds.
    kernels.call('registerPeak', out.pointer, kernels.build === 'relaxed-256' ? 2 * iterations : iterations, 0, 1)
    expect(Array.from(out.values)).toEqual(Array.from({ length: 8 }, () => sum))
    expect(kernels.damagedGuards()).toBe(0)
  })

  describe.skipIf(!oracleExists)('recorded linear layers', () => {
    test.each(readOracle('linear').map((entry) => [entry.name, entry] as const))(
      '%s agrees with PyTorch',
      (_, entry) => {
        kernels.reset()
        const x = entry.tensor('x')
        const weight = entry.tensor('weight')
        const dy = entry.tensor('cotangent')
        const [M, I, O] = [at(x.shape, 0), at(x.shape, 1), at(weight.shape, 0)]
        const [S, T] = [padded(I), padded(O)]
        const bias = entry.has('bias') ? kernels.floats(padRows(entry.tensor('bias').values, O, T)).pointer : 0
        const xBuffer = kernels.floats(padRows(x.values, I, S))
        const dyBuffer = kernels.floats(padRows(dy.values, O, T))
        // [O, I] as recorded is the transposed matrix of what the forward kernel wants, and what the backward kernel wants.
        const stored = kernels.floats(weight.values).pointer
        const forward = kernels.floats(I * T)
        const backward = kernels.floats(O * S)
        kernels.call('packBTransposed', stored, I, forward.pointer, I, O, 0, Math.ceil(O / 8))
        kernels.call('packB', stored, I, backward.pointer, O, I, 0, Math.ceil(I / 8))
        const y = kernels.floats(M * T)
        const dx = kernels.floats(M * S)
        const dWeight = kernels.floats(I * T)
        const dBias = kernels.floats(T)
        kernels.call('matmul', xBuffer.pointer, S, forward.pointer, y.pointer, T, T, I, bias, 0, 0, 0, 0, M)
        kernels.call('matmul', dyBuffer.pointer, T, backward.pointer, dx.pointer, S, S, O, 0, 0, 0, 0, 0, M)
        const scratch = kernels.scratch()
        const into = [dWeight.pointer, T, M, I, T, 0, scratch, 0, I] as const
        kernels.call('matmulTransposed', xBuffer.pointer, S, 0, 0, dyBuffer.pointer, T, ...into)
        kernels.call('sumRows', dyBuffer.pointer, T, M, dBias.pointer, 0, T / 4)

        const transposed = new Float64Array(O * I)
        for (let i = 0; i < I; i++) for (let o = 0; o < O; o++) transposed[o * I + i] = at(dWeight.values, i * T + o)
        const results: [string, ArrayLike<number>][] = [
          ['output', unpadRows(y.values, O, T)],
          ['grad_x', unpadRows(dx.values, I, S)],
          ['grad_weight', transposed],
          ...(bias ? [['grad_bias', unpadRows(dBias.values, O, T)] satisfies [string, ArrayLike<number>]] : []),
        ]
        for (const [name, values] of results) {
          const recorded = entry.tensor(name)
          if (!recorded.tolerance) throw new Error(`${entry.name}: '${name}' has no tolerance`)
          expect(worstError(values, recorded.values, recorded.tolerance), name).toBeLessThanOrEqual(1)
        }
        expect(kernels.damagedGuards()).toBe(0)
      },
    )
  })
})
