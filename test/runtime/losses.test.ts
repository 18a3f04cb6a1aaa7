// Networks trained with each loss: the plan hands targets and weights to the right kernel, and gradients come out of the network.

import { expect, test } from 'vitest'
import { graphBuilder } from '../../src/graph/builder.ts'
import type { Loss } from '../../src/runtime/loss.ts'
import { createParameters } from '../../src/runtime/parameters.ts'
import { createRunner } from '../../src/runtime/runner.ts'
import { rowLosses } from '../reference/losses.ts'
import { excess, noise, numericalGradient } from '../support/values.ts'
import { withEngine } from './small-networks.ts'

const losses: readonly Loss[] = [
  { kind: 'ce' },
  { kind: 'bce' },
  { kind: 'quadratic' },
  { kind: 'mse' },
  { kind: 'hinge', margin: 1, power: 2 },
  { kind: 'focal', gamma: 2 },
  { kind: 'l1' },
  { kind: 'smooth-l1', beta: 0.5 },
  { kind: 'huber', delta: 0.7 },
  { kind: 'sigmoid-focal', gamma: 2, alpha: 0.25 },
  { kind: 'bce', positives: [0.5, 2, 3] },
]
const [images, features, classes] = [4, 5, 3]

test.each(losses)('a linear layer trained with $kind gets the gradient of its loss', async (loss) => {
  const net = graphBuilder()
  const input = net.layer('tensorInput', 'input', { shape: [features] }, [])
  const output = net.layer('linear', 'linear', { outFeatures: classes }, [input])
  const graph = net.finish({ output, features: input })
  const weight = noise(classes * features, 1)
  const x = noise(images * features, 2)
  const targets = noise(images * classes, 3).map((value) => (value + 1) / classes)
  const weights = Float32Array.of(0.25, 0.5, 1, 0)
  const logitsOf = (w: ArrayLike<number>) =>
    Float64Array.from({ length: images * classes }, (_, i) => {
      const [row, o] = [Math.floor(i / classes), i % classes]
      return Array.from(
        { length: features },
        (_, f) => (x[row * features + f] ?? 0) * (w[o * features + f] ?? 0),
      ).reduce((a, b) => a + b)
    })
  const lossesOf = (w: ArrayLike<number>) =>
    rowLosses(loss, logitsOf(w), targets, classes).map((value, row) => value * (weights[row] ?? 0))

  await withEngine({ threads: 2, simd: 'baseline' }, async (engine) => {
    const store = createParameters(engine, graph)
    store.write('linear.weight', { shape: [classes, features], data: weight })
    const training = { trainable: new Set(['linear.weight']), batchStatistics: new Set<string>(), loss }
    const runner = createRunner(engine, graph, store, { images, input: 'floats', training })
    await runner.prepare()
    if (runner.zeroGradients) await engine.run([runner.zeroGradients], 1)
    runner.writeFloats(x)
    runner.writeTargets(targets, weights)
    await runner.run(images)
    expect(excess(runner.losses(images), lossesOf(weight), 1e-5)).toBeLessThan(1e-6)
    const slopes = numericalGradient((w) => lossesOf(w).reduce((a, b) => a + b), Float64Array.from(weight))
    expect(excess(runner.gradient('linear.weight').data, slopes, 1e-5)).toBeLessThan(1e-6)
  })
})
