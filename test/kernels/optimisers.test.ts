import { describe, expect, test } from 'vitest'
import { type Optimiser, type OptimiserSettings, optimisers, settingsFor } from '../../src/optim/optimisers.ts'
import {
  type AdagradSettings,
  type AdamSettings,
  adadeltaStep,
  adagradStep,
  adamaxStep,
  adamStep,
  nadamStep,
  type RmspropSettings,
  type RmspropState,
  radamStep,
  rmspropStep,
  type SgdSettings,
  sgdStep,
} from '../reference/optimisers.ts'
import { Bench, builds } from '../support/kernels.ts'
import { hasOracle, type OracleCase, oracleCases } from '../support/oracle.ts'
import { excess, noise, ranges } from '../support/values.ts'

const STEPS = 6
const vectors = (count: number): number => Math.ceil(count / 4)

/** Parameters after every step; gradients[t] belongs to step t. A scale of 1 is given as a null pointer. */
function runSgd(
  bench: Bench,
  start: Float32Array,
  gradients: readonly Float32Array[],
  settings: (step: number) => SgdSettings,
  scale = 1,
  cuts: readonly number[] = [],
): Float32Array[] {
  const [p, buffer] = [bench.place(start), bench.room(start.length)]
  const scaleAt = scale === 1 ? 0 : bench.place(Float32Array.of(scale))
  return gradients.map((gradient, step) => {
    const { rate, momentum, dampening, weightDecay, nesterov } = settings(step)
    const hyper = Float32Array.of(rate, momentum, dampening, weightDecay, nesterov ? 1 : 0, step === 0 ? 1 : 0)
    const values = [p, bench.place(gradient), buffer, bench.place(hyper), scaleAt] as const
    for (const [from, to] of ranges(vectors(start.length), cuts)) bench.run('sgd', ...values, from, to)
    return bench.floats(p, start.length)
  })
}

function runAdam(
  bench: Bench,
  start: Float32Array,
  gradients: readonly Float32Array[],
  settings: (step: number) => AdamSettings,
  scale = 1,
  cuts: readonly number[] = [],
): Float32Array[] {
  const zeros = new Float32Array(start.length)
  const [p, m, v] = [bench.place(start), bench.place(zeros), bench.place(zeros)]
  const largest = settings(0).amsgrad ? bench.place(zeros) : 0
  const scaleAt = scale === 1 ? 0 : bench.place(Float32Array.of(scale))
  return gradients.map((gradient, step) => {
    const { rate, beta1, beta2, epsilon, weightDecay, coupled } = settings(step)
    const corrections = [1 - Math.fround(beta1) ** (step + 1), Math.sqrt(1 - Math.fround(beta2) ** (step + 1))]
    const hyper = Float32Array.of(rate, beta1, beta2, epsilon, weightDecay, coupled ? 1 : 0, ...corrections)
    const values = [p, bench.place(gradient), m, v, largest, bench.place(hyper), scaleAt] as const
    for (const [from, to] of ranges(vectors(start.length), cuts)) bench.run('adamw', ...values, from, to)
    return bench.floats(p, start.length)
  })
}

function runAdagrad(
  bench: Bench,
  start: Float32Array,
  gradients: readonly Float32Array[],
  settings: (step: number) => AdagradSettings,
  options: { scale?: number; cuts?: readonly number[]; initial?: number } = {},
): Float32Array[] {
  const { scale = 1, cuts = [], initial = 0 } = options
  const [p, squares] = [bench.place(start), bench.place(new Float32Array(start.length).fill(initial))]
  const scaleAt = scale === 1 ? 0 : bench.place(Float32Array.of(scale))
  return gradients.map((gradient, step) => {
    const { rate, epsilon, weightDecay } = settings(step)
    const values = [
      p,
      bench.place(gradient),
      squares,
      bench.place(Float32Array.of(rate, epsilon, weightDecay)),
      scaleAt,
    ]
    for (const [from, to] of ranges(vectors(start.length), cuts)) bench.run('adagrad', ...values, from, to)
    return bench.floats(p, start.length)
  })
}

function runRmsprop(
  bench: Bench,
  start: Float32Array,
  gradients: readonly Float32Array[],
  settings: RmspropSettings,
  scale = 1,
  cuts: readonly number[] = [],
): Float32Array[] {
  const { rate, alpha, epsilon, momentum, weightDecay, centred } = settings
  const zeros = new Float32Array(start.length)
  const [p, squares] = [bench.place(start), bench.place(zeros)]
  const means = centred ? bench.place(zeros) : 0
  const buffer = momentum === 0 ? 0 : bench.place(zeros)
  const hyper = bench.place(Float32Array.of(rate, alpha, epsilon, momentum, weightDecay))
  const scaleAt = scale === 1 ? 0 : bench.place(Float32Array.of(scale))
  return gradients.map((gradient) => {
    const values = [p, bench.place(gradient), squares, means, buffer, hyper, scaleAt]
    for (const [from, to] of ranges(vectors(start.length), cuts)) bench.run('rmsprop', ...values, from, to)
    return bench.floats(p, start.length)
  })
}

/**
 * Of the optimisers that the kernel tells apart by their tables alone: those that the library makes of rate and step.
 * @param hyper  changes the table of a step
 */
function runTabled(
  bench: Bench,
  name: 'adadelta' | 'adamax' | 'nadam' | 'radam',
  start: Float32Array,
  gradients: readonly Float32Array[],
  { rate, weightDecay, ...chosen }: { rate: number; weightDecay: number } & Partial<OptimiserSettings>,
  {
    scale = 1,
    cuts = [],
    hyper = (table) => table,
  }: {
    scale?: number
    cuts?: readonly number[]
    hyper?: (table: readonly number[], step: number) => readonly number[]
  } = {},
): Float32Array[] {
  const optimiser: Optimiser = optimisers[name]
  const settings = settingsFor(name, chosen)
  const parameter = bench.place(start)
  const states = new Map(optimiser.state(settings).map((each) => [each, bench.place(new Float32Array(start.length))]))
  const scaleAt = scale === 1 ? 0 : bench.place(Float32Array.of(scale))
  return gradients.map((values, step) => {
    const { kernel, args } = optimiser.update({
      parameter,
      gradient: bench.place(values),
      state: (wanted) => states.get(wanted) ?? 0,
      hyper: bench.place(Float32Array.from(hyper(optimiser.hyper(rate, weightDecay, step, settings), step))),
      scale: scaleAt,
      units: vectors(start.length),
      grain: 1,
    })
    for (const [from, to] of ranges(vectors(start.length), cuts)) bench.run(kernel, ...args.map(Number), from, to)
    return bench.floats(parameter, start.length)
  })
}

const sgdVariants: readonly SgdSettings[] = [
  { rate: 0.1, momentum: 0, dampening: 0, weightDecay: 0, nesterov: false },
  { rate: 0.1, momentum: 0, dampening: 0, weightDecay: 0.1, nesterov: false },
  { rate: 0.1, momentum: 0.9, dampening: 0, weightDecay: 0.1, nesterov: false },
  { rate: 0.1, momentum: 0.9, dampening: 0.3, weightDecay: 0, nesterov: false },
  { rate: 0.1, momentum: 0.9, dampening: 0, weightDecay: 0.1, nesterov: true },
]
const adamVariants: readonly AdamSettings[] = [
  { rate: 0.1, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, coupled: false },
  { rate: 0.1, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.1, coupled: false },
  { rate: 0.1, beta1: 0.8, beta2: 0.95, epsilon: 1e-3, weightDecay: 0.1, coupled: true },
  { rate: 0.1, beta1: 0.8, beta2: 0.5, epsilon: 1e-3, weightDecay: 0.1, coupled: true, amsgrad: true },
]

/** The steps of one value by plain loops, with what is kept between them. */
const tabled = {
  adadelta: (rate: number, weightDecay: number) => {
    let [squares, moves] = [0, 0]
    return (p: number, g: number) => {
      let next: number
      ;[next, squares, moves] = adadeltaStep(p, g, squares, moves, { rate, rho: 0.9, epsilon: 1e-6, weightDecay })
      return next
    }
  },
  adamax: (rate: number, weightDecay: number) => {
    let [m, largest] = [0, 0]
    return (p: number, g: number, t: number) => {
      let next: number
      ;[next, m, largest] = adamaxStep(p, g, m, largest, t, { rate, weightDecay, ...moments })
      return next
    }
  },
  nadam: (rate: number, weightDecay: number) => {
    let state: readonly [number, number, number] = [0, 0, 1]
    return (p: number, g: number, t: number) => {
      let next: number
      ;[next, state] = nadamStep(p, g, state, t, { rate, weightDecay, ...moments })
      return next
    }
  },
  radam: (rate: number, weightDecay: number) => {
    let state: readonly [number, number] = [0, 0]
    return (p: number, g: number, t: number) => {
      let next: number
      ;[next, state] = radamStep(p, g, state, t, { rate, weightDecay, ...moments })
      return next
    }
  },
} as const
const moments = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }

const rmspropVariants: readonly RmspropSettings[] = [
  { rate: 0.01, alpha: 0.99, epsilon: 1e-8, momentum: 0, weightDecay: 0, centred: false },
  { rate: 0.01, alpha: 0.9, epsilon: 1e-3, momentum: 0.9, weightDecay: 0.1, centred: false },
  { rate: 0.01, alpha: 0.9, epsilon: 1e-3, momentum: 0, weightDecay: 0.1, centred: true },
  { rate: 0.01, alpha: 0.9, epsilon: 1e-3, momentum: 0.8, weightDecay: 0, centred: true },
]

describe.each(builds)('optimisers (%s)', (build) => {
  const bench = new Bench(build)
  const sizes = [4, 16, 20, 100]
  const gradientsOf = (count: number) => Array.from({ length: STEPS }, (_, step) => noise(count, 20 + step))

  test.each(sgdVariants)('sgd agrees with the formula: %o', (settings) => {
    for (const count of sizes) {
      bench.clear()
      const [start, gradients] = [noise(count, 1), gradientsOf(count)]
      const got = runSgd(bench, start, gradients, () => settings, 0.5)
      for (const i of start.keys()) {
        let [p, buffer]: [number, number | undefined] = [start[i] ?? 0, undefined]
        for (const [step, gradient] of gradients.entries()) {
          ;[p, buffer] = sgdStep(p, (gradient[i] ?? 0) * 0.5, buffer, settings)
          expect(Math.abs((got[step]?.[i] ?? Number.NaN) - p)).toBeLessThan(1e-6)
        }
      }
      expect(bench.guardsIntact()).toBe(true)
    }
  })

  test.each(adamVariants)('adam and adamw agree with the formula: %o', (settings) => {
    for (const count of sizes) {
      bench.clear()
      const [start, gradients] = [noise(count, 1), gradientsOf(count)]
      const got = runAdam(bench, start, gradients, () => settings, 0.5)
      for (const i of start.keys()) {
        let [p, m, v, largest] = [start[i] ?? 0, 0, 0, 0]
        for (const [step, gradient] of gradients.entries()) {
          ;[p, m, v, largest] = adamStep(p, (gradient[i] ?? 0) * 0.5, m, v, step + 1, settings, largest)
          expect(Math.abs((got[step]?.[i] ?? Number.NaN) - p)).toBeLessThan(3e-6)
        }
      }
      expect(bench.guardsIntact()).toBe(true)
    }
  })

  test.each(
    (['adadelta', 'adamax', 'nadam', 'radam'] as const).flatMap((name) =>
      [0, 0.1].map((decay) => [name, decay] as const),
    ),
  )('%s agrees with the formula: weight decay %d', (name, weightDecay) => {
    for (const count of sizes) {
      bench.clear()
      // More than five: then radam trusts its variance.
      const [start, gradients] = [noise(count, 1), [...gradientsOf(count), ...gradientsOf(count)]]
      const got = runTabled(bench, name, start, gradients, { rate: 0.1, weightDecay }, { scale: 0.5 })
      for (const i of start.keys()) {
        const next = tabled[name](0.1, weightDecay)
        let p = start[i] ?? 0
        for (const [step, gradient] of gradients.entries()) {
          p = next(p, (gradient[i] ?? 0) * 0.5, step + 1)
          expect(Math.abs((got[step]?.[i] ?? Number.NaN) - p)).toBeLessThan(1e-5)
        }
      }
      expect(
        runTabled(bench, name, start, gradients, { rate: 0.1, weightDecay }, { scale: 0.5, cuts: [1, 2, 7] }),
      ).toEqual(got)
      expect(bench.guardsIntact()).toBe(true)
    }
  })

  test.each([0, 0.1])('adagrad agrees with the formula: weight decay %d', (weightDecay) => {
    for (const count of sizes) {
      bench.clear()
      const [start, gradients] = [noise(count, 1), gradientsOf(count)]
      const settings = { rate: 0.1, epsilon: 1e-10, weightDecay }
      const got = runAdagrad(bench, start, gradients, () => settings, { scale: 0.5 })
      for (const i of start.keys()) {
        let [p, squares] = [start[i] ?? 0, 0]
        for (const [step, gradient] of gradients.entries()) {
          ;[p, squares] = adagradStep(p, (gradient[i] ?? 0) * 0.5, squares, settings)
          expect(Math.abs((got[step]?.[i] ?? Number.NaN) - p)).toBeLessThan(2e-6)
        }
      }
      expect(bench.guardsIntact()).toBe(true)
    }
  })

  test.each(rmspropVariants)('rmsprop agrees with the formula: %o', (settings) => {
    for (const count of sizes) {
      bench.clear()
      const [start, gradients] = [noise(count, 1), gradientsOf(count)]
      const got = runRmsprop(bench, start, gradients, settings, 0.5)
      for (const i of start.keys()) {
        let p = start[i] ?? 0
        let state: RmspropState = { square: 0, mean: 0, buffer: 0 }
        for (const [step, gradient] of gradients.entries()) {
          ;[p, state] = rmspropStep(p, (gradient[i] ?? 0) * 0.5, state, settings)
          expect(Math.abs((got[step]?.[i] ?? Number.NaN) - p)).toBeLessThan(5e-6)
        }
      }
      expect(bench.guardsIntact()).toBe(true)
    }
  })

  test('the gradient of a penalty is added, and 0 has no sign', () => {
    bench.clear()
    const p = Float32Array.of(2, -2, 0, -0, 1e-30, -1e-30, 0.5, -0.5)
    const gradient = noise(8, 2)
    const [pAt, at] = [bench.place(p), bench.place(gradient)]
    for (const [from, to] of ranges(2, [1])) bench.run('penaltyGradient', pAt, at, 0.25, 0.125, from, to)
    const expected = gradient.map((value, i) => value + 0.25 * (p[i] ?? 0) + 0.125 * Math.sign(p[i] ?? 0))
    expect(excess(bench.floats(at, 8), expected)).toBeLessThan(1e-7)
    expect(bench.guardsIntact()).toBe(true)
  })

  test.each([1, 4096, 4097, 9000])('the sizes of %i floats are summed in blocks', (n) => {
    bench.clear()
    const x = noise(n, 1)
    const blocks = Math.ceil(n / 4096)
    const [xAt, partials] = [bench.place(x), bench.place(new Float64Array(blocks))]
    for (const [from, to] of ranges(blocks, [1, 2])) bench.run('sumAbsolutes', xAt, n, partials, from, to)
    const sum = x.reduce((total, value) => total + Math.abs(value), 0)
    expect(bench.doubles(partials, blocks).reduce((a, b) => a + b)).toBeCloseTo(sum, 9)
    expect(bench.guardsIntact()).toBe(true)
  })

  test('bits do not depend on how the parameters are cut', () => {
    bench.clear()
    const [start, gradients] = [noise(40, 1), gradientsOf(40)]
    const sgd = () => ({ rate: 0.1, momentum: 0.9, dampening: 0.1, weightDecay: 0.1, nesterov: true })
    expect(runSgd(bench, start, gradients, sgd, 0.7, [1, 2, 7])).toEqual(runSgd(bench, start, gradients, sgd, 0.7))
    const adam = () => ({ rate: 0.1, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0.1, coupled: false })
    expect(runAdam(bench, start, gradients, adam, 0.7, [1, 2, 7])).toEqual(runAdam(bench, start, gradients, adam, 0.7))
    const adagrad = () => ({ rate: 0.1, epsilon: 1e-10, weightDecay: 0.1 })
    expect(runAdagrad(bench, start, gradients, adagrad, { scale: 0.7, cuts: [1, 2, 7] })).toEqual(
      runAdagrad(bench, start, gradients, adagrad, { scale: 0.7 }),
    )
    const rmsprop = { rate: 0.1, alpha: 0.9, epsilon: 1e-8, momentum: 0.9, weightDecay: 0.1, centred: true }
    expect(runRmsprop(bench, start, gradients, rmsprop, 0.7, [1, 2, 7])).toEqual(
      runRmsprop(bench, start, gradients, rmsprop, 0.7),
    )
  })

  test('sgd without momentum needs no buffer', () => {
    bench.clear()
    const p = bench.place(Float32Array.of(1, 2, 3, 4))
    const hyper = bench.place(Float32Array.of(0.5, 0, 0, 0, 0, 1))
    bench.run('sgd', p, bench.place(Float32Array.of(2, 2, 2, 2)), 0, hyper, 0, 0, 1)
    expect(bench.floats(p, 4)).toEqual(Float32Array.of(0, 1, 2, 3))
  })

  test.each([1, 3, 4, 5, 4095, 4096, 4097, 9000])('the squares of %i floats are summed in blocks', (n) => {
    bench.clear()
    const x = noise(n, 1)
    const blocks = Math.ceil(n / 4096)
    const [xAt, partials] = [bench.place(x), bench.place(new Float64Array(blocks))]
    for (const [from, to] of ranges(blocks, [1, 2])) bench.run('sumSquares', xAt, n, partials, from, to)
    const sum = x.reduce((total, value) => total + value * value, 0)
    expect(bench.doubles(partials, blocks).reduce((a, b) => a + b)).toBeCloseTo(sum, 9)
    const out = bench.room(2)
    bench.run('clipScale', partials, blocks, 0.5, out, 0, 1)
    const norm = Math.sqrt(sum)
    expect(excess(bench.floats(out, 2), [Math.min(1, 0.5 / (norm + 1e-6)), norm], 1e-7)).toBeLessThan(1e-12)
    expect(bench.guardsIntact()).toBe(true)
  })

  test('a gradient that is not finite shows in the norm', () => {
    bench.clear()
    const out = bench.room(2)
    bench.run('clipScale', bench.place(Float64Array.of(1, Number.NaN)), 2, 1, out, 0, 1)
    expect([...bench.floats(out, 2)]).toEqual([Number.NaN, Number.NaN])
  })
})

describe.skipIf(!hasOracle).each(builds)('optimisers against recorded PyTorch results (%s)', (build) => {
  const bench = new Bench(build)
  const padTo4 = (values: ArrayLike<number>): Float32Array => {
    const out = new Float32Array(vectors(values.length) * 4)
    out.set(values)
    return out
  }

  /** Rate and weight decay at a step, for a group of parameters. */
  function groupSettings(recorded: OracleCase, group: number, step: number): { rate: number; weightDecay: number } {
    // Recorded as [{ lr, weight_decay }, …] where there are groups.
    const groups = recorded.config['groups'] as { lr: number; weight_decay: number }[] | undefined
    const own = groups?.[group]
    const rates = recorded.config['lr_per_step'] ? recorded.numbers('lr_per_step') : []
    return {
      rate: own?.lr ?? rates[step] ?? recorded.number('lr'),
      weightDecay: own?.weight_decay ?? recorded.number('weight_decay'),
    }
  }

  /**
   * The case was recorded with PyTorch 1.13, which multiplied the product of momenta by the newest of them twice before it looked ahead.
   * Later versions, the paper and nadam do so once.
   */
  function asRecorded([now = 0, mean = 0, beta1 = 0, ...rest]: readonly number[], step: number): readonly number[] {
    const momentumAt = (t: number) => beta1 * (1 - 0.5 * 0.96 ** (t * 0.004))
    let product = 1
    for (let t = 1; t <= step + 1; t++) product *= momentumAt(t)
    const next = momentumAt(step + 2)
    return [now, (mean * (1 - product * next)) / (1 - product * momentumAt(step + 1) * next), beta1, ...rest]
  }

  test.each(oracleCases(/^optim_/))('$name', (recorded) => {
    for (const group of [0, 1]) {
      bench.clear()
      const init = recorded.tensor(`init_${group}`).values
      const all = recorded.tensor(`grads_${group}`).values
      const steps = all.length / init.length
      const gradients = Array.from({ length: steps }, (_, step) => {
        return padTo4(all.slice(step * init.length, (step + 1) * init.length))
      })
      const momentum = () => ({
        momentum: recorded.number('momentum'),
        dampening: recorded.number('dampening'),
        nesterov: recorded.config['nesterov'] === true,
      })
      const [beta1 = 0, beta2 = 0] = recorded.numbers('betas')
      const coupled = recorded.config['optimiser'] === 'Adam'
      const amsgrad = recorded.config['amsgrad'] === true
      const adam = () => ({ beta1, beta2, epsilon: recorded.number('eps'), coupled, amsgrad })
      const start = padTo4(init)
      const own = (step: number) => groupSettings(recorded, group, step)
      const epsilon = recorded.number('eps')
      const run = () => {
        switch (recorded.config['optimiser']) {
          case 'SGD':
            return runSgd(bench, start, gradients, (step) => ({ ...momentum(), ...own(step) }))
          case 'Adagrad': {
            const decayed = (step: number) => own(step).rate / (1 + step * recorded.number('lr_decay'))
            const initial = recorded.number('initial_accumulator_value')
            const settings = (step: number) => ({ ...own(step), rate: decayed(step), epsilon })
            return runAdagrad(bench, start, gradients, settings, { initial })
          }
          case 'RMSprop': {
            const centred = recorded.config['centered'] === true
            const moments = { alpha: recorded.number('alpha'), momentum: recorded.number('momentum') }
            return runRmsprop(bench, start, gradients, { ...own(0), ...moments, epsilon, centred })
          }
          case 'Adadelta':
            return runTabled(bench, 'adadelta', start, gradients, { ...own(0), alpha: recorded.number('rho'), epsilon })
          case 'Adamax':
            return runTabled(bench, 'adamax', start, gradients, { ...own(0), beta1, beta2, epsilon })
          case 'NAdam':
            expect(recorded.number('momentum_decay')).toBe(0.004)
            return runTabled(
              bench,
              'nadam',
              start,
              gradients,
              { ...own(0), beta1, beta2, epsilon },
              { hyper: asRecorded },
            )
          case 'RAdam':
            return runTabled(bench, 'radam', start, gradients, { ...own(0), beta1, beta2, epsilon })
          default:
            return runAdam(bench, start, gradients, (step) => ({ ...adam(), ...own(step) }))
        }
      }
      const got = run()
      const trajectory = got.flatMap((parameters) => [...parameters.subarray(0, init.length)])
      expect(recorded.excess(`trajectory_${group}`, trajectory)).toBeLessThanOrEqual(0)
    }
  })

  test.each(oracleCases(/^clip_grad_norm_/))('$name', (recorded) => {
    bench.clear()
    const names = ['0', '1', '2'].filter((name) => recorded.has(`grad_${name}`))
    const partials = bench.place(new Float64Array(names.length))
    const gradients = names.map((name) => Float32Array.from(recorded.tensor(`grad_${name}`).values))
    gradients.forEach((gradient, i) => {
      bench.run('sumSquares', bench.place(gradient), gradient.length, partials + 8 * i, 0, 1)
    })
    const out = bench.room(2)
    bench.run('clipScale', partials, names.length, recorded.number('max_norm'), out, 0, 1)
    const [scale = 0, norm = 0] = bench.floats(out, 2)
    expect(recorded.excess('total_norm', [norm])).toBeLessThanOrEqual(0)
    gradients.forEach((gradient, i) => {
      const clipped = gradient.map((value) => value * scale)
      expect(recorded.excess(`clipped_${names[i]}`, clipped)).toBeLessThanOrEqual(0)
    })
  })
})

describe.skipIf(!hasOracle).each(builds)('penalties against recorded PyTorch results (%s)', (build) => {
  const bench = new Bench(build)

  /** λ of the squares and of the sizes, as their formulas have it. */
  function strengthOf({ config, name }: OracleCase): [number, number] {
    const lambda = Number(config['lambda'])
    if (name === 'penalty_elastic') return [Number(config['l2']), Number(config['l1'])]
    if (name === 'penalty_l1') return [0, lambda]
    return [config['n'] === undefined ? lambda : lambda / Number(config['n']), 0]
  }

  test.each(oracleCases(/^penalty_/))('$name', (recorded) => {
    bench.clear()
    const { values } = recorded.tensor('w')
    const w = new Float32Array(vectors(values.length) * 4)
    w.set(values)
    const [l2, l1] = strengthOf(recorded)
    const [wAt, gradient] = [bench.place(w), bench.place(new Float32Array(w.length))]
    bench.run('penaltyGradient', wAt, gradient, l2, l1, 0, w.length / 4)
    expect(recorded.excess('grad_w', bench.floats(gradient, values.length))).toBeLessThanOrEqual(0)
    const [squares, sizes] = [bench.place(new Float64Array(1)), bench.place(new Float64Array(1))]
    bench.run('sumSquares', wAt, w.length, squares, 0, 1)
    bench.run('sumAbsolutes', wAt, w.length, sizes, 0, 1)
    const cost = (l2 / 2) * (bench.doubles(squares, 1)[0] ?? 0) + l1 * (bench.doubles(sizes, 1)[0] ?? 0)
    expect(recorded.excess('output', [cost])).toBeLessThanOrEqual(0)
  })
})
