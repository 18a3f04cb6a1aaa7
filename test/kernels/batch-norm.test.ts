import { describe, expect, test } from 'vitest'
import { batchNorm, batchNormGradients, batchStatistics } from '../reference/batch-norm.ts'
import { Bench, builds } from '../support/kernels.ts'
import { channelsFirst, channelsLast, hasOracle, oracleCases } from '../support/oracle.ts'
import { dot, excess, noise, numericalGradient, pad, padded, padding, ranges, unpad } from '../support/values.ts'

interface Settings {
  readonly C: number
  readonly epsilon: number
  readonly momentum?: number
  /** Running statistics are used, not those of the batch. */
  readonly fixed?: boolean
  readonly activation?: number
  readonly gamma?: Float32Array
  readonly beta?: Float32Array
  readonly runningMean: Float32Array
  readonly runningVariance: Float32Array
  /** What dx, dGamma and dBeta are added to. */
  readonly before?: Float32Array
  readonly cuts?: readonly number[]
  /** Rows of a block; 256 when left out. */
  readonly block?: number
}

/** The whole way of a layer: statistics, forward, backward. Everything without padding. */
function train(bench: Bench, x: Float32Array, dy: Float32Array, settings: Settings) {
  const { C, activation = 0, momentum = 0.1, cuts = [], before, block = 256 } = settings
  const S = padded(C)
  const M = x.length / C
  const blocks = Math.ceil(M / block)
  const optional = (values?: Float32Array): number => (values ? bench.place(pad(values, C)) : 0)
  const [xAt, dyAt] = [bench.place(pad(x, C)), bench.place(pad(dy, C))]
  const [gamma, beta] = [optional(settings.gamma), optional(settings.beta)]
  const [runningMean, runningVariance] = [optional(settings.runningMean), optional(settings.runningVariance)]
  const [partials, scaleShift, saved, y] = [
    bench.room(blocks * 2 * S),
    bench.room(2 * S),
    bench.room(4 * S),
    bench.room(M * S),
  ]
  const cut = (count: number, run: (from: number, to: number) => void): void => {
    for (const [from, to] of ranges(count, cuts)) run(from, to)
  }

  if (settings.fixed) {
    const values = [gamma, beta, runningMean, runningVariance, S, settings.epsilon, scaleShift, saved] as const
    cut(S / 4, (from, to) => bench.run('batchNormFixed', ...values, from, to))
  } else {
    cut(blocks, (from, to) => bench.run('batchNormStatistics', xAt, S, M, block, partials, from, to))
    const running = [runningMean, runningVariance, momentum, settings.epsilon, 1] as const
    const values = [partials, M, block, S, gamma, beta, ...running, scaleShift, saved] as const
    cut(S / 4, (from, to) => bench.run('batchNormFinish', ...values, from, to))
  }
  cut(M, (from, to) => bench.run('scaleShift', xAt, y, S, scaleShift, activation, from, to))

  const sums = bench.room(blocks * 2 * S)
  const coefficients = bench.room(6 * S)
  const start = pad(before?.subarray(0, C) ?? new Float32Array(C), C)
  const [dGamma, dBeta] = [bench.place(start), bench.place(start)]
  const dx = before ? bench.place(pad(before, C)) : bench.room(M * S)
  cut(blocks, (from, to) => bench.run('batchNormReduce', xAt, dyAt, S, M, block, saved, activation, sums, from, to))
  const finish = [sums, M, block, S, gamma, saved, dGamma, dBeta, coefficients, settings.fixed ? 0 : 1] as const
  cut(S / 4, (from, to) => bench.run('batchNormBackwardFinish', ...finish, from, to))
  const backward = [xAt, dyAt, dx, S, coefficients, activation, before ? 1 : 0] as const
  cut(M, (from, to) => bench.run('batchNormBackwardInput', ...backward, from, to))

  const [yPadded, dxPadded] = [bench.floats(y, M * S), bench.floats(dx, M * S)]
  const vector = (pointer: number): Float32Array => bench.floats(pointer, C)
  // Mean, inverse, scale and shift of four channels lie together.
  const table = bench.floats(saved, 4 * S)
  const ofTable = (row: number) =>
    Float32Array.from({ length: C }, (_, c) => table[(c >> 2) * 16 + row * 4 + (c & 3)] ?? NaN)
  return {
    y: unpad(yPadded, C),
    dx: unpad(dxPadded, C),
    padding: [...padding(yPadded, C), ...padding(dxPadded, C)],
    mean: ofTable(0),
    inverse: ofTable(1),
    dGamma: vector(dGamma),
    dBeta: vector(dBeta),
    runningMean: vector(runningMean),
    runningVariance: vector(runningVariance),
  }
}

function settingsOf(C: number, more: Partial<Settings> = {}): Settings {
  return {
    C,
    epsilon: 1e-5,
    gamma: noise(C, 11).map((value) => 1 + value / 2),
    beta: noise(C, 12),
    runningMean: noise(C, 13),
    runningVariance: noise(C, 14).map((value) => 1 + value / 2),
    ...more,
  }
}

const sizes: readonly [M: number, C: number][] = [
  ...([1, 2, 3, 4, 5, 7, 8, 9, 16, 17] as const).map((M): [number, number] => [M, 5]),
  [255, 3],
  [256, 4],
  [257, 6],
  [1000, 9],
  [600, 64],
  [300, 68],
  [270, 131],
  [260, 523],
]

describe.each(builds)('batch normalisation (%s)', (build) => {
  const bench = new Bench(build)

  test.each(sizes)('%i rows of %i channels agree with the plain loop, forward and backward', (M, C) => {
    bench.clear()
    const x = noise(M * C, 1).map((value) => value * 2 + 0.7)
    const dy = noise(M * C, 2)
    // One row has no variance: a large epsilon keeps the problem well conditioned.
    const settings = settingsOf(C, { epsilon: M < 4 ? 0.1 : 1e-5 })
    const statistics = batchStatistics(x, C)
    const got = train(bench, x, dy, settings)
    expect(excess(got.mean, statistics.mean, 1e-6)).toBeLessThan(1e-6)
    const y = batchNorm(x, statistics, settings.epsilon, settings.gamma, settings.beta)
    expect(excess(got.y, y, 2e-6)).toBeLessThan(5e-6)
    const gradients = batchNormGradients(x, dy, statistics, settings.epsilon, true, settings.gamma)
    expect(excess(got.dx, gradients.dx, 1e-5)).toBeLessThan(1e-5)
    expect(excess(got.dGamma, gradients.dGamma, 1e-5)).toBeLessThan(2e-5)
    expect(excess(got.dBeta, gradients.dBeta, 1e-5)).toBeLessThan(2e-5)
    const unbiased = statistics.variance.map((value, c) => {
      return 0.9 * (settings.runningVariance[c] ?? 0) + (0.1 * value * M) / Math.max(M - 1, 1)
    })
    expect(excess(got.runningVariance, unbiased, 1e-6)).toBeLessThan(1e-6)
    expect(got.padding.every((value) => value === 0)).toBe(true)
    expect(bench.guardsIntact()).toBe(true)
  })

  test.each([1, 49, 224])('blocks of %i rows agree with the plain loop', (block) => {
    bench.clear()
    const [M, C] = [500, 6]
    const x = noise(M * C, 1).map((value) => value * 2 + 0.7)
    const dy = noise(M * C, 2)
    const settings = settingsOf(C, { block })
    const statistics = batchStatistics(x, C)
    const got = train(bench, x, dy, settings)
    expect(excess(got.y, batchNorm(x, statistics, 1e-5, settings.gamma, settings.beta), 2e-6)).toBeLessThan(5e-6)
    const gradients = batchNormGradients(x, dy, statistics, 1e-5, true, settings.gamma)
    expect(excess(got.dx, gradients.dx, 1e-5)).toBeLessThan(1e-5)
    expect(excess(got.dGamma, gradients.dGamma, 1e-5)).toBeLessThan(2e-5)
    expect(bench.guardsIntact()).toBe(true)
  })

  test('running statistics normalise and are left alone where they are fixed', () => {
    bench.clear()
    const [M, C] = [300, 7]
    const [x, dy] = [noise(M * C, 1), noise(M * C, 2)]
    const settings = settingsOf(C, { fixed: true })
    const statistics = {
      mean: Float64Array.from(settings.runningMean),
      variance: Float64Array.from(settings.runningVariance),
    }
    const got = train(bench, x, dy, settings)
    expect(excess(got.y, batchNorm(x, statistics, 1e-5, settings.gamma, settings.beta))).toBeLessThan(2e-6)
    const gradients = batchNormGradients(x, dy, statistics, 1e-5, false, settings.gamma)
    expect(excess(got.dx, gradients.dx)).toBeLessThan(1e-6)
    expect(excess(got.dGamma, gradients.dGamma, 1e-5)).toBeLessThan(1e-5)
    expect(got.runningMean).toEqual(settings.runningMean)
    expect(got.runningVariance).toEqual(settings.runningVariance)
  })

  test.each([1, 2])('activation %i gates the gradient where it clamped', (activation) => {
    bench.clear()
    const [M, C] = [259, 6]
    const [x, dy] = [noise(M * C, 1), noise(M * C, 2)]
    const settings = settingsOf(C, { activation, gamma: new Float32Array(C).fill(4) })
    const statistics = batchStatistics(x, C)
    const plain = batchNorm(x, statistics, 1e-5, settings.gamma, settings.beta)
    const top = activation === 2 ? 6 : Number.POSITIVE_INFINITY
    const got = train(bench, x, dy, settings)
    const clamped = plain.map((value) => Math.min(Math.max(value, 0), top))
    expect(excess(got.y, clamped)).toBeLessThan(1e-5)
    expect(clamped.includes(0) && (activation === 1 || clamped.includes(6))).toBe(true)
    const through = dy.map((value, i) => ((plain[i] ?? 0) > 0 && (plain[i] ?? 0) < top ? value : 0))
    const gradients = batchNormGradients(x, through, statistics, 1e-5, true, settings.gamma)
    expect(excess(got.dx, gradients.dx, 1e-5)).toBeLessThan(2e-5)
    expect(excess(got.dGamma, gradients.dGamma, 1e-5)).toBeLessThan(2e-5)
  })

  test('gradients are added to what is there if asked', () => {
    bench.clear()
    const [M, C] = [261, 5]
    const [x, dy, before] = [noise(M * C, 1), noise(M * C, 2), noise(M * C, 3)]
    const plain = train(bench, x, dy, settingsOf(C))
    const added = train(bench, x, dy, settingsOf(C, { before }))
    expect(
      excess(
        added.dx,
        plain.dx.map((value, i) => value + (before[i] ?? 0)),
      ),
    ).toBeLessThan(1e-6)
    expect(
      excess(
        added.dGamma,
        plain.dGamma.map((value, i) => value + (before[i] ?? 0)),
      ),
    ).toBeLessThan(1e-6)
  })

  test('bits do not depend on how the ranges are cut', () => {
    bench.clear()
    const [M, C] = [1100, 13]
    const [x, dy] = [noise(M * C, 1), noise(M * C, 2)]
    const cut = settingsOf(C, { activation: 1, cuts: [1, 2, 3, 5, 258, 259, 600, 1099] })
    expect(train(bench, x, dy, cut)).toEqual(train(bench, x, dy, settingsOf(C, { activation: 1 })))
  })

  test('a mean of 10000 costs only the digits that x itself has lost', () => {
    bench.clear()
    const [M, C] = [2000, 4]
    const x = noise(M * C, 1).map((value) => value + 10000)
    const statistics = batchStatistics(x, C)
    const got = train(bench, x, noise(M * C, 2), settingsOf(C))
    const inverse = statistics.variance.map((value) => 1 / Math.sqrt(value + 1e-5))
    // The means of blocks are f32: half a unit there is 5e-4, which the deviations see in the second order only.
    expect(excess(got.inverse, inverse, 5e-5)).toBeLessThanOrEqual(0)
    const gradients = batchNormGradients(x, noise(M * C, 2), statistics, 1e-5, true, settingsOf(C).gamma)
    expect(excess(got.dx, gradients.dx)).toBeLessThan(1e-4)
  })

  test('scale and shift in place, and a NaN passes through relu6', () => {
    bench.clear()
    const x = noise(7 * 8, 1)
    x[9] = Number.NaN
    const at = bench.place(x)
    bench.run('scaleShift', at, at, 8, bench.place(new Float32Array(16).fill(2)), 2, 0, 7)
    const y = bench.floats(at, x.length)
    expect(y[9]).toBeNaN()
    expect(
      excess(
        y,
        x.map((value) => Math.min(Math.max(value * 2 + 2, 0), 6)),
      ),
    ).toBeLessThan(1e-6)
  })

  test('without x and partials, fixed statistics still give dx', () => {
    bench.clear()
    const dy = noise(5 * 4, 1)
    const saved = bench.place(Float32Array.of(0, 0, 0, 0, 2, 3, 4, 5, 0, 0, 0, 0, 0, 0, 0, 0))
    const coefficients = bench.room(24)
    bench.run('batchNormBackwardFinish', 0, 5, 256, 4, 0, saved, 0, 0, coefficients, 0, 0, 1)
    const dx = bench.place(dy)
    bench.run('batchNormBackwardInput', 0, dx, dx, 4, coefficients, 0, 0, 0, 5)
    expect(bench.floats(dx, 20)).toEqual(dy.map((value, i) => value * (2 + (i % 4))))
  })
})

describe('the plain loops of batch normalisation', () => {
  test.each([true, false])('have the gradients of finite differences (statistics of the batch: %s)', (batch) => {
    const C = 3
    const x = Float64Array.from(noise(21, 1))
    const dy = noise(21, 2)
    const gamma = Float64Array.from(noise(C, 3))
    const constants = batchStatistics(noise(21, 4), C)
    const statistics = (values: Float64Array) => (batch ? batchStatistics(values, C) : constants)
    const loss = (values: Float64Array) => dot(batchNorm(values, statistics(values), 1e-3, gamma), dy)
    const gradients = batchNormGradients(x, dy, statistics(x), 1e-3, batch, gamma)
    expect(excess(gradients.dx, numericalGradient(loss, x))).toBeLessThan(1e-8)
    const scaled = (values: Float64Array) => dot(batchNorm(x, statistics(x), 1e-3, values), dy)
    expect(excess(gradients.dGamma, numericalGradient(scaled, gamma))).toBeLessThan(1e-8)
  })
})

describe.skipIf(!hasOracle).each(builds)('batch normalisation against recorded PyTorch results (%s)', (build) => {
  const bench = new Bench(build)

  test.each(oracleCases(/^batchnorm_(train|eval)_/))('$name', (recorded) => {
    bench.clear()
    const [N = 0, C = 0, H = 1, W = 1] = recorded.tensor('x').shape
    const vector = (name: string) => Float32Array.from(recorded.tensor(name).values)
    const fixed = recorded.config['mode'] === 'eval'
    const affine = recorded.has('weight') ? { gamma: vector('weight'), beta: vector('bias') } : {}
    const got = train(bench, channelsLast(recorded.tensor('x')), channelsLast(recorded.tensor('cotangent')), {
      C,
      epsilon: recorded.number('eps'),
      momentum: recorded.number('momentum'),
      fixed,
      ...affine,
      runningMean: vector('running_mean'),
      runningVariance: vector('running_var'),
    })
    expect(recorded.excess('output', channelsFirst(got.y, N, C, H * W))).toBeLessThanOrEqual(0)
    expect(recorded.excess('grad_x', channelsFirst(got.dx, N, C, H * W))).toBeLessThanOrEqual(0)
    if (recorded.has('weight')) {
      expect(recorded.excess('grad_weight', got.dGamma)).toBeLessThanOrEqual(0)
      expect(recorded.excess('grad_bias', got.dBeta)).toBeLessThanOrEqual(0)
    }
    if (fixed) return
    expect(recorded.excess('batch_mean', got.mean)).toBeLessThanOrEqual(0)
    expect(recorded.excess('running_mean_after', got.runningMean)).toBeLessThanOrEqual(0)
    expect(recorded.excess('running_var_after', got.runningVariance)).toBeLessThanOrEqual(0)
  })

  test.each(oracleCases(/^batchnorm_running_stats/))('$name', (recorded) => {
    bench.clear()
    const [steps = 0, N = 0, C = 0, H = 0, W = 0] = recorded.tensor('x').shape
    const all = recorded.tensor('x').values
    const means: number[] = []
    const variances: number[] = []
    let runningMean: Float32Array = new Float32Array(C)
    let runningVariance: Float32Array = new Float32Array(C).fill(1)
    for (let step = 0; step < steps; step++) {
      const values = all.slice((step * all.length) / steps, ((step + 1) * all.length) / steps)
      const x = channelsLast({ shape: [N, C, H, W], values })
      const got = train(bench, x, x, { C, epsilon: 1e-5, runningMean, runningVariance })
      runningMean = got.runningMean
      runningVariance = got.runningVariance
      means.push(...runningMean)
      variances.push(...runningVariance)
    }
    expect(recorded.excess('running_mean_per_step', means)).toBeLessThanOrEqual(0)
    expect(recorded.excess('running_var_per_step', variances)).toBeLessThanOrEqual(0)
  })
})
