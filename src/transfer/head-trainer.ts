// A head trained on feature vectors: by L-BFGS to the optimum, or by gradient steps.

import { epochOrder } from '../data/epoch-order.ts'
import { RegraftError } from '../errors.ts'
import type { Graph } from '../graph/graph.ts'
import { parameterName, parametersOf } from '../graph/graph.ts'
import { type Head, headGraph } from '../model/head.ts'
import { initialWeights } from '../model/initialise.ts'
import type { Initialiser } from '../model/initialisers.ts'
import { channelsOf } from '../ops/op.ts'
import type { Loss } from '../runtime/loss.ts'
import { createParameters } from '../runtime/parameters.ts'
import { createRunner, type Runner } from '../runtime/runner.ts'
import { minimise } from '../solve/lbfgs.ts'
import { foldStandardisation, standardisationOf, standardise } from '../solve/standardise.ts'
import type { HostTensor } from '../tensor/host-tensor.ts'
import { elementCount } from '../tensor/shape.ts'
import { balancedOrder } from '../train/balanced-order.ts'
import { batchPieces } from '../train/batch-pieces.ts'
import type { LabelledOutputs } from '../train/classification.ts'
import type { TrainingBatch } from '../train/step.ts'
import { targetsOfLabels } from '../train/targets.ts'
import { type Opened, opened } from './opened.ts'
import type { Sampler, WorkOptions } from './options.ts'
import { loadTensors } from './session.ts'

/** Labelled feature vectors. */
export interface Vectors {
  /** [labels.length, width] */
  readonly values: Float32Array
  readonly labels: Int32Array
  readonly width: number
  /** Pictures that they are of, for messages. */
  readonly paths: readonly string[]
}

/** A head in training. Its weights work on standardised features; `folded` gives those for raw features. */
export interface HeadTrainer {
  readonly graph: Graph
  readonly runner: Runner
  readonly store: ReturnType<typeof createParameters>
  /** Batches of one epoch in the order drawn from the seed, or parts of them. @param from  vectors that are passed already */
  batches(epoch: number, from: number): AsyncIterable<TrainingBatch>
  /** What a folded head, the one as it is now when left out, makes of raw vectors. */
  evaluate(
    vectors: Vectors,
    signal: AbortSignal | undefined,
    weights?: ReadonlyMap<string, HostTensor>,
  ): Promise<LabelledOutputs>
  /** Weights for raw features, by parameter name. */
  folded(): Map<string, HostTensor>
  close(): void
}

const CHUNK = 1024

/** An upper bound of the memory that training a head takes: two copies of it, an average, its gradients, an optimiser, and the activations. */
export function headTrainerBytes(width: number, classes: number, head: Head, microBatch: number): number {
  const graph = headGraph(width, classes, head, 'classifier')
  const weights = graph.layers.reduce(
    (sum, layer) => sum + parametersOf(layer).reduce((own, { shape }) => own + elementCount(shape), 0),
    0,
  )
  const activations = graph.layers.reduce((sum, layer) => sum + channelsOf(layer.shape), 0)
  return 4 * (6 * weights + 3 * activations * Math.max(microBatch, CHUNK)) + (1 << 20)
}

export interface HeadTrainerOptions extends Pick<WorkOptions, 'engine' | 'signal'> {
  readonly vectors: Vectors
  readonly classes: number
  readonly head: Head
  /** Name of a linear head's layer. */
  readonly classifier: string
  /** Cross-entropy of softmax when left out. */
  readonly loss?: Loss
  /** How it begins. */
  readonly initialiser?: Initialiser | undefined
  readonly seed: number
  readonly batchSize: number
  readonly sampler: Sampler
  /** Vectors of a batch that are computed at a time. */
  readonly microBatch: number
}

export async function createHeadTrainer(options: HeadTrainerOptions): Promise<HeadTrainer> {
  const all = opened()
  try {
    return await openHeadTrainer(options, all)
  } catch (error) {
    all.close()
    throw error
  }
}

async function openHeadTrainer(options: HeadTrainerOptions, all: Opened): Promise<HeadTrainer> {
  const { engine, vectors, classes, signal } = options
  const { width, labels } = vectors
  const statistics = await standardisationOf(vectors.values, width)
  const inputs = await standardise(vectors.values, statistics)
  const graph = headGraph(width, classes, options.head, options.classifier)
  const parameters = () => {
    const created = createParameters(engine, graph)
    all.add({ close: () => created.free() })
    return created
  }
  const store = parameters()
  await loadTensors(store, await initialWeights(graph, options.seed, options.initialiser))
  const trainable = new Set(
    graph.layers.flatMap((layer) => parametersOf(layer).map((spec) => parameterName(layer, spec))),
  )
  const runner = all.add(
    createRunner(engine, graph, store, {
      images: Math.max(options.microBatch, CHUNK),
      input: 'floats',
      training: { trainable, batchStatistics: new Set(), loss: options.loss ?? { kind: 'ce' } },
    }),
  )
  await runner.prepare(signal)
  if (runner.zeroGradients) await engine.run([runner.zeroGradients], 1, signal)
  const rawStore = parameters()
  const rawRunner = all.add(createRunner(engine, graph, rawStore, { images: CHUNK, input: 'floats' }))
  const firstLayer = graph.layers.find((layer) => layer.op === 'linear')
  if (!firstLayer) throw new Error('a head has a linear layer')

  const folded = (): Map<string, HostTensor> => {
    const tensors = new Map(store.parameters.map(({ name }) => [name, store.read(name)]))
    const weight = tensors.get(`${firstLayer.name}.weight`)
    const bias = tensors.get(`${firstLayer.name}.bias`)
    if (!weight || !bias) throw new Error('a linear layer has weight and bias')
    const result = foldStandardisation(weight.data, bias.data, statistics)
    tensors.set(`${firstLayer.name}.weight`, { shape: weight.shape, data: result.weight })
    tensors.set(`${firstLayer.name}.bias`, { shape: bias.shape, data: result.bias })
    return tensors
  }

  return {
    graph,
    runner,
    store,
    folded,
    async *batches(epoch, from) {
      const order =
        options.sampler === 'balanced'
          ? balancedOrder(labels, options.seed, epoch)
          : epochOrder(labels.length, options.seed, epoch)
      for (const { start, end } of batchPieces(from, order.length, options.batchSize, options.microBatch)) {
        const members = order.subarray(start, end)
        const batchLabels = Int32Array.from(members, (index) => labels[index] ?? 0)
        yield {
          labels: batchLabels,
          names: () => Array.from(members, (index) => vectors.paths[index] ?? ''),
          write(into = runner, count = members.length) {
            const values = new Float32Array(count * width)
            for (const [row, index] of members.subarray(0, count).entries())
              values.set(inputs.subarray(index * width, (index + 1) * width), row * width)
            into.writeFloats(values)
          },
        }
      }
    },
    async evaluate(raw, stop, weights = folded()) {
      await loadTensors(rawStore, weights)
      await rawRunner.prepare(stop)
      const logits = new Float32Array(raw.labels.length * classes)
      for (let at = 0; at < raw.labels.length; at += CHUNK) {
        const count = Math.min(CHUNK, raw.labels.length - at)
        rawRunner.writeFloats(raw.values.subarray(at * width, (at + count) * width))
        await rawRunner.run(count, { signal: stop })
        logits.set(rawRunner.read(graph.output, count), at * classes)
      }
      return { logits, labels: raw.labels, paths: raw.paths }
    },
    close: () => all.close(),
  }
}

/**
 * A linear head on the trainer's vectors, to the optimum: mean of the trainer's loss + |W|²/(2·strength·n), biases free. With
 * cross-entropy it is multinomial logistic regression, as scikit-learn's LogisticRegression(C = strength) on standardised features.
 * @param weights  by which the losses of the classes count; all alike when absent
 */
export async function solveHead(
  trainer: HeadTrainer,
  vectors: Vectors,
  classes: number,
  strength: number,
  weights: readonly number[] | undefined,
  options: Pick<WorkOptions, 'engine' | 'signal' | 'listener'>,
): Promise<void> {
  const { runner, store, graph } = trainer
  const layer = graph.layers.find((candidate) => candidate.op === 'linear')
  if (!layer || graph.layers.length !== 2)
    throw new RegraftError('usage', 'Only a linear head can be solved; train others by gradient.')
  const { engine, signal, listener } = options
  const rows = vectors.labels.length
  const width = vectors.width
  const weightName = `${layer.name}.weight`
  const biasName = `${layer.name}.bias`
  const inputs = await standardise(vectors.values, await standardisationOf(vectors.values, width))
  const weightCount = classes * width
  const { loss } = runner
  if (loss === undefined) throw new Error('a head in training has a loss')
  const targetOptions = { loss, classes, smoothing: 0, classWeights: weights, pictures: rows }
  const maxIterations = 500
  listener?.({ type: 'phase', phase: 'solve', total: maxIterations, unit: 'iterations' })

  const put = (x: Float64Array) => {
    store.write(weightName, { shape: [classes, width], data: Float32Array.from(x.subarray(0, weightCount)) })
    store.write(biasName, { shape: [classes], data: Float32Array.from(x.subarray(weightCount)) })
  }
  const minimum = await minimise({
    initial: new Float64Array(weightCount + classes),
    maxIterations,
    signal,
    onIteration: ({ iteration, value }) =>
      listener?.({
        type: 'progress',
        phase: 'solve',
        done: iteration,
        total: maxIterations,
        detail: `loss ${value.toFixed(4)}`,
      }),
    async evaluate(x) {
      put(x)
      let value = 0
      for (let at = 0; at < rows; at += CHUNK) {
        const count = Math.min(CHUNK, rows - at)
        runner.writeFloats(inputs.subarray(at * width, (at + count) * width))
        // Divided by all rows, so that the sum of all losses is their mean.
        const targets = targetsOfLabels(vectors.labels.subarray(at, at + count), targetOptions)
        runner.writeTargets(targets.values, targets.weights)
        await runner.run(count, { signal })
        value += runner.losses(count).reduce((sum, loss) => sum + loss, 0)
      }
      const gradient = new Float64Array(weightCount + classes)
      gradient.set(runner.gradient(weightName).data, 0)
      gradient.set(runner.gradient(biasName).data, weightCount)
      if (runner.zeroGradients) await engine.run([runner.zeroGradients], 1, signal)
      const penalty = 1 / (strength * rows)
      for (let index = 0; index < weightCount; index++) {
        const w = x[index] ?? 0
        value += (penalty / 2) * w * w
        gradient[index] = (gradient[index] ?? 0) + penalty * w
      }
      return { value, gradient }
    },
  })
  put(minimum.x)
  listener?.({ type: 'phaseEnd', phase: 'solve' })
}
