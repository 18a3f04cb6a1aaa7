// What the notes show: a saturated sigmoid learns slowly from the quadratic cost, and not from cross-entropy.

import { expect, test } from 'vitest'
import { graphBuilder } from '../../src/graph/builder.ts'
import { createUpdater } from '../../src/optim/updater.ts'
import type { Loss } from '../../src/runtime/loss.ts'
import { createParameters } from '../../src/runtime/parameters.ts'
import { createRunner } from '../../src/runtime/runner.ts'
import { withEngine } from '../runtime/small-networks.ts'

interface Neuron {
  readonly loss: Loss
  readonly rate: number
  /** Weight and bias at the start. */
  readonly start: readonly [number, number]
}

/** Outputs of one sigmoid neuron with input 1 and target 0, at the beginning of each epoch of one step and after the last. */
async function learn({ loss, rate, start: [w, b] }: Neuron): Promise<number[]> {
  const outputs: number[] = []
  await withEngine({ threads: 1, simd: 'baseline' }, async (engine) => {
    const net = graphBuilder()
    const input = net.layer('tensorInput', 'input', { shape: [1] }, [])
    const sum = net.layer('linear', 'neuron', { outFeatures: 1, bias: true }, [input])
    const graph = net.finish({ output: sum, features: input })
    const store = createParameters(engine, graph)
    store.write('neuron.weight', { shape: [1, 1], data: Float32Array.of(w) })
    store.write('neuron.bias', { shape: [1], data: Float32Array.of(b) })
    const trainable = new Set(['neuron.weight', 'neuron.bias'])
    const training = { trainable, batchStatistics: new Set<string>(), loss }
    const runner = createRunner(engine, graph, store, { images: 1, input: 'floats', training })
    const updater = createUpdater(engine, runner, store, { optimiser: 'sgd', weightDecay: 0, clipNorm: 0 })
    await runner.prepare()
    runner.writeFloats(Float32Array.of(1))
    runner.writeTargets(Float32Array.of(0), Float32Array.of(1))
    for (let step = 0; step <= 300; step++) {
      updater.setStep(rate, step)
      await runner.run(1, { more: [updater.program] })
      outputs.push(1 / (1 + Math.exp(-(runner.read('neuron', 1)[0] ?? Number.NaN))))
    }
  })
  return outputs
}

const at = (outputs: readonly number[], epoch: number): number => outputs[epoch] ?? Number.NaN

test('the quadratic cost ends near 0.09 from a good start', async () => {
  const outputs = await learn({ loss: { kind: 'quadratic' }, rate: 0.15, start: [0.6, 0.9] })
  expect(at(outputs, 0)).toBeCloseTo(0.82, 2)
  expect(Math.abs(at(outputs, 300) - 0.09)).toBeLessThanOrEqual(0.005)
})

test('the quadratic cost has not begun to learn after 150 epochs from a saturated start', async () => {
  const outputs = await learn({ loss: { kind: 'quadratic' }, rate: 0.15, start: [2, 2] })
  expect(at(outputs, 150)).toBeGreaterThan(0.9)
  expect(at(outputs, 300)).toBeLessThan(0.5)
})

test('cross-entropy learns at once from the same start', async () => {
  const outputs = await learn({ loss: { kind: 'bce' }, rate: 0.15, start: [2, 2] })
  expect(at(outputs, 35)).toBeLessThan(0.2)
})

test('cross-entropy falls steadily from the first epoch at a low rate', async () => {
  const outputs = await learn({ loss: { kind: 'bce' }, rate: 0.005, start: [2, 2] })
  const costs = outputs.map((output) => -Math.log(1 - output))
  const falls = costs.slice(1).map((cost, epoch) => at(costs, epoch) - cost)
  // No plateau: the first epochs fall faster than all later ones.
  for (const [epoch, fall] of falls.entries()) {
    expect(fall).toBeGreaterThan(0)
    if (epoch > 0) expect(fall).toBeLessThanOrEqual(at(falls, epoch - 1) + 1e-6)
  }
  expect(at(costs, 0) - at(costs, 300)).toBeGreaterThan(2)
})
