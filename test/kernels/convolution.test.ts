import { describe, expect, test } from 'vitest'
import {
  type Convolution,
  convolutionInputGradient,
  convolutionReference,
  convolutionWeightGradient,
} from '../reference/convolution.ts'
import { activate } from '../reference/matmul.ts'
import { geometryOf } from '../support/convolution-geometry.ts'
import { at, bits, padded, padRows, randomFloats, roundingOfSum, unpadRows, worstError } from '../support/dense-data.ts'
import { kernelBuilds, loadDenseKernels } from '../support/dense-kernels.ts'
import { oracleExists } from '../support/read-oracle.ts'
import { type ConvolutionData, recordedConvolutions } from '../support/recorded-convolution.ts'

const base: Convolution = {
  N: 2,
  H: 7,
  W: 6,
  C: 4,
  OH: 7,
  OW: 6,
  O: 8,
  kernel: [3, 3],
  stride: [1, 1],
  padTop: 1,
  padLeft: 1,
  dilation: [1, 1],
}

const shapes: readonly (readonly [string, Convolution])[] = [
  ['3x3', base],
  ['3x3 with 3 to 5 channels', { ...base, C: 3, O: 5 }],
  ['3x3 with 1 to 1 channel', { ...base, C: 1, O: 1 }],
  ['3x3 with 17 to 16 channels', { ...base, C: 17, O: 16 }],
  ['3x3 of stride 2, padded below and right only', { ...base, OH: 4, OW: 3, stride: [2, 2], padTop: 0, padLeft: 0 }],
  ['3x3 of strides 2 and 3', { ...base, OH: 4, OW: 2, stride: [2, 3] }],
  ['3x3 of dilation 2', { ...base, C: 5, padTop: 2, padLeft: 2, dilation: [2, 2] }],
  ['5x2, uneven padding', { ...base, OH: 5, OW: 8, kernel: [5, 2], padTop: 2, padLeft: 3 }],
  ['1x1 of stride 2', { ...base, OH: 4, OW: 3, kernel: [1, 1], stride: [2, 2], padTop: 0, padLeft: 0 }],
  ['1x1', { ...base, C: 5, kernel: [1, 1], padTop: 0, padLeft: 0 }],
  ['1x1 with many channels', { ...base, H: 3, OH: 3, C: 66, O: 520, kernel: [1, 1], padTop: 0, padLeft: 0 }],
  ['3x3 with many channels', { ...base, N: 1, H: 3, W: 3, OH: 3, OW: 3, C: 30, O: 68 }],
  ['7x7 over a smaller picture', { ...base, H: 3, W: 2, OH: 3, OW: 2, kernel: [7, 7], padTop: 3, padLeft: 3, C: 12 }],
  ['a single pixel', { ...base, N: 1, H: 1, W: 1, OH: 1, OW: 1 }],
  ['no image', { ...base, N: 0 }],
  ['more columns than a block holds', { ...base, C: 100, O: 4 }],
  ['more channels than a block of columns', { ...base, N: 1, H: 3, W: 3, OH: 3, OW: 3, C: 1029, O: 4 }],
  ['more output channels than a stretch', { ...base, N: 1, H: 3, W: 3, OH: 3, OW: 3, C: 3, O: 520 }],
  ['more pixels than a block', { ...base, N: 3, H: 13, W: 11, OH: 13, OW: 11, C: 8, O: 12 }],
]

describe.each(kernelBuilds)('%s build', (build) => {
  const kernels = loadDenseKernels(build)

  function randomData({ N, H, W, C, OH, OW, O, kernel }: Convolution): ConvolutionData {
    return {
      x: randomFloats(N * H * W * C, 1),
      weight: randomFloats(kernel[0] * kernel[1] * C * O, 2),
      dy: randomFloats(N * OH * OW * O, 3),
      bias: randomFloats(O, 4),
    }
  }

  /** Calls `run` for every part of 0 … units, cut at `cuts`. */
  function inParts(units: number, cuts: readonly number[], run: (from: number, to: number) => void) {
    const bounds = [0, ...cuts, units]
    for (let i = 0; i + 1 < bounds.length; i++) run(at(bounds, i), at(bounds, i + 1))
  }

  /** y as it lies in memory, padding lanes included. */
  function forward(
    shape: Convolution,
    data: ConvolutionData,
    options: { activation?: number; residual?: boolean; cuts?: number[] },
  ) {
    kernels.reset()
    const { N, H, W, C, OH, OW, O, kernel } = shape
    const [S, T, K] = [padded(C), padded(O), kernel[0] * kernel[1] * C]
    const x = kernels.floats(padRows(data.x, C, S)).pointer
    const packed = kernels.floats(K * T).pointer
    kernels.call('packB', kernels.floats(padRows(data.weight, O, T)).pointer, T, packed, K, T, 0, Math.ceil(T / 8))
    const bias = kernels.floats(padRows(data.bias, O, T)).pointer
    const y = kernels.floats(options.residual ? padRows(data.dy, O, T) : new Float32Array(N * OH * OW * T).fill(NaN))
    const geometry = kernels.integers(geometryOf(shape))
    const scratch = kernels.scratch()
    const residual = options.residual ? y.pointer : 0
    const activation = options.activation ?? 0
    inParts(N * OH * OW, options.cuts ?? [], (from, to) => {
      kernels.call('convolutionForward', x, packed, y.pointer, bias, residual, activation, geometry, scratch, from, to)
    })
    expect(kernels.damagedGuards(), `guards, ${H}x${W}`).toBe(0)
    return y.values.slice()
  }

  /** dx as it lies in memory; `start` is what is there before. */
  function backwardInput(
    shape: Convolution,
    data: ConvolutionData,
    start: Float32Array | null,
    cuts: readonly number[] = [],
  ) {
    kernels.reset()
    const { N, H, W, C, O, kernel } = shape
    const [S, T, K] = [padded(C), padded(O), kernel[0] * kernel[1] * C]
    const dy = kernels.floats(padRows(data.dy, O, T)).pointer
    const packed = kernels.floats(T * padded(K)).pointer
    const weight = kernels.floats(padRows(data.weight, O, T)).pointer
    kernels.call('packBTransposed', weight, T, packed, T, K, 0, Math.ceil(K / 8))
    const dx = kernels.floats(start ?? new Float32Array(N * H * W * S).fill(NaN))
    const geometry = kernels.integers(geometryOf(shape))
    const scratch = kernels.scratch()
    inParts(N, cuts, (from, to) => {
      kernels.call('convolutionBackwardInput', dy, packed, dx.pointer, geometry, start ? 1 : 0, scratch, from, to)
    })
    expect(kernels.damagedGuards()).toBe(0)
    return dx.values.slice()
  }

  /** dw as it lies in memory, [K, O'], added to `start`. */
  function backwardWeight(
    shape: Convolution,
    data: ConvolutionData,
    start: Float32Array,
    cuts: readonly number[] = [],
  ) {
    kernels.reset()
    const { N, C, O, kernel } = shape
    const [S, T, K] = [padded(C), padded(O), kernel[0] * kernel[1] * C]
    const x = kernels.floats(padRows(data.x, C, S)).pointer
    const dy = kernels.floats(padRows(data.dy, O, T)).pointer
    const dw = kernels.floats(start)
    const geometry = kernels.integers(geometryOf(shape))
    const scratch = kernels.scratch()
    inParts(K, cuts, (from, to) => {
      kernels.call('convolutionBackwardWeight', x, dy, dw.pointer, N, geometry, scratch, from, to)
    })
    expect(kernels.damagedGuards()).toBe(0)
    return dw.values.slice()
  }

  test.each(shapes)('%s: forward agrees with the plain loop', (_, shape) => {
    const data = randomData(shape)
    const { C, O, kernel } = shape
    const T = padded(O)
    const K = kernel[0] * kernel[1] * C
    const plain = convolutionReference(shape, data.x, data.weight)
    for (const [activation, residual] of [
      [0, false],
      [2, true],
    ] as const) {
      const expected = plain.map((sum, i) =>
        activate(sum + at(data.bias, i % O) + (residual ? at(data.dy, i) : 0), activation),
      )
      const y = forward(shape, data, { activation, residual })
      expect(worstError(unpadRows(y, O, T), expected, roundingOfSum(K))).toBeLessThanOrEqual(1)
      for (let i = 0; i < y.length; i++) if (i % T >= O) expect(y[i], 'padding lane').toBe(0)
    }
  })

  test.each(shapes)('%s: the gradient of the input agrees with the plain loop', (_, shape) => {
    const data = randomData(shape)
    const { C, O, kernel } = shape
    const S = padded(C)
    const expected = convolutionInputGradient(shape, data.dy, data.weight)
    const tolerance = roundingOfSum(kernel[0] * kernel[1] * O)
    const dx = backwardInput(shape, data, null)
    expect(worstError(unpadRows(dx, C, S), expected, tolerance)).toBeLessThanOrEqual(1)
    for (let i = 0; i < dx.length; i++) if (i % S >= C) expect(dx[i], 'padding lane').toBe(0)
    const before = randomFloats(expected.length, 5)
    const added = backwardInput(shape, data, padRows(before, C, S))
    const sum = expected.map((value, i) => value + at(before, i))
    expect(worstError(unpadRows(added, C, S), sum, tolerance)).toBeLessThanOrEqual(1)
  })

  test.each(shapes)('%s: the gradient of the weight agrees with the plain loop', (_, shape) => {
    const data = randomData(shape)
    const { N, OH, OW, O } = shape
    const product = convolutionWeightGradient(shape, data.x, data.dy)
    const before = randomFloats(product.length, 6)
    const dw = backwardWeight(shape, data, padRows(before, O, padded(O)))
    const expected = product.map((value, i) => value + at(before, i))
    expect(worstError(unpadRows(dw, O, padded(O)), expected, roundingOfSum(N * OH * OW))).toBeLessThanOrEqual(1)
  })

  test('all three give the same bits wherever their work is cut', () => {
    for (const shape of [
      { ...base, C: 3, O: 5 },
      { ...base, H: 3, OH: 3, C: 69, O: 72, kernel: [1, 1] as const, padTop: 0, padLeft: 0 },
      { ...base, N: 3, H: 5, W: 5, OH: 3, OW: 3, stride: [2, 2] as const, C: 61, O: 12 },
    ]) {
      const data = randomData(shape)
      const { N, C, OH, OW, O, kernel } = shape
      const K = kernel[0] * kernel[1] * C
      const y = bits(forward(shape, data, {}))
      for (let cut = 0; cut <= N * OH * OW; cut++) {
        expect(bits(forward(shape, data, { cuts: [cut] })), `forward cut at ${cut}`).toEqual(y)
      }
      const dx = bits(backwardInput(shape, data, null))
      for (let cut = 0; cut <= N; cut++) expect(bits(backwardInput(shape, data, null, [cut]))).toEqual(dx)
      const start = new Float32Array(K * padded(O))
      const dw = bits(backwardWeight(shape, data, start))
      for (let cut = 0; cut <= K; cut += cut < 40 ? 1 : 37) {
        expect(bits(backwardWeight(shape, data, start, [cut])), `weight cut at ${cut}`).toEqual(dw)
      }
    }
  })

  test('a 1x1 convolution has the bits of matmul', () => {
    const shape: Convolution = { ...base, C: 700, O: 12, kernel: [1, 1], padTop: 0, padLeft: 0 }
    const data = randomData(shape)
    const y = forward(shape, data, { activation: 1 })
    kernels.reset()
    const [M, K, T] = [shape.N * shape.H * shape.W, shape.C, 12]
    const packed = kernels.floats(K * T).pointer
    kernels.call('packB', kernels.floats(data.weight).pointer, T, packed, K, T, 0, 2)
    const c = kernels.floats(M * T)
    const bias = kernels.floats(data.bias).pointer
    kernels.call('matmul', kernels.floats(data.x).pointer, K, packed, c.pointer, T, T, K, bias, 0, 1, 0, 0, M)
    expect(bits(c.values)).toEqual(bits(y))
  })

  describe.skipIf(!oracleExists)('recorded convolutions', () => {
    const cases = recordedConvolutions(({ groups }) => groups === 1)
    test.each(cases.map((recorded) => [recorded.name, recorded] as const))('%s agrees with PyTorch', (_, recorded) => {
      const { shape, data } = recorded
      const { C, O, kernel } = shape
      const dw = backwardWeight(shape, data, new Float32Array(kernel[0] * kernel[1] * C * padded(O)))
      const errors = recorded.errors({
        output: unpadRows(forward(shape, data, {}), O, padded(O)),
        grad_x: unpadRows(backwardInput(shape, data, null), C, padded(C)),
        grad_weight: unpadRows(dw, O, padded(O)),
      })
      for (const [name, error] of Object.entries(errors)) expect(error, name).toBeLessThanOrEqual(1)
    })
  })
})
