// The updater against plain loops: every optimiser over several steps, with decay, penalties, groups of rates and clipping.

import { describe, expect, test } from 'vitest'
import { graphBuilder } from '../../src/graph/builder.ts'
import type { Engine } from '../../src/kernels/engine.ts'
import { type OptimiserName, optimiserNames } from '../../src/optim/optimisers.ts'
import { createUpdater, type UpdaterOptions } from '../../src/optim/updater.ts'
import { createParameters } from '../../src/runtime/parameters.ts'
import { createRunner } from '../../src/runtime/runner.ts'
import {
  adadeltaStep,
  adagradStep,
  adamaxStep,
  adamStep,
  nadamStep,
  type RmspropState,
  radamStep,
  rmspropStep,
  sgdStep,
} from '../reference/optimisers.ts'
import { withEngine } from '../runtime/small-networks.ts'
import { excess, noise } from '../support/values.ts'

const STEPS = 4
const [features, outputs] = [5, 3]
const names = ['layer.weight', 'layer.bias'] as const
type Name = (typeof names)[number]
type Values = Readonly<Record<Name, Float32Array>>
const sizes: Readonly<Record<Name, number>> = { 'layer.weight': features * outputs, 'layer.bias': outputs }
const shapes: Readonly<Record<Name, readonly number[]>> = {
  'layer.weight': [outputs, features],
  'layer.bias': [outputs],
}

const valuesOf = (seed: number): Values => ({
  'layer.weight': noise(sizes['layer.weight'], seed),
  'layer.bias': noise(sizes['layer.bias'], seed + 1),
})
const start = valuesOf(1)
const gradients = Array.from({ length: STEPS }, (_, step) => valuesOf(10 + 2 * step))

/** A linear layer whose gradients the test writes itself. */
function openLayer(engine: Engine, options: UpdaterOptions) {
  const net = graphBuilder()
  const input = net.layer('tensorInput', 'input', { shape: [features] }, [])
  const output = net.layer('linear', 'layer', { outFeatures: outputs, bias: true }, [input])
  const store = createParameters(engine, net.finish({ output, features: input }))
  const graph = net.finish({ output, features: input })
  const training = { trainable: new Set<string>(names), batchStatistics: new Set<string>() }
  const runner = createRunner(engine, graph, store, { images: 1, input: 'floats', training })
  const updater = createUpdater(engine, runner, store, options)
  const put = (values: Values) => {
    for (const name of names) store.write(name, { shape: shapes[name], data: values[name] })
  }
  put(start)
  return {
    updater,
    put,
    read: (): Values => ({ 'layer.weight': store.read(names[0]).data, 'layer.bias': store.read(names[1]).data }),
    async step(gradient: Values, rate: number, number: number, momentum?: number, epochs?: number) {
      for (const name of names) {
        const address = runner.gradientAddress(name) ?? 0
        store.writeAs(
          name,
          { shape: shapes[name], data: gradient[name] },
          engine.floats(address, store.get(name).length),
        )
      }
      updater.setStep(rate, number, momentum, epochs)
      await engine.run([updater.measure], 1)
      await updater.update()
    },
    isCleared: () => {
      const { address, length } = runner.gradientRegion()
      return engine.floats(address, length).every((value) => value === 0)
    },
  }
}

/** Parameters after all steps; `numbers` gives rate and momentum of a step. */
async function train(
  options: UpdaterOptions,
  numbers: (step: number) => { rate: number; momentum?: number } = () => ({ rate: 0.1 }),
): Promise<Values> {
  let result = start
  await withEngine({ threads: 2, simd: 'baseline' }, async (engine) => {
    const layer = openLayer(engine, options)
    for (const [step, gradient] of gradients.entries()) {
      const { rate, momentum } = numbers(step)
      await layer.step(gradient, rate, step, momentum)
      expect(layer.isCleared()).toBe(true)
    }
    result = layer.read()
  })
  return result
}

/** The same by plain loops: `update` makes the steps of one value. */
function expected(update: (name: Name, value: number, gradient: (step: number) => number) => number): Values {
  const of = (name: Name) =>
    start[name].map((value, i) => update(name, value, (step) => gradients[step]?.[name][i] ?? Number.NaN))
  return { 'layer.weight': of('layer.weight'), 'layer.bias': of('layer.bias') }
}

function expectClose(actual: Values, truth: Values, tolerance = 2e-6): void {
  for (const name of names) expect(excess(actual[name], truth[name]), name).toBeLessThan(tolerance)
}

const DECAY = 0.1
const decayOf = (name: Name) => (name === 'layer.weight' ? DECAY : 0)

function stepsOf(optimiser: OptimiserName): Parameters<typeof expected>[0] {
  return (name, first, gradient) => {
    const weightDecay = decayOf(name)
    let p = first
    let buffer: number | undefined
    let [m, v, largest] = [0, 0, 0]
    const moments = { rate: 0.1, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay }
    let withProduct: readonly [number, number, number] = [0, 0, 1]
    let pair: readonly [number, number] = [0, 0]
    let kept: RmspropState = { square: 0, mean: 0, buffer: 0 }
    for (let step = 0; step < STEPS; step++) {
      const g = gradient(step)
      switch (optimiser) {
        case 'sgd':
        case 'momentum':
        case 'nesterov': {
          const settings = { momentum: optimiser === 'sgd' ? 0 : 0.9, nesterov: optimiser === 'nesterov' }
          ;[p, buffer] = sgdStep(p, g, buffer, { rate: 0.1, dampening: 0, weightDecay, ...settings })
          break
        }
        case 'adagrad':
          ;[p, v] = adagradStep(p, g, v, { rate: 0.1, epsilon: 1e-10, weightDecay })
          break
        case 'rmsprop': {
          const settings = { alpha: 0.99, epsilon: 1e-8, momentum: 0, centred: false }
          ;[p, kept] = rmspropStep(p, g, kept, { rate: 0.1, weightDecay, ...settings })
          break
        }
        case 'adam':
        case 'adamw':
        case 'amsgrad': {
          const settings = { ...moments, coupled: optimiser !== 'adamw', amsgrad: optimiser === 'amsgrad' }
          ;[p, m, v, largest] = adamStep(p, g, m, v, step + 1, settings, largest)
          break
        }
        case 'adadelta':
          ;[p, v, m] = adadeltaStep(p, g, v, m, { rate: 0.1, rho: 0.9, epsilon: 1e-6, weightDecay })
          break
        case 'adamax':
          ;[p, m, v] = adamaxStep(p, g, m, v, step + 1, moments)
          break
        case 'nadam':
          ;[p, withProduct] = nadamStep(p, g, withProduct, step + 1, moments)
          break
        case 'radam':
          ;[p, pair] = radamStep(p, g, pair, step + 1, moments)
          break
      }
    }
    return p
  }
}

describe('the updater', () => {
  test.each(optimiserNames)('%s updates weights with decay and biases without', async (optimiser) => {
    const got = await train({ optimiser, weightDecay: DECAY, clipNorm: 0 })
    expectClose(got, expected(stepsOf(optimiser)), 5e-6)
  })

  test('decay may be asked for everywhere', async () => {
    const got = await train({ optimiser: 'sgd', weightDecay: DECAY, clipNorm: 0, decayed: 'all' })
    const truth = expected((_, first, gradient) => {
      let p = first
      for (let step = 0; step < STEPS; step++) p -= 0.1 * (gradient(step) + DECAY * p)
      return p
    })
    expectClose(got, truth)
  })

  test('rmsprop takes momentum and centring', async () => {
    const chosen = { momentum: 0.8, centred: true, alpha: 0.9, epsilon: 1e-3 }
    const got = await train({ optimiser: 'rmsprop', settings: chosen, weightDecay: 0, clipNorm: 0 })
    const truth = expected((_, first, gradient) => {
      let p = first
      let state: RmspropState = { square: 0, mean: 0, buffer: 0 }
      for (let step = 0; step < STEPS; step++) {
        ;[p, state] = rmspropStep(p, gradient(step), state, { rate: 0.1, weightDecay: 0, ...chosen })
      }
      return p
    })
    expectClose(got, truth, 1e-5)
  })

  test('groups of parameters have rates of their own', async () => {
    const rateScale = ({ name }: { readonly name: string }) => (name === 'layer.bias' ? 0.25 : 1)
    const got = await train({ optimiser: 'sgd', weightDecay: 0, clipNorm: 0, rateScale })
    const truth = expected((name, first, gradient) => {
      const rate = name === 'layer.bias' ? 0.025 : 0.1
      return gradients.reduce((p, _, step) => p - rate * gradient(step), first)
    })
    expectClose(got, truth)
  })

  test.each(optimiserNames)('%s leaves a parameter as it is for as long as it waits', async (optimiser) => {
    const waits = ({ name }: { readonly name: string }) => (name === 'layer.bias' ? 2 : 0)
    await withEngine({ threads: 1, simd: 'baseline' }, async (engine) => {
      const layer = openLayer(engine, { optimiser, weightDecay: DECAY, decayed: 'all', clipNorm: 0, waits })
      for (const [step, gradient] of gradients.entries()) {
        const before = layer.read()
        await layer.step(gradient, 0.1, step, undefined, step)
        const after = layer.read()
        expect(after['layer.weight']).not.toEqual(before['layer.weight'])
        if (step < 2) expect(after['layer.bias']).toEqual(before['layer.bias'])
        else expect(after['layer.bias']).not.toEqual(before['layer.bias'])
      }
    })
  })

  test('a penalty joins the gradient before it is clipped, and weights alone pay it', async () => {
    const penalty = { l2: 0.3, l1: 0.2 }
    const clipNorm = 0.5
    const got = await train({ optimiser: 'sgd', weightDecay: 0, clipNorm, penalty })
    let now: Record<Name, number[]> = { 'layer.weight': [...start[names[0]]], 'layer.bias': [...start[names[1]]] }
    for (const gradient of gradients) {
      const whole = {
        'layer.weight': now['layer.weight'].map(
          (p, i) => (gradient['layer.weight'][i] ?? 0) + 0.3 * p + 0.2 * Math.sign(p),
        ),
        'layer.bias': [...gradient['layer.bias']],
      }
      const norm = Math.hypot(...whole['layer.weight'], ...whole['layer.bias'])
      const scale = Math.min(1, clipNorm / (norm + 1e-6))
      const moved = (name: Name) => now[name].map((p, i) => p - 0.1 * scale * (whole[name][i] ?? Number.NaN))
      now = { 'layer.weight': moved('layer.weight'), 'layer.bias': moved('layer.bias') }
    }
    for (const name of names) expect(excess(got[name], now[name])).toBeLessThan(2e-6)
  })

  test('the penalty is told apart from the loss: 0 without one, more with larger weights', async () => {
    await withEngine({ threads: 2, simd: 'baseline' }, async (engine) => {
      const weights = [...start['layer.weight']]
      const squares = weights.reduce((sum, w) => sum + w * w, 0)
      const sizes = weights.reduce((sum, w) => sum + Math.abs(w), 0)
      const common = { optimiser: 'sgd', weightDecay: 0.5, clipNorm: 0 } as const
      const costs = async (penalty?: { l2: number; l1: number }) => {
        const { updater } = openLayer(engine, { ...common, ...(penalty ? { penalty } : {}) })
        const cost = await updater.penalty()
        updater.close()
        return cost
      }
      expect(await costs()).toBe(0)
      expect(await costs({ l2: 0.3, l1: 0 })).toBeCloseTo(0.15 * squares, 6)
      expect(await costs({ l2: 0, l1: 0.2 })).toBeCloseTo(0.2 * sizes, 6)
      expect(await costs({ l2: 0.3, l1: 0.2 })).toBeCloseTo(0.15 * squares + 0.2 * sizes, 6)
    })
  })

  test.each(['momentum', 'adam'] as const)('%s takes another momentum for a step', async (optimiser) => {
    const momenta = [0.95, 0.9, 0.85, 0.9]
    const got = await train({ optimiser, weightDecay: 0, clipNorm: 0 }, (step) => ({
      rate: 0.1,
      momentum: momenta[step] ?? 0,
    }))
    const truth = expected((_, first, gradient) => {
      let p = first
      let buffer: number | undefined
      let [m, v] = [0, 0]
      for (const [step, momentum] of momenta.entries()) {
        const common = { rate: 0.1, weightDecay: 0 }
        if (optimiser === 'momentum') {
          ;[p, buffer] = sgdStep(p, gradient(step), buffer, { ...common, momentum, dampening: 0, nesterov: false })
        } else {
          const settings = { ...common, beta1: momentum, beta2: 0.999, epsilon: 1e-8, coupled: true }
          ;[p, m, v] = adamStep(p, gradient(step), m, v, step + 1, settings)
        }
      }
      return p
    })
    expectClose(got, truth, 5e-6)
  })

  test.each(['sgd', 'adagrad', 'rmsprop'] as const)('%s without momentum takes none', async (optimiser) => {
    const options: UpdaterOptions = { optimiser, weightDecay: 0, clipNorm: 0 }
    expect(await train(options, () => ({ rate: 0.1, momentum: 0.9 }))).toEqual(await train(options))
  })

  test.each(optimiserNames)('%s goes on exactly from its state', async (optimiser) => {
    const settings = { centred: true, momentum: 0.9 }
    const options: UpdaterOptions = { optimiser, settings, weightDecay: DECAY, clipNorm: 1 }
    const whole = await train(options)
    await withEngine({ threads: 1, simd: 'baseline' }, async (engine) => {
      const [before, after] = [openLayer(engine, options), openLayer(engine, options)]
      for (const [step, gradient] of gradients.slice(0, 2).entries()) await before.step(gradient, 0.1, step)
      after.put(before.read())
      await after.updater.restore(await before.updater.state())
      for (const [at, gradient] of gradients.slice(2).entries()) await after.step(gradient, 0.1, at + 2)
      expect(after.read()).toEqual(whole)
    })
  })
})
