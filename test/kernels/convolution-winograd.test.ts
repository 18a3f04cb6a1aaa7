import { describe, expect, test } from 'vitest'
import {
  type Convolution,
  convolutionInputGradient,
  convolutionReference,
  convolutionWeightGradient,
} from '../reference/convolution.ts'
import { activate } from '../reference/matmul.ts'
import { geometryOf } from '../support/convolution-geometry.ts'
import { at, bits, padded, padRows, randomFloats, unpadRows, worstError } from '../support/dense-data.ts'
import { kernelBuilds, loadDenseKernels } from '../support/dense-kernels.ts'
import { oracleExists } from '../support/read-oracle.ts'
import { type ConvolutionData, recordedConvolutions } from '../support/recorded-convolution.ts'
import { ranges } from '../support/values.ts'

const base: Convolution = {
  N: 2,
  H: 8,
  W: 8,
  C: 4,
  OH: 8,
  OW: 8,
  O: 8,
  kernel: [3, 3],
  stride: [1, 1],
  padTop: 1,
  padLeft: 1,
  dilation: [1, 1],
}
const small = { N: 1, H: 3, W: 2, OH: 3, OW: 2 } as const

const shapes: readonly (readonly [string, Convolution])[] = [
  ['whole tiles', base],
  ['cut tiles, odd channels', { ...base, H: 7, W: 9, OH: 7, OW: 9, C: 3, O: 5 }],
  ['one channel each', { ...base, H: 5, W: 6, OH: 5, OW: 6, C: 1, O: 1 }],
  ['a single pixel', { ...base, N: 3, H: 1, W: 1, OH: 1, OW: 1 }],
  ['two pixels', { ...base, H: 1, W: 2, OH: 1, OW: 2, C: 17, O: 12 }],
  ['no padding', { ...base, OH: 6, OW: 6, padTop: 0, padLeft: 0 }],
  ['no padding, one output', { ...base, H: 3, W: 3, OH: 1, OW: 1, padTop: 0, padLeft: 0, C: 9 }],
  ['padding below and right only', { ...base, padTop: 0, padLeft: 0 }],
  ['padding above only', { ...base, OH: 8, OW: 6, padTop: 2, padLeft: 0 }],
  ['wide padding', { ...base, H: 2, W: 3, OH: 10, OW: 9, padTop: 5, padLeft: 4 }],
  ['more channels than are transformed at once', { ...base, ...small, C: 70, O: 66 }],
  ['a narrow panel behind wide ones', { ...base, ...small, C: 6, O: 76 }],
  ['more channels than a stretch', { ...base, ...small, C: 1030, O: 8 }],
  ['strips of few tiles', { ...base, N: 2, H: 4, W: 12, OH: 4, OW: 12, C: 1100, O: 4 }],
  ['several strips', { ...base, N: 4, H: 12, W: 11, OH: 12, OW: 11, C: 200, O: 12 }],
  ['no image', { ...base, N: 0 }],
]

describe.each(kernelBuilds)('convolution by Winograd, %s build', (build) => {
  const kernels = loadDenseKernels(build, 64)

  function randomData({ N, H, W, C, OH, OW, O }: Convolution): ConvolutionData {
    return {
      x: randomFloats(N * H * W * C, 1),
      weight: randomFloats(9 * C * O, 2),
      dy: randomFloats(N * OH * OW * O, 3),
      bias: randomFloats(O, 4),
    }
  }

  interface Options {
    readonly activation?: number
    readonly start?: Float32Array
    readonly bias?: ArrayLike<number>
    readonly cuts?: readonly number[]
    /** The three stages one by one instead of all in strips. */
    readonly staged?: boolean
  }

  /** A convolution from x to y as the kernels see it, y as it lies in memory; what is in `start` is added. */
  function run(geometry: number[], x: ArrayLike<number>, weight: ArrayLike<number>, turned: 0 | 1, options: Options) {
    const [, , C = 0, S = 0, OH = 0, OW = 0, T = 0] = geometry
    kernels.reset()
    const images = C === 0 ? 0 : x.length / ((geometry[0] ?? 0) * (geometry[1] ?? 0) * C)
    const source = kernels.floats(padRows(x, C, S)).pointer
    // The weight lies as the forward convolution has it.
    const [I, O] = turned ? [weight.length / 9 / C, C] : [C, weight.length / 9 / C]
    const rows = kernels.floats(padRows(weight, O, padded(O))).pointer
    const [K, N] = turned ? [padded(O), padded(I)] : [I, padded(O)]
    const packed = kernels.floats(new Float32Array(36 * (Math.ceil((K * N) / 16) * 16 + 16)).fill(NaN)).pointer
    const scratch = kernels.scratch()
    for (const range of ranges(Math.ceil(N / 8), [1])) {
      kernels.call('winogradWeight', rows, I, padded(O), turned, packed, scratch, ...range)
    }
    const bias = options.bias ? kernels.floats(padRows(options.bias, options.bias.length, T)).pointer : 0
    const y = kernels.floats(options.start ?? new Float32Array(images * OH * OW * T).fill(NaN))
    const table = kernels.integers([...geometry.slice(0, 2), turned ? padded(C) : C, ...geometry.slice(3)])
    const residual = options.start ? y.pointer : 0
    const tiles = images * Math.ceil(OH / 4) * Math.ceil(OW / 4)
    const store = [y.pointer, bias, residual, options.activation ?? 0] as const
    const { cuts = [] } = options
    if (options.staged) {
      const v = kernels.floats(new Float32Array(36 * (tiles * S + 32)).fill(NaN)).pointer
      const m = kernels.floats(new Float32Array(36 * (tiles * T + 32)).fill(NaN)).pointer
      for (const range of ranges(tiles, cuts)) {
        kernels.call('winogradInput', source, v, S, tiles, table, scratch, ...range)
      }
      for (const range of ranges(36 * Math.ceil(T / 8), cuts)) {
        kernels.call('winogradMultiply', v, packed, m, tiles, K, S, T, ...range)
      }
      for (const range of ranges(tiles, cuts)) {
        kernels.call('winogradOutput', m, ...store, tiles, table, scratch, ...range)
      }
    } else {
      for (const range of ranges(tiles, cuts)) {
        kernels.call('winogradForward', source, packed, ...store, table, scratch, ...range)
      }
    }
    expect(kernels.damagedGuards()).toBe(0)
    return y.values.slice()
  }

  function forward(shape: Convolution, data: ConvolutionData, options: Options = {}) {
    return run(geometryOf(shape), data.x, data.weight, 0, { bias: data.bias, ...options })
  }

  function backwardInput(shape: Convolution, data: ConvolutionData, options: Options = {}) {
    const { H, W, C, OH, OW, O, padTop, padLeft } = shape
    const turned = [OH, OW, O, padded(O), H, W, padded(C), 3, 3, 1, 1, 2 - padTop, 2 - padLeft, 1, 1]
    return run(turned, data.dy, data.weight, 1, options)
  }

  /** dw as it lies in memory, [9·I, O'], added to `start`. */
  function backwardWeight(
    shape: Convolution,
    data: ConvolutionData,
    start: Float32Array,
    cuts: readonly number[] = [],
    apart = 16,
  ) {
    kernels.reset()
    const { N, C, OH, OW, O } = shape
    const [S, T] = [padded(C), padded(O)]
    const x = kernels.floats(padRows(data.x, C, S)).pointer
    const dy = kernels.floats(padRows(data.dy, O, T)).pointer
    const dw = kernels.floats(start)
    const table = kernels.integers(geometryOf(shape))
    const scratch = kernels.scratch()
    const tiles = N * Math.ceil(OH / 4) * Math.ceil(OW / 4)
    const [ldv, ldd] = [S + apart, T + apart]
    const v = kernels.floats(new Float32Array(36 * (tiles * ldv + 32)).fill(NaN)).pointer
    const d = kernels.floats(new Float32Array(36 * (tiles * ldd + 32)).fill(NaN)).pointer
    const sums = kernels.floats(new Float32Array(36 * (C * T + 32)).fill(NaN)).pointer
    for (const range of ranges(tiles, cuts)) {
      kernels.call('winogradInput', x, v, ldv, tiles, table, scratch, ...range)
      kernels.call('winogradOutputGradient', dy, d, ldd, tiles, table, scratch, ...range)
    }
    for (const range of ranges(36 * C, cuts)) {
      kernels.call('winogradMultiplyTransposed', v, ldv, d, ldd, sums, tiles, C, T, ...range)
    }
    for (const range of ranges(C, cuts)) {
      kernels.call('winogradWeightGradient', sums, dw.pointer, C, T, scratch, ...range)
    }
    expect(kernels.damagedGuards()).toBe(0)
    return dw.values.slice()
  }

  /** Sums of n products of values up to 1: roundings of the transforms, then those of ever larger partial sums. */
  const tolerance = (n: number) => ({ absolute: 2 ** -23 * (24 * Math.sqrt(n + 1) + n), relative: 0 })

  test.each(shapes)('%s: forward agrees with the plain loop', (_, shape) => {
    const data = randomData(shape)
    const { C, O } = shape
    const plain = convolutionReference(shape, data.x, data.weight)
    for (const staged of [false, true]) {
      for (const [activation, residual] of [
        [0, false],
        [2, true],
      ] as const) {
        const expected = plain.map((sum, i) =>
          activate(sum + at(data.bias, i % O) + (residual ? at(data.dy, i) : 0), activation),
        )
        const start = residual ? { start: padRows(data.dy, O, padded(O)) } : {}
        const y = forward(shape, data, { activation, staged, ...start })
        expect(worstError(unpadRows(y, O, padded(O)), expected, tolerance(9 * C))).toBeLessThanOrEqual(1)
        for (let i = 0; i < y.length; i++) if (i % padded(O) >= O) expect(y[i], 'padding lane').toBe(0)
      }
    }
  })

  test.each(shapes)('%s: the gradient of the input agrees with the plain loop', (_, shape) => {
    const data = randomData(shape)
    const { C, O } = shape
    const S = padded(C)
    const expected = convolutionInputGradient(shape, data.dy, data.weight)
    const before = randomFloats(expected.length, 5)
    const sum = expected.map((value, i) => value + at(before, i))
    for (const staged of [false, true]) {
      const dx = backwardInput(shape, data, { staged })
      expect(worstError(unpadRows(dx, C, S), expected, tolerance(9 * O))).toBeLessThanOrEqual(1)
      for (let i = 0; i < dx.length; i++) if (i % S >= C) expect(dx[i], 'padding lane').toBe(0)
      const added = backwardInput(shape, data, { staged, start: padRows(before, C, S) })
      expect(worstError(unpadRows(added, C, S), sum, tolerance(9 * O))).toBeLessThanOrEqual(1)
    }
  })

  test.each(shapes)('%s: the gradient of the weight agrees with the plain loop', (_, shape) => {
    const data = randomData(shape)
    const { N, OH, OW, O } = shape
    const product = convolutionWeightGradient(shape, data.x, data.dy)
    const before = randomFloats(product.length, 6)
    const expected = product.map((value, i) => value + at(before, i))
    const dw = backwardWeight(shape, data, padRows(before, O, padded(O)))
    expect(worstError(unpadRows(dw, O, padded(O)), expected, tolerance(N * OH * OW))).toBeLessThanOrEqual(1)
    for (let i = 0; i < dw.length; i++) if (i % padded(O) >= O) expect(dw[i], 'padding lane').toBe(0)
  })

  test.each(shapes)('%s: the bits depend neither on cuts nor strips nor company', (_, shape) => {
    const data = randomData(shape)
    const { N, H, W, C, OH, OW, O } = shape
    const y = bits(forward(shape, data))
    const tiles = N * Math.ceil(OH / 4) * Math.ceil(OW / 4)
    for (const cut of [1, 2, 5, tiles - 3, tiles - 1]) {
      expect(bits(forward(shape, data, { cuts: [cut] })), `cut at ${cut}`).toEqual(y)
      expect(bits(forward(shape, data, { cuts: [cut], staged: true })), `staged, cut at ${cut}`).toEqual(y)
    }
    const start = new Float32Array(9 * C * padded(O))
    const dw = bits(backwardWeight(shape, data, start))
    for (const cut of [1, 5, 9 * C, tiles - 1]) {
      expect(bits(backwardWeight(shape, data, start, [cut], 0)), `weight, cut at ${cut}`).toEqual(dw)
    }
    for (let image = 0; image < N; image++) {
      const x = Array.from(data.x).slice(image * H * W * C, (image + 1) * H * W * C)
      const alone = bits(forward({ ...shape, N: 1 }, { ...data, x }))
      expect(alone).toEqual(y.slice(image * alone.length, (image + 1) * alone.length))
    }
  })

  test('what is not a number stays so, and only in the tiles that see it', () => {
    const shape = { ...base, N: 1, C: 4, O: 4 }
    const data = randomData(shape)
    const x = Float32Array.from(data.x)
    // The pixel in row 6, column 6 is seen from rows and columns 5 to 7, in the last tile.
    x[(6 * 8 + 6) * 4] = NaN
    for (const activation of [0, 1, 2]) {
      const y = forward(shape, { ...data, x }, { activation })
      const spoiled = [...y.keys()].filter((i) => Number.isNaN(y[i])).map((i) => Math.floor(i / 4))
      for (const pixel of [5 * 8 + 5, 5 * 8 + 7, 6 * 8 + 6, 7 * 8 + 7]) expect(spoiled).toContain(pixel)
      expect(spoiled.every((pixel) => pixel % 8 >= 4 && pixel >= 4 * 8)).toBe(true)
    }
  })

  describe.skipIf(!oracleExists)('recorded convolutions', () => {
    const cases = recordedConvolutions(
      ({ groups, kernel, stride, dilation }) =>
        groups === 1 && `${kernel}` === '3,3' && `${stride}` === '1,1' && `${dilation}` === '1,1',
    )
    test.each(cases.map((recorded) => [recorded.name, recorded] as const))('%s agrees with PyTorch', (_, recorded) => {
      const { shape, data } = recorded
      const { C, O } = shape
      const errors = recorded.errors({
        output: unpadRows(forward(shape, data), O, padded(O)),
        grad_x: unpadRows(backwardInput(shape, data), C, padded(C)),
        grad_weight: unpadRows(backwardWeight(shape, data, new Float32Array(9 * C * padded(O))), O, padded(O)),
      })
      for (const [name, error] of Object.entries(errors)) expect(error, name).toBeLessThanOrEqual(1)
    })
  })

  // The bounds that assembly/convolution/winograd.ts states.
  test.each([
    [64, 8e-6],
    [128, 1.2e-5],
    [256, 2e-5],
    [512, 3e-5],
  ])('at %i channels no output of unit variance is off by more than %f', (channels, bound) => {
    const shape = { ...base, N: 1, C: channels, O: channels }
    // Uniform between -1 and 1 has variance 1/3.
    const x = randomFloats(64 * channels, 11).map((value) => value * Math.sqrt(3))
    const weight = randomFloats(9 * channels * channels, 12).map((value) => value * Math.sqrt(3 / (9 * channels)))
    const data = { x, weight, dy: x, bias: new Float32Array(channels) }
    const tolerance = { absolute: bound, relative: 0 }
    expect(worstError(forward(shape, data), onEightByEight(x, weight, channels), tolerance)).toBeLessThanOrEqual(1)
    const gradient = onEightByEight(x, turned(weight, channels), channels)
    expect(worstError(backwardInput(shape, data), gradient, tolerance)).toBeLessThanOrEqual(1)
  })

  test.each([
    [8, 16, 64],
    [40, 16, 24],
    [56, 8, 8],
  ])('over %i pixels squared no gradient of unit variance of a weight is off by more than 2e-5', (size, C, O) => {
    const shape = { ...base, H: size, W: size, OH: size, OW: size, C, O }
    const pixels = shape.N * size * size
    const x = randomFloats(pixels * C, 13).map((value) => value * Math.sqrt(3))
    const dy = randomFloats(pixels * O, 14).map((value) => value * Math.sqrt(3 / pixels))
    const expected = convolutionWeightGradient(shape, x, dy)
    expect(Math.sqrt(expected.reduce((sum, value) => sum + value ** 2, 0) / expected.length)).toBeGreaterThan(0.8)
    const dw = backwardWeight(shape, { x, dy, weight: [], bias: [] }, new Float32Array(9 * C * O))
    expect(worstError(dw, expected, { absolute: 2e-5, relative: 0 })).toBeLessThanOrEqual(1)
  })
})

/** 3x3 with padding 1 over 8x8 pixels, in float64: the plain loop, without its detours, for many channels. */
function onEightByEight(x: Float32Array, weight: Float32Array, channels: number): Float64Array {
  const y = new Float64Array(64 * channels)
  for (let pixel = 0; pixel < 64; pixel++) {
    for (let tap = 0; tap < 9; tap++) {
      const row = (pixel >> 3) + Math.floor(tap / 3) - 1
      const column = (pixel & 7) + (tap % 3) - 1
      if (row < 0 || row > 7 || column < 0 || column > 7) continue
      for (let i = 0; i < channels; i++) {
        const value = at(x, (row * 8 + column) * channels + i)
        const weights = (tap * channels + i) * channels
        // NaN where an index leaves its array, which no bound allows.
        for (let o = 0; o < channels; o++) {
          y[pixel * channels + o] = (y[pixel * channels + o] ?? NaN) + value * (weight[weights + o] ?? NaN)
        }
      }
    }
  }
  return y
}

/** The weight of the gradient of the input: turned around, input and output exchanged. */
function turned(weight: Float32Array, channels: number): Float32Array {
  const result = new Float32Array(weight.length)
  for (let tap = 0; tap < 9; tap++) {
    for (let i = 0; i < channels; i++) {
      for (let o = 0; o < channels; o++) {
        result[((8 - tap) * channels + o) * channels + i] = at(weight, (tap * channels + i) * channels + o)
      }
    }
  }
  return result
}
