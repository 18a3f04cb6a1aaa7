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
import { ranges } from '../support/values.ts'

interface Grouped extends Convolution {
  readonly groups: number
}

const base: Grouped = {
  N: 2,
  H: 7,
  W: 6,
  C: 8,
  OH: 7,
  OW: 6,
  O: 8,
  groups: 2,
  kernel: [3, 3],
  stride: [1, 1],
  padTop: 1,
  padLeft: 1,
  dilation: [1, 1],
}
const pointwise = { kernel: [1, 1], padTop: 0, padLeft: 0 } as const
const strided = { OH: 4, OW: 3, stride: [2, 2] } as const

const shapes: readonly (readonly [string, Grouped])[] = [
  ['groups of 4 to 4', base],
  ['groups of 4 to 4, one at a time', { ...base, groups: 2, C: 8, O: 8, N: 1, H: 1, W: 1, OH: 1, OW: 1 }],
  ['groups of 8 to 16, stride 2', { ...base, ...strided, C: 24, O: 48, groups: 3 }],
  ['groups of 24 to 8, dilation 2', { ...base, C: 72, O: 24, groups: 3, padTop: 2, padLeft: 2, dilation: [2, 2] }],
  ['groups of 2 to 2', { ...base, C: 8, O: 8, groups: 4 }],
  ['groups of 2 to 6, a short bundle', { ...base, C: 6, O: 18, groups: 3 }],
  ['groups of 1 to 1', { ...base, C: 9, O: 9, groups: 9 }],
  ['groups of 1 to 2', { ...base, ...strided, C: 5, O: 10, groups: 5 }],
  ['groups of 3 to 5', { ...base, C: 15, O: 25, groups: 5 }],
  ['groups of 4 to 3', { ...base, C: 20, O: 15, groups: 5 }],
  ['groups of 5 to 4, fewer than a bundle', { ...base, C: 15, O: 12, groups: 3 }],
  ['1x1, groups of 12 to 8', { ...base, ...pointwise, C: 36, O: 24, groups: 3 }],
  ['1x1, groups of 7 to 3', { ...base, ...pointwise, C: 35, O: 15, groups: 5 }],
  ['1x1, stride 2', { ...base, ...pointwise, ...strided, C: 16, O: 16, groups: 2 }],
  ['5x2, uneven padding', { ...base, OH: 5, OW: 8, kernel: [5, 2], padTop: 2, padLeft: 3, C: 12, O: 12, groups: 3 }],
  ['more pixels than a block', { ...base, N: 3, H: 13, W: 11, OH: 13, OW: 11, C: 16, O: 8, groups: 2 }],
  ['products larger than what scratch leaves', { ...base, N: 1, H: 2, W: 2, OH: 2, OW: 2, C: 276, O: 268, groups: 4 }],
  ['more outputs of a group than a stretch', { ...base, ...pointwise, N: 1, C: 8, O: 1040, groups: 2 }],
  ['no image', { ...base, N: 0 }],
]

describe.each(kernelBuilds)('grouped convolution, %s build', (build) => {
  const kernels = loadDenseKernels(build)

  function randomData({ N, H, W, C, OH, OW, O, groups, kernel }: Grouped): ConvolutionData {
    return {
      x: randomFloats(N * H * W * C, 1),
      weight: randomFloats(kernel[0] * kernel[1] * (C / groups) * O, 2),
      dy: randomFloats(N * OH * OW * O, 3),
      bias: randomFloats(O, 4),
    }
  }

  function sizes({ C, O, groups, kernel }: Grouped) {
    const [inputs, outputs, taps] = [C / groups, O / groups, kernel[0] * kernel[1]]
    const bundle = inputs % 4 === 0 && outputs % 4 === 0 ? 1 : inputs % 2 === 0 && outputs % 2 === 0 ? 2 : 4
    const bundles = Math.ceil(groups / bundle)
    return { inputs, outputs, taps, bundles, packedFloats: bundles * taps * bundle * inputs * bundle * outputs }
  }

  /** Packs the weight, every bundle by itself. */
  function pack(shape: Grouped, data: ConvolutionData, transposed: 0 | 1): number {
    const { inputs, outputs, taps, bundles, packedFloats } = sizes(shape)
    const weight = kernels.floats(padRows(data.weight, shape.O, padded(shape.O))).pointer
    const packed = kernels.floats(new Float32Array(packedFloats).fill(NaN)).pointer
    for (let bundle = bundles - 1; bundle >= 0; bundle--) {
      const range = [bundle, bundle + 1] as const
      kernels.call('packGroups', weight, packed, taps, inputs, outputs, shape.groups, transposed, ...range)
    }
    return packed
  }

  function forward(
    shape: Grouped,
    data: ConvolutionData,
    options: { activation?: number; residual?: boolean; cuts?: readonly number[] } = {},
  ) {
    kernels.reset()
    const { N, C, OH, OW, O, groups } = shape
    const { inputs, outputs } = sizes(shape)
    const T = padded(O)
    const x = kernels.floats(padRows(data.x, C, padded(C))).pointer
    const packed = pack(shape, data, 0)
    const bias = kernels.floats(padRows(data.bias, O, T)).pointer
    const y = kernels.floats(options.residual ? padRows(data.dy, O, T) : new Float32Array(N * OH * OW * T).fill(NaN))
    const geometry = kernels.integers(geometryOf(shape))
    const scratch = kernels.scratch()
    const residual = options.residual ? y.pointer : 0
    const place = [x, packed, y.pointer, bias, residual, options.activation ?? 0, geometry] as const
    for (const range of ranges(N * OH * OW, options.cuts ?? [])) {
      kernels.call('groupedForward', ...place, inputs, outputs, groups, scratch, ...range)
    }
    expect(kernels.damagedGuards()).toBe(0)
    return y.values.slice()
  }

  function backwardInput(shape: Grouped, data: ConvolutionData, start?: Float32Array, cuts: readonly number[] = []) {
    kernels.reset()
    const { N, H, W, C, O, groups } = shape
    const { inputs, outputs } = sizes(shape)
    const dy = kernels.floats(padRows(data.dy, O, padded(O))).pointer
    const packed = pack(shape, data, 1)
    const dx = kernels.floats(start ?? new Float32Array(N * H * W * padded(C)).fill(NaN))
    const geometry = kernels.integers(geometryOf(shape))
    const scratch = kernels.scratch()
    for (const range of ranges(N, cuts)) {
      const place = [dy, packed, dx.pointer, geometry, inputs, outputs, groups, start ? 1 : 0] as const
      kernels.call('groupedBackwardInput', ...place, scratch, ...range)
    }
    expect(kernels.damagedGuards()).toBe(0)
    return dx.values.slice()
  }

  function backwardWeight(shape: Grouped, data: ConvolutionData, start: Float32Array, cuts: readonly number[] = []) {
    kernels.reset()
    const { N, C, O, groups } = shape
    const { inputs, outputs, bundles, taps } = sizes(shape)
    const x = kernels.floats(padRows(data.x, C, padded(C))).pointer
    const dy = kernels.floats(padRows(data.dy, O, padded(O))).pointer
    const dw = kernels.floats(start)
    const geometry = kernels.integers(geometryOf(shape))
    const scratch = kernels.scratch()
    for (const range of ranges(bundles * taps, cuts)) {
      const place = [x, dy, dw.pointer, N, geometry, inputs, outputs, groups] as const
      kernels.call('groupedBackwardWeight', ...place, scratch, ...range)
    }
    expect(kernels.damagedGuards()).toBe(0)
    return dw.values.slice()
  }

  const weightRows = (shape: Grouped) => sizes(shape).taps * sizes(shape).inputs

  test.each(shapes)('%s: forward agrees with the plain loop', (_, shape) => {
    const data = randomData(shape)
    const { O } = shape
    const plain = convolutionReference(shape, data.x, data.weight)
    for (const [activation, residual] of [
      [0, false],
      [2, true],
    ] as const) {
      const expected = plain.map((sum, i) =>
        activate(sum + at(data.bias, i % O) + (residual ? at(data.dy, i) : 0), activation),
      )
      const y = forward(shape, data, { activation, residual })
      expect(worstError(unpadRows(y, O, padded(O)), expected, roundingOfSum(weightRows(shape)))).toBeLessThanOrEqual(1)
      for (let i = 0; i < y.length; i++) if (i % padded(O) >= O) expect(y[i], 'padding lane').toBe(0)
    }
  })

  test.each(shapes)('%s: the gradients agree with the plain loops', (_, shape) => {
    const data = randomData(shape)
    const { N, C, OH, OW, O } = shape
    const [S, T] = [padded(C), padded(O)]
    const inputGradient = convolutionInputGradient(shape, data.dy, data.weight)
    const tolerance = roundingOfSum(sizes(shape).taps * sizes(shape).outputs)
    const dx = backwardInput(shape, data)
    expect(worstError(unpadRows(dx, C, S), inputGradient, tolerance)).toBeLessThanOrEqual(1)
    for (let i = 0; i < dx.length; i++) if (i % S >= C) expect(dx[i], 'padding lane').toBe(0)
    const before = randomFloats(inputGradient.length, 5)
    const added = backwardInput(shape, data, padRows(before, C, S))
    const sum = inputGradient.map((value, i) => value + at(before, i))
    expect(worstError(unpadRows(added, C, S), sum, tolerance)).toBeLessThanOrEqual(1)

    const weightGradient = convolutionWeightGradient(shape, data.x, data.dy)
    const weightBefore = randomFloats(weightGradient.length, 6)
    const dw = backwardWeight(shape, data, padRows(weightBefore, O, T))
    const expected = weightGradient.map((value, i) => value + at(weightBefore, i))
    expect(worstError(unpadRows(dw, O, T), expected, roundingOfSum(N * OH * OW))).toBeLessThanOrEqual(1)
    for (let i = 0; i < dw.length; i++) if (i % T >= O) expect(dw[i], 'padding lane').toBe(0)
  })

  test.each(shapes.filter(([, { C }]) => C < 100))('%s: the bits do not depend on cuts or company', (_, shape) => {
    const data = randomData(shape)
    const { N, H, W, C, OH, OW, O } = shape
    const y = bits(forward(shape, data))
    for (const cut of [1, 3, 4, 41, N * OH * OW - 1]) {
      expect(bits(forward(shape, data, { cuts: [cut] })), `forward cut at ${cut}`).toEqual(y)
    }
    const dx = bits(backwardInput(shape, data))
    expect(bits(backwardInput(shape, data, undefined, [1]))).toEqual(dx)
    const start = new Float32Array(weightRows(shape) * padded(O))
    const dw = bits(backwardWeight(shape, data, start))
    for (const cut of [1, 4, 9, 10]) expect(bits(backwardWeight(shape, data, start, [cut]))).toEqual(dw)

    if (N < 2) return
    const last = { ...shape, N: 1 }
    const alone = {
      ...data,
      x: Array.from(data.x).slice(-H * W * C),
      dy: Array.from(data.dy).slice(-OH * OW * O),
    }
    const lastOutput = bits(forward(last, alone))
    expect(lastOutput).toEqual(y.slice(-lastOutput.length))
    const lastGradient = bits(backwardInput(last, alone))
    expect(lastGradient).toEqual(dx.slice(-lastGradient.length))
  })

  describe.skipIf(!oracleExists)('recorded convolutions', () => {
    const cases = recordedConvolutions(({ groups = 1 }) => groups > 1)
    test.each(cases.map((recorded) => [recorded.name, recorded] as const))('%s agrees with PyTorch', (_, recorded) => {
      const shape = { groups: 1, ...recorded.shape }
      const { C, O } = shape
      const dw = backwardWeight(shape, recorded.data, new Float32Array(weightRows(shape) * padded(O)))
      const errors = recorded.errors({
        output: unpadRows(forward(shape, recorded.data), O, padded(O)),
        grad_x: unpadRows(backwardInput(shape, recorded.data), C, padded(C)),
        grad_weight: unpadRows(dw, O, padded(O)),
      })
      for (const [name, error] of Object.entries(errors)) expect(error, name).toBeLessThanOrEqual(1)
    })
  })
})
