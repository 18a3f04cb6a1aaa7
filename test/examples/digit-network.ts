// A small network on drawn digits, trained by the library's own kernels, optimisers and loop.

import { epochOrder } from '../../src/data/epoch-order.ts'
import { RegraftError } from '../../src/errors.ts'
import { graphBuilder } from '../../src/graph/builder.ts'
import { withDropping } from '../../src/graph/dropping.ts'
import type { Graph } from '../../src/graph/graph.ts'
import { createEngine, type Engine } from '../../src/kernels/engine.ts'
import { initialWeights } from '../../src/model/initialise.ts'
import { initialiserNamed } from '../../src/model/initialisers.ts'
import type { OptimiserName } from '../../src/optim/optimisers.ts'
import { penaltyStrength } from '../../src/optim/penalty.ts'
import { createUpdater, type Updater } from '../../src/optim/updater.ts'
import { createParameters, type ParameterStore } from '../../src/runtime/parameters.ts'
import { createRunner, type Runner } from '../../src/runtime/runner.ts'
import { metricsOf } from '../../src/train/classification.ts'
import { withKeys } from '../../src/train/drop-keys.ts'
import type { EpochRecord } from '../../src/train/events.ts'
import { fit } from '../../src/train/fit.ts'
import { type SweepPoint, sweepRates } from '../../src/train/rate-sweep.ts'
import type { TrainingBatch } from '../../src/train/step.ts'
import { timeBudget } from '../../src/train/time-budget.ts'
import { type Digits, PIXELS } from './digits.ts'

const CLASSES = 10

export interface NetworkSetting {
  /** Units of the hidden layers. */
  readonly hidden: readonly number[]
  readonly activation?: 'relu' | 'tanh' | 'sigmoid'
  /** A name of `--init`. */
  readonly init?: string
  readonly seed?: number
}

export interface TrainingSetting extends NetworkSetting {
  readonly train: Digits
  readonly validation: Digits
  readonly rate: number
  readonly optimiser?: OptimiserName
  readonly batchSize?: number
  readonly epochs: number
  readonly dropout?: number
  /** The notes' L of L/(2n) times the sum of squared weights. */
  readonly l2?: number
  readonly patience?: number
}

export interface DigitTraining {
  readonly history: readonly EpochRecord[]
  /** Of each step, before it was made. */
  readonly stepLosses: readonly number[]
  readonly bestEpoch: number
  /** Why it ended before its last epoch. */
  readonly stopped?: string
  /** Weights and biases by name at the end. */
  readonly weights: ReadonlyMap<string, Float32Array>
}

/** Trains a network from random weights. A training that diverges is `stopped`. */
export function trainDigits(setting: TrainingSetting): Promise<DigitTraining> {
  const { train, validation, rate, epochs, batchSize = 20, patience = 0, seed = 1 } = setting
  return withNetwork(setting, async ({ graph, store, runner, updater, engine }) => {
    const stepLosses: number[] = []
    const history: EpochRecord[] = []
    const outputs = await outputsOf(engine, graph, store, validation.count)
    const outcome = await fit({
      phase: 'head',
      runner,
      updater,
      // Nothing but weights changes.
      traces: { remember: () => undefined, undo: () => undefined },
      classes: CLASSES,
      epochs,
      pictures: train.count,
      batchSize,
      accumulate: 1,
      rate,
      schedule: { kind: 'constant' },
      warmupEpochs: 0,
      smoothing: 0,
      patience,
      onNan: 'stop',
      batches: batchesOf(train, batchSize, seed, runner),
      validate: async () =>
        metricsOf((await outputs.of(validation)).get(graph.output) ?? new Float32Array(), validation.labels, CLASSES),
      isFinite: async () => store.parameters.every(({ name }) => store.read(name).data.every(Number.isFinite)),
      budget: timeBudget(undefined, '', undefined),
      listener: (event) => {
        if (event.type === 'step') stepLosses.push(event.loss)
        if (event.type === 'epoch') history.push(event)
      },
    }).catch((error: unknown) => {
      if (error instanceof RegraftError && error.code === 'usage')
        return { stopped: error.message, progress: undefined }
      throw error
    })
    const weights = new Map(store.parameters.map(({ name }) => [name, store.read(name).data]))
    const bestEpoch = outcome.progress?.bestEpoch ?? 0
    const stopped = outcome.stopped === undefined ? {} : { stopped: outcome.stopped }
    return { history, stepLosses, bestEpoch, weights, ...stopped }
  })
}

/** Steps at a rising rate, as `lr-find` makes them. */
export function sweepDigits(
  setting: Omit<TrainingSetting, 'rate' | 'epochs' | 'validation'>,
  range: { readonly from: number; readonly to: number; readonly steps: number },
): Promise<readonly SweepPoint[]> {
  const { train, batchSize = 20, seed = 1 } = setting
  return withNetwork(setting, ({ runner, updater }) =>
    sweepRates({
      ...range,
      runner,
      updater,
      classes: CLASSES,
      smoothing: 0,
      signal: undefined,
      batches: batchesOf(train, batchSize, seed, runner),
      pictures: train.count,
      stepPictures: batchSize,
    }),
  )
}

/** What each hidden layer gives for pictures, by its name, before anything was learnt. */
export async function activationsOf(
  setting: NetworkSetting,
  digits: Digits,
): Promise<ReadonlyMap<string, Float32Array>> {
  const engine = createEngine({ threads: 1, simd: 'baseline' })
  try {
    const graph = networkOf(setting)
    const store = await storeOf(engine, graph, setting)
    const outputs = await outputsOf(engine, graph, store, digits.count)
    const all = await outputs.of(digits)
    all.delete(graph.output)
    return all
  } finally {
    await engine.close()
  }
}

interface Network {
  readonly engine: Engine
  /** As it predicts. */
  readonly graph: Graph
  readonly store: ParameterStore
  /** As it trains. */
  readonly runner: Runner
  readonly updater: Updater
}

type Trained = NetworkSetting & Pick<TrainingSetting, 'train' | 'optimiser' | 'batchSize' | 'dropout' | 'l2'>

async function withNetwork<T>(setting: Trained, work: (network: Network) => Promise<T>): Promise<T> {
  const { train, optimiser = 'sgd', batchSize = 20, dropout = 0, l2 = 0 } = setting
  const engine = createEngine({ threads: 1, simd: 'baseline' })
  try {
    const graph = networkOf(setting)
    const store = await storeOf(engine, graph, setting)
    const training = {
      trainable: new Set(store.parameters.map(({ name }) => name)),
      batchStatistics: new Set<string>(),
      loss: { kind: 'ce' } as const,
    }
    const dropping = withDropping(graph, { dropout, dropConnect: 0, paths: new Map() })
    const runner = createRunner(engine, dropping, store, { images: batchSize, input: 'floats', training })
    const penalty = penaltyStrength({ l2, l1: 0 }, train.count)
    const updater = createUpdater(engine, runner, store, { optimiser, weightDecay: 0, penalty, clipNorm: 0 })
    await runner.prepare()
    return await work({ engine, graph, store, runner, updater })
  } finally {
    await engine.close()
  }
}

function networkOf({ hidden, activation = 'relu' }: NetworkSetting): Graph {
  const net = graphBuilder()
  const input = net.layer('tensorInput', 'input', { shape: [PIXELS] }, [])
  let value = input
  for (const [index, outFeatures] of hidden.entries()) {
    value = net.layer('linear', `head.${index}`, { outFeatures, bias: true }, [value])
    value = net.layer('activation', `hidden ${index + 1}`, { kind: activation }, [value])
  }
  const output = net.layer('linear', 'classifier', { outFeatures: CLASSES, bias: true }, [value])
  return net.finish({ output, features: input, classifier: output })
}

async function storeOf(engine: Engine, graph: Graph, { init = 'he-normal', seed = 1 }: NetworkSetting) {
  const store = createParameters(engine, graph)
  for (const [name, tensor] of await initialWeights(graph, seed, initialiserNamed(init))) store.write(name, tensor)
  return store
}

/** The network as it predicts, on sets of at most so many pictures. */
async function outputsOf(engine: Engine, graph: Graph, store: ParameterStore, images: number) {
  const hidden = graph.layers.filter(({ op }) => op === 'activation').map(({ name }) => name)
  const runner = createRunner(engine, graph, store, { images, input: 'floats', outputs: hidden })
  return {
    /** Of the hidden layers and of the network, by name: f32[count, units]. */
    async of({ count, pixels }: Digits): Promise<Map<string, Float32Array>> {
      await runner.prepare()
      runner.writeFloats(pixels)
      await runner.run(count)
      return new Map([...hidden, graph.output].map((name) => [name, runner.read(name, count)]))
    },
  }
}

/** The pictures of an epoch in an order of its own. */
function batchesOf({ count, pixels, labels }: Digits, batchSize: number, seed: number, runner: Runner) {
  async function* inOrder(epoch: number, from: number): AsyncGenerator<TrainingBatch> {
    const order = epochOrder(count, seed, epoch)
    for (let at = from; at < count; at += batchSize) {
      const chosen = order.subarray(at, at + batchSize)
      yield {
        labels: Int32Array.from(chosen, (index) => labels[index] ?? 0),
        names: () => Array.from(chosen, (index) => `digit ${index}`),
        write(into = runner, pictures = chosen.length) {
          for (const [place, index] of chosen.subarray(0, pictures).entries())
            into.writeFloats(pixels.subarray(index * PIXELS, (index + 1) * PIXELS), place)
        },
      }
    }
  }
  return (epoch: number, from: number) =>
    withKeys(inOrder(epoch, from), runner, { seed, epoch, from, stepPictures: batchSize })
}
