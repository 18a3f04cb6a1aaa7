import { describe, expect, test } from 'vitest'
import {
  type DepthwiseShape,
  depthwise,
  depthwiseGeometry,
  depthwiseInputGradient,
  depthwiseWeightGradient,
  outputSize,
} from '../reference/depthwise.ts'
import { Bench, builds } from '../support/kernels.ts'
import { channelsFirst, channelsLast, hasOracle, type OracleCase, oracleCases } from '../support/oracle.ts'
import { dot, excess, noise, numericalGradient, pad, padded, padding, ranges, unpad } from '../support/values.ts'

interface Options {
  readonly bias?: Float32Array
  readonly activation?: number
  readonly before?: Float32Array
  readonly cuts?: readonly number[]
  /** Of x, before it is used: scales, then shifts. */
  readonly scaleShift?: Float32Array
}

/** Rounding of a sum of K products of numbers up to 1. */
const sumOf = (K: number): number => K * 2 ** -23

function forward(bench: Bench, shape: DepthwiseShape, x: Float32Array, weight: Float32Array, options: Options = {}) {
  const [OH, OW] = outputSize(shape)
  const [xAt, weightAt] = [bench.place(pad(x, shape.C)), bench.place(pad(weight, shape.C))]
  const bias = options.bias ? bench.place(pad(options.bias, shape.C)) : 0
  const geometry = bench.place(depthwiseGeometry(shape))
  const count = shape.N * OH * OW * padded(shape.C)
  const y = bench.room(count)
  for (const [from, to] of ranges(shape.N * OH, options.cuts ?? []))
    bench.run('depthwiseForward', xAt, weightAt, y, bias, options.activation ?? 0, geometry, from, to)
  return bench.floats(y, count)
}

function inputGradient(
  bench: Bench,
  shape: DepthwiseShape,
  dy: Float32Array,
  weight: Float32Array,
  options: Options = {},
) {
  const count = shape.N * shape.H * shape.W * padded(shape.C)
  const [dyAt, weightAt] = [bench.place(pad(dy, shape.C)), bench.place(pad(weight, shape.C))]
  const geometry = bench.place(depthwiseGeometry(shape))
  const dx = options.before ? bench.place(pad(options.before, shape.C)) : bench.room(count)
  for (const [from, to] of ranges(shape.N * shape.H, options.cuts ?? []))
    bench.run('depthwiseBackwardInput', dyAt, weightAt, dx, geometry, options.before ? 1 : 0, from, to)
  return bench.floats(dx, count)
}

function weightGradient(bench: Bench, shape: DepthwiseShape, x: Float32Array, dy: Float32Array, options: Options = {}) {
  const count = shape.kernel[0] * shape.kernel[1] * padded(shape.C)
  const [xAt, dyAt] = [bench.place(pad(x, shape.C)), bench.place(pad(dy, shape.C))]
  const geometry = bench.place(depthwiseGeometry(shape))
  const dw = bench.place(pad(options.before ?? new Float32Array(shape.kernel[0] * shape.kernel[1] * shape.C), shape.C))
  const scratch = bench.room(1 << 18)
  const { scaleShift, activation = 0 } = options
  const normalisation = [scaleShift ? bench.place(pad(scaleShift, shape.C)) : 0, activation] as const
  for (const [from, to] of ranges(padded(shape.C) / 4, options.cuts ?? []))
    bench.run('depthwiseBackwardWeight', xAt, ...normalisation, dyAt, dw, shape.N, geometry, scratch, from, to)
  return bench.floats(dw, count)
}

function data(shape: DepthwiseShape) {
  const [OH, OW] = outputSize(shape)
  return {
    x: noise(shape.N * shape.H * shape.W * shape.C, 1),
    weight: noise(shape.kernel[0] * shape.kernel[1] * shape.C, 2),
    bias: noise(shape.C, 3),
    dy: noise(shape.N * OH * OW * shape.C, 4),
  }
}

function shapeOf(
  size: readonly [number, number, number, number],
  kernel: readonly [number, number],
  stride: readonly [number, number],
  padTopBottomLeftRight: readonly [number, number, number, number],
  dilation: readonly [number, number] = [1, 1],
): DepthwiseShape {
  const [N, H, W, C] = size
  return { N, H, W, C, kernel, stride, pad: padTopBottomLeftRight, dilation }
}

const three = [3, 3] as const
const one = [1, 1] as const
const two = [2, 2] as const
const around = [1, 1, 1, 1] as const
const same = [0, 1, 0, 1] as const
const none = [0, 0, 0, 0] as const

const shapes: readonly DepthwiseShape[] = [
  ...[1, 2, 3, 4, 5, 7, 16, 17, 40].map((W) => shapeOf([2, 5, W, 5], three, one, around)),
  ...[1, 2, 3].map((H) => shapeOf([2, H, 6, 8], three, one, around)),
  ...[1, 2, 3, 4, 5, 8, 9, 34, 35].map((W) => shapeOf([2, 6, W, 5], three, two, around)),
  ...[1, 2, 3, 4, 5].map((H) => shapeOf([2, H, 9, 4], three, two, around)),
  ...[2, 3, 4, 5, 8, 9, 32].map((W) => shapeOf([2, 7, W, 3], three, two, same)),
  ...[2, 3, 4, 5].map((H) => shapeOf([1, H, 6, 3], three, two, same)),
  shapeOf([2, 6, 7, 5], three, one, none),
  shapeOf([1, 3, 3, 4], three, one, none),
  shapeOf([2, 7, 9, 5], three, two, none),
  shapeOf([2, 5, 6, 5], three, one, [2, 2, 2, 2]),
  shapeOf([2, 5, 6, 5], three, one, [1, 0, 0, 1]),
  shapeOf([2, 5, 6, 5], three, two, [2, 3, 3, 2]),
  shapeOf([2, 8, 9, 5], three, two, [0, 2, 1, 0]),
  shapeOf([2, 8, 9, 5], three, [1, 2], around),
  shapeOf([2, 8, 9, 5], three, [2, 1], around),
  shapeOf([2, 7, 8, 6], three, [3, 3], around),
  shapeOf([2, 9, 11, 6], [5, 5], one, [2, 2, 2, 2]),
  shapeOf([2, 9, 12, 6], [5, 5], two, [2, 2, 2, 2]),
  shapeOf([2, 9, 12, 6], [5, 5], two, [1, 2, 1, 2]),
  shapeOf([1, 9, 8, 4], [7, 7], one, [3, 3, 3, 3]),
  shapeOf([2, 8, 10, 5], three, one, [2, 2, 2, 2], [2, 2]),
  shapeOf([2, 8, 10, 5], three, two, [2, 2, 2, 2], [2, 2]),
  shapeOf([1, 6, 5, 2], [1, 1], one, none),
  shapeOf([1, 6, 8, 2], [1, 1], two, none),
  shapeOf([1, 6, 8, 2], [2, 3], [2, 1], [0, 1, 1, 1]),
  // Wide and deep enough for several tiles of columns.
  shapeOf([1, 4, 61, 132], three, one, around),
  shapeOf([1, 5, 61, 132], three, two, around),
]

const named = shapes.map((shape) => ({
  shape,
  name: `${[shape.N, shape.H, shape.W, shape.C].join('x')} k${shape.kernel} s${shape.stride} p${shape.pad} d${shape.dilation}`,
}))

describe.each(builds)('depthwise convolution (%s)', (build) => {
  const bench = new Bench(build)

  test.each(named)('$name agrees with the plain loop, forward and backward', ({ shape }) => {
    bench.clear()
    const { x, weight, bias, dy } = data(shape)
    const K = shape.kernel[0] * shape.kernel[1]
    const [OH, OW] = outputSize(shape)

    const y = forward(bench, shape, x, weight, { bias })
    expect(excess(unpad(y, shape.C), depthwise(shape, x, weight, bias))).toBeLessThan(sumOf(K + 1))
    expect(padding(y, shape.C).every((value) => value === 0)).toBe(true)

    const dx = inputGradient(bench, shape, dy, weight)
    expect(excess(unpad(dx, shape.C), depthwiseInputGradient(shape, dy, weight))).toBeLessThan(sumOf(K))
    expect(padding(dx, shape.C).every((value) => value === 0)).toBe(true)

    const dw = weightGradient(bench, shape, x, dy)
    const tolerance = sumOf(Math.sqrt(shape.N * OH * OW) * 4)
    expect(excess(unpad(dw, shape.C), depthwiseWeightGradient(shape, x, dy))).toBeLessThan(tolerance)
    expect(padding(dw, shape.C).every((value) => value === 0)).toBe(true)
    expect(bench.guardsIntact()).toBe(true)
  })

  test.each(named)('$name: gradients are added to what is there if asked', ({ shape }) => {
    bench.clear()
    const { x, weight, dy } = data(shape)
    const before = noise(x.length, 5)
    const dx = inputGradient(bench, shape, dy, weight, { before })
    const expected = depthwiseInputGradient(shape, dy, weight).map((value, i) => value + (before[i] ?? Number.NaN))
    expect(excess(unpad(dx, shape.C), expected)).toBeLessThan(sumOf(shape.kernel[0] * shape.kernel[1] + 1))

    const weightBefore = noise(weight.length, 6)
    const dw = weightGradient(bench, shape, x, dy, { before: weightBefore })
    const total = depthwiseWeightGradient(shape, x, dy).map((value, i) => value + (weightBefore[i] ?? Number.NaN))
    expect(excess(unpad(dw, shape.C), total)).toBeLessThan(sumOf(200))
    expect(bench.guardsIntact()).toBe(true)
  })

  test.each(named)('$name has the same bits however its rows are cut and wherever its image stands', ({ shape }) => {
    bench.clear()
    const { x, weight, bias, dy } = data(shape)
    const cuts = Array.from({ length: 40 }, (_, i) => i)
    expect(forward(bench, shape, x, weight, { bias, cuts })).toEqual(forward(bench, shape, x, weight, { bias }))
    expect(inputGradient(bench, shape, dy, weight, { cuts })).toEqual(inputGradient(bench, shape, dy, weight))
    expect(weightGradient(bench, shape, x, dy, { cuts })).toEqual(weightGradient(bench, shape, x, dy))

    const last = { ...shape, N: 1 }
    const whole = forward(bench, shape, x, weight, { bias })
    const alone = forward(bench, last, x.slice(-x.length / shape.N), weight, { bias })
    expect(alone).toEqual(whole.slice(-alone.length))
    const wholeGradient = inputGradient(bench, shape, dy, weight)
    const aloneGradient = inputGradient(bench, last, dy.slice(-dy.length / shape.N), weight)
    expect(aloneGradient).toEqual(wholeGradient.slice(-aloneGradient.length))
  })

  // The last ones have more rows than scratch memory holds.
  test.each([
    ...named,
    { name: 'tall, stride 1', shape: shapeOf([1, 75, 61, 132], three, one, around) },
    { name: 'tall, stride 2', shape: shapeOf([2, 75, 61, 132], [5, 5], two, [2, 2, 2, 2]) },
  ])('$name: the gradient of the weight normalises x on the way, with the same bits', ({ shape }) => {
    const { x, dy } = data(shape)
    const scaleShift = noise(2 * shape.C, 7)
    for (const activation of [0, 2]) {
      bench.clear()
      const S = padded(shape.C)
      const y = bench.place(pad(x, shape.C))
      const pixels = x.length / shape.C
      bench.run('scaleShift', y, y, S, bench.place(pad(scaleShift, shape.C)), activation, 0, pixels)
      const normalised = unpad(bench.floats(y, pixels * S), shape.C)
      const expected = weightGradient(bench, shape, normalised, dy)
      expect(weightGradient(bench, shape, x, dy, { scaleShift, activation })).toEqual(expected)
      expect(weightGradient(bench, shape, x, dy, { scaleShift, activation, cuts: [1] })).toEqual(expected)
      expect(bench.guardsIntact()).toBe(true)
    }
  })

  test.each([
    shapeOf([1, 5, 9, 4], three, one, around),
    shapeOf([1, 6, 9, 4], three, two, around),
    shapeOf([1, 6, 9, 4], [5, 5], one, [2, 2, 2, 2]),
  ])('relu and relu6 clamp the output and let NaN through (stride $stride, kernel $kernel)', (shape) => {
    bench.clear()
    const { x, weight, bias } = data(shape)
    const big = x.map((value) => value * 10)
    const plain = forward(bench, shape, big, weight, { bias })
    const relu = forward(bench, shape, big, weight, { bias, activation: 1 })
    const relu6 = forward(bench, shape, big, weight, { bias, activation: 2 })
    expect(relu).toEqual(plain.map((value) => Math.max(value, 0)))
    expect(relu6).toEqual(plain.map((value) => Math.min(6, Math.max(value, 0))))
    expect(plain.some((value) => value > 6) && plain.some((value) => value < 0)).toBe(true)

    const poisoned = new Float32Array(x.length)
    poisoned[0] = Number.NaN
    for (const activation of [0, 1, 2]) {
      const y = forward(bench, shape, poisoned, weight, { activation })
      expect(y[0]).toBeNaN()
      expect(y[1]).not.toBeNaN()
    }
  })

  test.each([one, two])('an infinity outside the window leaves no trace (stride %s)', (...stride) => {
    bench.clear()
    const shape = shapeOf([1, 4, 6, 4], three, [stride[0] ?? 1, stride[1] ?? 1], around)
    const { weight, bias } = data(shape)
    const x = new Float32Array(4 * 6 * 4)
    x[0] = Number.POSITIVE_INFINITY
    const y = forward(bench, shape, x, weight, { bias })
    expect(y.filter((value) => Number.isNaN(value))).toHaveLength(0)
    expect(y.filter((value) => !Number.isFinite(value))).toHaveLength(stride[0] === 1 ? 4 : 1)
  })
})

describe('the plain loops of depthwise convolution', () => {
  test.each([
    shapeOf([1, 4, 5, 2], three, one, around),
    shapeOf([1, 5, 4, 2], three, two, same),
    shapeOf([1, 5, 6, 1], [5, 3], [2, 1], [2, 1, 1, 0], [1, 2]),
  ])('have the gradients of finite differences', (shape) => {
    const { x, weight, dy } = data(shape)
    const dx = numericalGradient((moved) => dot(depthwise(shape, moved, weight), dy), Float64Array.from(x))
    const dw = numericalGradient((moved) => dot(depthwise(shape, x, moved), dy), Float64Array.from(weight))
    expect(excess(depthwiseInputGradient(shape, dy, weight), dx)).toBeLessThan(1e-8)
    expect(excess(depthwiseWeightGradient(shape, x, dy), dw)).toBeLessThan(1e-8)
  })
})

describe.skipIf(!hasOracle).each(builds)('depthwise convolution against recorded PyTorch results (%s)', (build) => {
  const bench = new Bench(build)

  function shapeOfCase(recorded: OracleCase): DepthwiseShape {
    const [N = 0, C = 0, H = 0, W = 0] = recorded.tensor('x').shape
    const [kh = 0, kw = 0] = recorded.numbers('kernel')
    const [sh = 0, sw = 0] = recorded.numbers('stride')
    const [dh = 0, dw = 0] = recorded.numbers('dilation')
    const [top = 0, bottom = 0, left = 0, right = 0] = recorded.numbers('padding_top_bottom_left_right')
    return shapeOf([N, H, W, C], [kh, kw], [sh, sw], [top, bottom, left, right], [dh, dw])
  }

  test.each(oracleCases(/^conv2d_(tiles_)?depthwise(?!_mult2)/))('$name', (recorded) => {
    bench.clear()
    const shape = shapeOfCase(recorded)
    const { N, H, W, C } = shape
    const [OH, OW] = outputSize(shape)
    const x = channelsLast(recorded.tensor('x'))
    const dy = channelsLast(recorded.tensor('cotangent'))
    const taps = shape.kernel[0] * shape.kernel[1]
    // [C, 1, kh, kw] to [kh·kw, C]: the same turn as from [1, C, pixels] to [pixels, C].
    const weight = channelsLast({ shape: [1, C, taps], values: recorded.tensor('weight').values })
    const bias = recorded.has('bias') ? { bias: Float32Array.from(recorded.tensor('bias').values) } : {}
    const y = unpad(forward(bench, shape, x, weight, bias), C)
    expect(recorded.excess('output', channelsFirst(y, N, C, OH * OW))).toBeLessThanOrEqual(0)
    const dx = unpad(inputGradient(bench, shape, dy, weight), C)
    expect(recorded.excess('grad_x', channelsFirst(dx, N, C, H * W))).toBeLessThanOrEqual(0)
    const dw = unpad(weightGradient(bench, shape, x, dy), C)
    expect(recorded.excess('grad_weight', channelsFirst(dw, 1, C, taps))).toBeLessThanOrEqual(0)
  })
})
