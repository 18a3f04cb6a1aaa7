// Whole networks against recorded results of PyTorch: evaluation, gradients, and steps of training with and without freezing.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { layerNamed } from '../../src/graph/graph.ts'
import { createEngine, type Engine, type RegisteredProgram } from '../../src/kernels/engine.ts'
import { createUpdater } from '../../src/optim/updater.ts'
import { createParameters, type ParameterStore } from '../../src/runtime/parameters.ts'
import { createRunner, type Runner } from '../../src/runtime/runner.ts'
import { noise } from '../support/values.ts'
import {
  type Pictures,
  type RecordedNetwork,
  readNetwork,
  readPictures,
  recordedNetworks,
  recordingsExist,
} from './recorded-network.ts'

const builds = ['baseline', 'relaxed'] as const
/** The algorithm of all convolutions that it can serve, besides the choice of the table. */
const algorithms = [
  ...recordedNetworks.map((network) => ({ network, by: 'the table', algorithm: {} })),
  ...recordedNetworks
    .filter((network) => /^resnet.*narrow$/.test(network))
    .flatMap((network) =>
      (['patches', 'winograd'] as const).map((convolution) => ({
        network,
        by: convolution,
        algorithm: { convolution },
      })),
    ),
]
const cases = builds.flatMap((build) => algorithms.map((algorithm) => ({ build, ...algorithm })))

const BATCH = 4
/** Starts that are tried before a difference counts. */
const DRAWS = 12

describe.skipIf(!recordingsExist).each(cases)(
  '$network on $build kernels, convolved by $by, is the network of PyTorch',
  (setting) => {
    let network: RecordedNetwork
    let pictures: Pictures
    let engine: Engine
    let store: ParameterStore

    beforeAll(async () => {
      ;[network, pictures] = await Promise.all([readNetwork(setting.network), readPictures()])
      engine = createEngine({ threads: 2, simd: setting.build, allowV8Flags: true })
      store = createParameters(engine, network.graph(64))
    })
    afterAll(() => engine.close())

    /** The recorded weights; other draws are off by up to half a unit in the last place. */
    function writeWeights(draw = 0): void {
      for (const [at, [name, tensor]] of [...network.weights].entries()) {
        const random = draw === 0 ? undefined : noise(tensor.data.length, draw * 1000 + at)
        const data = random ? tensor.data.map((value, i) => value * (1 + 2 ** -24 * (random[i] ?? 0))) : tensor.data
        store.write(name, { shape: tensor.shape, data })
      }
    }

    type Results = ReadonlyMap<string, ArrayLike<number>>

    /** The names of what was recorded and lies outside the advised tolerance, with the error as a multiple of it. */
    function outside(results: Results, prefix: string): (readonly [string, number])[] {
      expect([...results.keys()].sort()).toEqual(network.recordedNames(prefix))
      const errors = [...results].map(([name, values]) => [name, network.error(name, values)] as const)
      return errors.filter(([, error]) => !(error <= 1))
    }

    /**
     * Expects a training to give what was recorded, from the recorded weights or from weights that differ by rounding.
     * Where a value lies at a kink of an activation, rounding decides on which side, and the change spreads: with weights off
     * by half a unit in their last place, half of the trainings of MobileNetV2 end outside the advised tolerances, some 50
     * times, on either build. A mistake, though, is there from every start.
     */
    async function expectRecordedFromSomeStart(prefix: string, train: () => Promise<Results>): Promise<void> {
      const attempts: (readonly [string, number])[][] = []
      for (let draw = 0; draw < DRAWS; draw++) {
        writeWeights(draw)
        const wrong = outside(await train(), prefix)
        if (wrong.length === 0) return
        attempts.push(wrong)
      }
      expect.fail(`outside the tolerance from every start: ${JSON.stringify(attempts)}`)
    }

    test.each([
      { size: 64, images: 2 },
      { size: 224, images: 1 },
    ])('in evaluation at $size pixels', async ({ size, images }) => {
      writeWeights()
      const graph = network.graph(size)
      const layers = new Map(network.config.activations.map((module) => [module, network.layerOf(module)]))
      const pooled = layerNamed(graph, network.pooled(size))
      const outputs = [graph.features, pooled.name, ...layers.values()]
      const runner = createRunner(engine, graph, store, { images, input: 'floats', outputs, ...setting.algorithm })
      await runner.prepare()
      runner.writeFloats(size === 64 ? pictures.x64.subarray(0, images * 64 * 64 * 3) : pictures.x224)
      await runner.run(images)
      const results = new Map<string, ArrayLike<number>>([
        [`eval${size}.logits`, runner.read(graph.output, images)],
        [`eval${size}.pooled`, channelsFirst(runner.read(pooled.name, images), images, pooled.shape)],
      ])
      if (pooled.name !== graph.features) results.set(`eval${size}.penultimate`, runner.read(graph.features, images))
      for (const [module, layer] of layers) {
        const [height = 1, width = 1, channels = 1] = layerNamed(graph, layer).shape
        const summary = summarise(runner.read(layer, images), images, height * width, channels)
        for (const [kind, values] of Object.entries(summary)) results.set(`eval${size}.${module}.${kind}`, values)
      }
      runner.close()
      expect(outside(results, `eval${size}.`)).toEqual([])
    })

    function trainingRunner(trainable: readonly string[], batchStatistics: readonly string[]): Runner {
      const training = { trainable: new Set(trainable), batchStatistics: new Set(batchStatistics) }
      const options = { images: BATCH, input: 'floats', training, ...setting.algorithm } as const
      return createRunner(engine, network.graph(64), store, options)
    }

    /** Runs a step of training. Its inputs are written each time: runs and preparations use their memory for other things. */
    async function runBatch(runner: Runner, more: readonly RegisteredProgram[]): Promise<void> {
      const { classes } = network.config
      const targets = new Float32Array(BATCH * classes)
      for (const [image, label] of pictures.labels.entries()) targets[image * classes + label] = 1 / BATCH
      runner.writeTargets(targets)
      runner.writeFloats(pictures.x64)
      await runner.run(BATCH, { more })
    }

    /** Lengths of the running statistics, by the names of the recordings. */
    function statistics(prefix: string, suffix = ''): (readonly [string, number[]])[] {
      if (network.norms.length === 0) return []
      return ['running_mean', 'running_var'].map((statistic) => [
        `${prefix}${statistic}_norms${suffix}`,
        network.norms.map((layer) => norm(store.read(`${layer}.${statistic}`).data)),
      ])
    }

    test('in its loss, its gradients and the running statistics after one forward pass', async () => {
      await expectRecordedFromSomeStart('train.', async () => {
        const runner = trainingRunner(network.parameters, network.norms)
        await runner.prepare()
        await runBatch(runner, [])
        const results = new Map<string, ArrayLike<number>>([
          ['train.loss', [sum(runner.losses(BATCH))]],
          ['train.grad_norms', network.parameters.map((name) => norm(runner.gradient(name).data))],
          ...statistics('train.', '_after_1'),
        ])
        for (const name of network.recordedNames('train.grad.')) {
          results.set(name, runner.gradient(network.parameterNamed(name.replace('train.grad.', ''))).data)
        }
        runner.close()
        return results
      })
    })

    test.each(['all', 'partial_frozen_bn_eval', 'partial_frozen_bn_train'])(
      'in three steps of SGD: %s',
      async (variant) => {
        const { sgd, partial_trainable: partial } = network.config
        const { lr: rate, momentum, steps } = sgd
        const trainable = variant === 'all' ? network.parameters : partial.map(network.parameterNamed)
        const chosen = new Set(trainable)
        const batchStatistics =
          variant === 'partial_frozen_bn_eval'
            ? network.norms.filter((layer) => chosen.has(`${layer}.weight`))
            : network.norms
        const prefix = `sgd.${variant}.`
        // Without batch norms the two last variants are the same.
        if (network.norms.length === 0 && variant === 'partial_frozen_bn_train') return
        await expectRecordedFromSomeStart(prefix, async () => {
          const before = network.parameters.map((name) => store.read(name).data)
          const runner = trainingRunner(trainable, batchStatistics)
          const options = { optimiser: 'momentum', settings: { momentum }, weightDecay: 0, clipNorm: 0 } as const
          const updater = createUpdater(engine, runner, store, options)
          await runner.prepare()
          const losses: number[] = []
          for (let step = 0; step < steps; step++) {
            updater.setStep(rate, step)
            await runBatch(runner, [updater.program])
            losses.push(sum(runner.losses(BATCH)))
          }
          const after = network.parameters.map((name) => store.read(name).data)
          const results = new Map<string, ArrayLike<number>>([
            [`${prefix}losses`, losses],
            [`${prefix}param_norms`, after.map((values) => norm(values))],
            [`${prefix}change_norms`, after.map((values, at) => norm(values, before[at]))],
            ...statistics(prefix),
          ])
          for (const name of network.recordedNames(`${prefix}value.`)) {
            results.set(name, store.read(network.parameterNamed(name.replace(`${prefix}value.`, ''))).data)
          }
          updater.close()
          runner.close()

          const graph = network.graph(64)
          const evaluation = createRunner(engine, graph, store, { images: 2, input: 'floats', ...setting.algorithm })
          await evaluation.prepare()
          evaluation.writeFloats(pictures.x64.subarray(0, 2 * 64 * 64 * 3))
          await evaluation.run(2)
          results.set(`${prefix}eval64_logits_after`, evaluation.read(graph.output, 2))
          evaluation.close()
          return results
        })
      },
    )
  },
)

/** What was recorded of an activation [images, pixels, channels]. */
function summarise(values: Float32Array, images: number, pixels: number, channels: number) {
  const meanStd: number[] = []
  const first16: number[] = []
  const channelMeans: number[] = []
  for (let image = 0; image < images; image++) {
    const own = values.subarray(image * pixels * channels, (image + 1) * pixels * channels)
    const mean = sum(own) / own.length
    meanStd.push(mean, Math.sqrt(sum(Float64Array.from(own, (value) => (value - mean) ** 2)) / own.length))
    // Flattened with the channels outermost.
    for (let i = 0; i < 16; i++) first16.push(own[(i % pixels) * channels + Math.floor(i / pixels)] ?? Number.NaN)
    for (let channel = 0; channel < channels; channel++) {
      let total = 0
      for (let at = channel; at < own.length; at += channels) total += own[at] ?? Number.NaN
      channelMeans.push(total / pixels)
    }
  }
  return { mean_std: meanStd, first16, channel_means: channelMeans }
}

/** [N, H, W, C] to [N, C, H, W]; vectors stay. */
function channelsFirst(values: Float32Array, images: number, shape: readonly number[]): Float32Array {
  const channels = shape.at(-1) ?? 1
  const pixels = values.length / (images * channels)
  return values.map((_, at) => {
    const pixel = at % pixels
    const channel = Math.floor(at / pixels) % channels
    const image = Math.floor(at / (pixels * channels))
    return values[(image * pixels + pixel) * channels + channel] ?? Number.NaN
  })
}

function sum(values: ArrayLike<number>): number {
  let total = 0
  for (let i = 0; i < values.length; i++) total += values[i] ?? Number.NaN
  return total
}

/** Length of a vector, or of its difference to another. */
function norm(values: ArrayLike<number>, from?: ArrayLike<number>): number {
  let total = 0
  for (let i = 0; i < values.length; i++) {
    const value = (values[i] ?? Number.NaN) - (from === undefined ? 0 : (from[i] ?? Number.NaN))
    total += value * value
  }
  return Math.sqrt(total)
}
