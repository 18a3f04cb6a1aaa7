// A head of layers on feature vectors, ready to be trained or solved.

import { epochOrder } from '../data/epoch-order.ts'
import { type Dropping, withDropping } from '../graph/dropping.ts'
import type { Graph } from '../graph/graph.ts'
import { parameterName, parametersOf } from '../graph/graph.ts'
import { type Head, headGraph } from '../model/head.ts'
import { initialWeights } from '../model/initialise.ts'
import type { Initialiser } from '../model/initialisers.ts'
import { channelsOf } from '../ops/op.ts'
import type { Loss } from '../runtime/loss.ts'
import { createParameters } from '../runtime/parameters.ts'
import { createRunner, type Runner } from '../runtime/runner.ts'
import { type Standardisation, standardisationOf, standardise } from '../solve/standardise.ts'
import type { HostTensor } from '../tensor/host-tensor.ts'
import { elementCount } from '../tensor/shape.ts'
import { balancedOrder } from '../train/balanced-order.ts'
import { batchPieces } from '../train/batch-pieces.ts'
import type { LabelledOutputs } from '../train/classification.ts'
import { withKeys } from '../train/drop-keys.ts'
import type { TrainingBatch } from '../train/step.ts'
import type { Targets } from '../train/target-values.ts'
import { fitSpace, type SpaceOptions } from './feature-space.ts'
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
  /** What the outputs should be, where that is not one class of many; the labels say nothing then. */
  readonly targets?: Targets
}

/** A head in training. Its weights work in a space of its own; `folded` gives those for raw features. */
export interface HeadTrainer {
  readonly graph: Graph
  readonly runner: Runner
  readonly store: ReturnType<typeof createParameters>
  /** f32[labels.length, inputWidth]: the vectors as the head sees them. */
  readonly inputs: Float32Array
  readonly inputWidth: number
  readonly labels: Int32Array
  /** [labels.length, classes]: numbers brought to mean 0 and variance 1, or 1 for each label; absent for one class of many. */
  readonly shares: Float32Array | undefined
  /** Vectors that the runner takes at a time. */
  readonly chunk: number
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
export function headTrainerBytes(
  width: number,
  classes: number,
  head: Head,
  dropping: Dropping,
  microBatch: number,
): number {
  const graph = withDropping(headGraph(width, classes, head, 'classifier'), dropping)
  const weights = graph.layers.reduce(
    (sum, layer) => sum + parametersOf(layer).reduce((own, { shape }) => own + elementCount(shape), 0),
    0,
  )
  const activations = graph.layers.reduce((sum, layer) => sum + channelsOf(layer.shape), 0)
  // Weights that a step leaves out: those that it has, their gradient, and one of them packed.
  const copies = dropping.dropConnect > 0 ? 9 : 6
  return 4 * (copies * weights + 3 * activations * Math.max(microBatch, CHUNK)) + (1 << 20)
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
  /** What is made of the features before they are learnt from. */
  readonly space: SpaceOptions
  /** What each step leaves out. */
  readonly dropping: Dropping
  /** Vectors of a step. */
  readonly stepVectors: number
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
  const space = await fitSpace(engine, vectors.values, width, options.space, signal)
  const inputs = await space.enter(vectors.values, signal)
  const inputWidth = space.width
  const graph = headGraph(inputWidth, classes, options.head, options.classifier)
  const rawGraph = headGraph(width, classes, options.head, options.classifier)
  const parameters = (of: Graph) => {
    const created = createParameters(engine, of)
    all.add({ close: () => created.free() })
    return created
  }
  const store = parameters(graph)
  await loadTensors(store, await initialWeights(graph, options.seed, options.initialiser))
  const trainable = new Set(
    graph.layers.flatMap((layer) => parametersOf(layer).map((spec) => parameterName(layer, spec))),
  )
  const runner = all.add(
    createRunner(engine, withDropping(graph, options.dropping), store, {
      images: Math.max(options.microBatch, CHUNK),
      input: 'floats',
      training: { trainable, batchStatistics: new Set(), loss: options.loss ?? { kind: 'ce' } },
    }),
  )
  await runner.prepare(signal)
  if (runner.zeroGradients) await engine.run([runner.zeroGradients], 1, signal)
  const rawStore = parameters(rawGraph)
  const rawRunner = all.add(createRunner(engine, rawGraph, rawStore, { images: CHUNK, input: 'floats' }))
  const { targets } = vectors
  const scales = targets?.kind === 'numbers' ? await standardisationOf(targets.values, classes) : undefined
  const shares = targets && scales ? await standardise(targets.values, scales) : targets?.values
  const firstLayer = graph.layers.find((layer) => layer.op === 'linear')
  const lastLayer = graph.layers.findLast((layer) => layer.op === 'linear')
  if (!firstLayer || !lastLayer) throw new Error('a head has a linear layer')

  const folded = (): Map<string, HostTensor> => {
    const tensors = new Map(store.parameters.map(({ name }) => [name, store.read(name)]))
    const weight = tensors.get(`${firstLayer.name}.weight`)
    const bias = tensors.get(`${firstLayer.name}.bias`)
    if (!weight || !bias) throw new Error('a linear layer has weight and bias')
    const result = space.fold(weight.data, bias.data)
    tensors.set(`${firstLayer.name}.weight`, { shape: [bias.data.length, width], data: result.weight })
    tensors.set(`${firstLayer.name}.bias`, { shape: bias.shape, data: result.bias })
    if (scales) toNumbers(tensors, lastLayer.name, scales)
    return tensors
  }

  async function* plainBatches(epoch: number, from: number): AsyncGenerator<TrainingBatch> {
    const order =
      options.sampler === 'balanced'
        ? balancedOrder(labels, options.seed, epoch)
        : epochOrder(labels.length, options.seed, epoch)
    for (const { start, end } of batchPieces(from, order.length, options.batchSize, options.microBatch)) {
      const members = order.subarray(start, end)
      const batchLabels = Int32Array.from(members, (index) => labels[index] ?? 0)
      yield {
        labels: batchLabels,
        ...(shares ? { shares: rowsOf(shares, classes, members) } : {}),
        names: () => Array.from(members, (index) => vectors.paths[index] ?? ''),
        write(into = runner, count = members.length) {
          const values = new Float32Array(count * inputWidth)
          for (const [row, index] of members.subarray(0, count).entries())
            values.set(inputs.subarray(index * inputWidth, (index + 1) * inputWidth), row * inputWidth)
          into.writeFloats(values)
        },
      }
    }
  }

  return {
    graph,
    runner,
    store,
    inputs,
    inputWidth,
    labels,
    shares,
    chunk: CHUNK,
    folded,
    batches(epoch, from) {
      const { seed, stepVectors: stepPictures } = options
      return withKeys(plainBatches(epoch, from), runner, { seed, epoch, from, stepPictures })
    },
    async evaluate(raw, stop, weights = folded()) {
      await loadTensors(rawStore, weights)
      await rawRunner.prepare(stop)
      const logits = new Float32Array(raw.labels.length * classes)
      for (let at = 0; at < raw.labels.length; at += CHUNK) {
        const count = Math.min(CHUNK, raw.labels.length - at)
        rawRunner.writeFloats(raw.values.subarray(at * width, (at + count) * width))
        await rawRunner.run(count, { signal: stop })
        logits.set(rawRunner.read(rawGraph.output, count), at * classes)
      }
      return { logits, labels: raw.labels, paths: raw.paths, ...(raw.targets ? { targets: raw.targets } : {}) }
    },
    close: () => all.close(),
  }
}

/** Some rows of [rows, width]. */
function rowsOf(values: Float32Array, width: number, rows: ArrayLike<number> & Iterable<number>): Float32Array {
  const chosen = new Float32Array(rows.length * width)
  let at = 0
  for (const row of rows) chosen.set(values.subarray(row * width, (row + 1) * width), width * at++)
  return chosen
}

/** Makes a layer that gives standardised numbers give the numbers, in float64. */
function toNumbers(tensors: Map<string, HostTensor>, layer: string, { mean, scale }: Standardisation): void {
  const weight = tensors.get(`${layer}.weight`)
  const bias = tensors.get(`${layer}.bias`)
  if (!weight || !bias) throw new Error('a linear layer has weight and bias')
  const width = weight.data.length / bias.data.length
  const sizeOf = (output: number) => 1 / (scale[output] ?? 1)
  const numbers = weight.data.map((value, at) => value * sizeOf(Math.floor(at / width)))
  const shifted = bias.data.map((value, output) => value * sizeOf(output) + (mean[output] ?? 0))
  tensors.set(`${layer}.weight`, { shape: weight.shape, data: numbers })
  tensors.set(`${layer}.bias`, { shape: bias.shape, data: shifted })
}
