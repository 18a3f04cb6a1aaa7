// A step over several batches: what it makes small is the weighted mean over all of its pictures, whatever the loss.
import { expect, test } from 'vitest'
import { graphBuilder } from '../../src/graph/builder.ts'
import { createUpdater } from '../../src/optim/updater.ts'
import type { Loss } from '../../src/runtime/loss.ts'
import { createParameters } from '../../src/runtime/parameters.ts'
import { createRunner } from '../../src/runtime/runner.ts'
import { labelLoss } from '../../src/train/label-loss.ts'
import { gatherGradient, type TrainingBatch } from '../../src/train/step.ts'
import { withEngine } from '../runtime/small-networks.ts'
import { excess, noise, numericalGradient } from '../support/values.ts'

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
]
const [features, classes] = [5, 3]
const labels = [2, 0, 1, 1, 2]
const classWeights = [0.5, 2, 1.5]

test.each(losses)('weights of classes multiply the loss of a picture, not its target: $kind', async (loss) => {
  const net = graphBuilder()
  const input = net.layer('tensorInput', 'input', { shape: [features] }, [])
  const output = net.layer('linear', 'linear', { outFeatures: classes }, [input])
  const graph = net.finish({ output, features: input })
  const weight = noise(classes * features, 1)
  const x = noise(labels.length * features, 2)
  const lossOf = (w: ArrayLike<number>) =>
    labels.reduce((sum, label, row) => {
      const outputs = Float32Array.from({ length: classes }, (_, o) =>
        Array.from({ length: features }, (__, f) => (x[row * features + f] ?? 0) * (w[o * features + f] ?? 0)).reduce(
          (a, b) => a + b,
        ),
      )
      return sum + (classWeights[label] ?? 0) * labelLoss(loss, outputs, label)
    }, 0) / labels.length

  await withEngine({ threads: 2, simd: 'baseline' }, async (engine) => {
    const store = createParameters(engine, graph)
    store.write('linear.weight', { shape: [classes, features], data: weight })
    const training = { trainable: new Set(['linear.weight']), batchStatistics: new Set<string>(), loss }
    const runner = createRunner(engine, graph, store, { images: 2, input: 'floats', training })
    const updater = createUpdater(engine, runner, store, { optimiser: 'sgd', weightDecay: 0, clipNorm: 0 })
    await runner.prepare()
    async function* batches(): AsyncGenerator<TrainingBatch> {
      for (let at = 0; at < labels.length; at += 2) {
        yield {
          labels: Int32Array.from(labels.slice(at, at + 2)),
          names: () => [],
          write: () => runner.writeFloats(x.subarray(at * features, (at + 2) * features)),
        }
      }
    }
    const options = { runner, updater, classes, smoothing: 0, classWeights, signal: undefined }
    const gathered = await gatherGradient(batches(), labels.length, options)
    expect(gathered.loss).toBeCloseTo(lossOf(weight), 6)
    // The plain loop rounds its outputs to f32, so it takes a wide step.
    const slopes = numericalGradient(lossOf, Float64Array.from(weight), 1e-2)
    expect(excess(runner.gradient('linear.weight').data, slopes, 1e-3)).toBeLessThan(1e-3)
  })
})
