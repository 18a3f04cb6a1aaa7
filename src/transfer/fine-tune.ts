import { augmentations } from '../data/augmentations/index.ts'
import { epochOrder } from '../data/epoch-order.ts'
import { loadBatches } from '../data/loader.ts'
import { freezeExcept } from '../graph/freeze.ts'
import type { Graph } from '../graph/graph.ts'
import { layerNamed } from '../graph/graph.ts'
import { graphOf, type Model } from '../model/model.ts'
import { channelsOf } from '../ops/op.ts'
import { createUpdater, updaterBytes } from '../optim/updater.ts'
import { createRunner } from '../runtime/runner.ts'
import type { HostTensor } from '../tensor/host-tensor.ts'
import type { TrainingBatch } from '../train/step.ts'
import { evaluatePictures } from './evaluate-pictures.ts'
import { headTrainerBytes } from './head-trainer.ts'
import { fitResumably } from './resumable-fit.ts'
import { saveBest } from './save-best.ts'
import { INFERENCE_BATCH, loadTensors, openInference, openSession, readTensors, type Session } from './session.ts'
import { firstHead } from './train-on-features.ts'
import { vectorsOf } from './train-vectors.ts'
import { type Outcome, trainingRecord, type Work } from './train-work.ts'
import { batchStatistics, trainableLayers, trainableParameters, trainableValues } from './trainable.ts'

export async function fineTune(work: Work): Promise<Outcome> {
  const { options, config, data, model, out, timing, resumed } = work
  const { engine, listener, signal } = options
  const plain = graphOf(model)
  const graph = freezeExcept(plain, trainableLayers(plain, config))
  const session = await openSession(engine, model, graph)
  try {
    const classes = data.classes.length
    const hasHead = session.store.parameters.every(({ name }) => model.tensors.has(name))
    const trainable = trainableParameters(graph, config.bnAffine)
    const statistics = batchStatistics(graph, config.bn)
    // All memory is taken before the first picture is looked at, so that too little of it is known at once.
    const watcher = await openInference(engine, session, INFERENCE_BATCH, [graph.features], signal)
    const optimiser = { optimiser: config.opt, settings: { momentum: config.momentum } }
    const runner = createRunner(engine, graph, session.store, {
      images: config.batchSize,
      input: 'bytes',
      training: { trainable, batchStatistics: statistics },
      besideBytes:
        updaterBytes(optimiser, trainableValues(session.store, trainable), trainable.size) +
        headTrainerBytes(channelsOf(layerNamed(graph, graph.features).shape), classes, model.head, config.batchSize),
    })
    const updater = createUpdater(engine, runner, session.store, {
      ...optimiser,
      weightDecay: config.weightDecay,
      clipNorm: config.clipGrad,
    })
    try {
      const vectors = await vectorsOf(work, watcher)
      if (!resumed) {
        if (hasHead)
          listener?.({
            type: 'note',
            message: `The head of ${config.model} has the same classes; training goes on from it.`,
          })
        else if (config.pretrained) await loadTensors(session.store, await firstHead(work, vectors))
        else await loadTensors(session.store, await freshHead(graph, config.seed))
      }
      await runner.prepare(signal)
      if (runner.zeroGradients) await engine.run([runner.zeroGradients], 1, signal)
      const changing = session.store.parameters.filter(
        ({ name, layer, spec }) => trainable.has(name) || (spec.kind === 'statistic' && statistics.has(layer.name)),
      )
      const names = changing.map(({ name }) => name)
      const counters = new Map(model.counters)
      const trainCount = data.train.length - vectors.badTrain.size
      const { progress, stopped, best, bestCounters } = await fitResumably(work, {
        phase: 'finetune',
        runner,
        updater,
        store: session.store,
        changing,
        counters,
        pictures: trainCount,
        batches: (epoch, from, stop) =>
          pictureBatches(work, { runner, epoch, from, knownBad: vectors.badTrain, statistics, counters, signal: stop }),
        async validate(stop) {
          await watcher.prepare(stop)
          const pictures = vectors.validationBytes ?? data.validation
          return evaluatePictures(watcher, pictures, model.preprocessing, classes, { signal: stop, timing })
        },
        weights: () => readTensors(session.store, names),
        onBest: (weights, counts) =>
          saveBest(out, withWeights(model, session, weights, counts), { training: trainingRecord(work) }),
      })
      const all = withWeights(model, session, best, bestCounters)
      return {
        weights: all.tensors,
        counters: all.counters,
        history: progress.history,
        bestEpoch: progress.bestEpoch,
        stopped,
        images: { train: trainCount, val: vectors.validation.labels.length },
      }
    } finally {
      updater.close()
      runner.close()
      watcher.close()
    }
  } finally {
    session.close()
  }
}

async function freshHead(graph: Graph, seed: number): Promise<ReadonlyMap<string, HostTensor>> {
  const { initialWeights } = await import('../model/initialise.ts')
  const all = await initialWeights({ ...graph, layers: graph.layers.filter((layer) => layer.stage === 'head') }, seed)
  return new Map(
    [...all].filter(
      ([name]) =>
        (graph.classifier !== undefined && name.startsWith(`${graph.classifier}.`)) || name.startsWith('head.'),
    ),
  )
}

interface PictureBatches {
  readonly runner: { writeBytes(bytes: Uint8Array): void }
  readonly epoch: number
  /** Good pictures of the epoch that are passed already. */
  readonly from: number
  readonly knownBad: Set<number>
  /** Names of the batch norms that learn their statistics, and their counters. */
  readonly statistics: ReadonlySet<string>
  readonly counters: Map<string, number>
  readonly signal: AbortSignal | undefined
}

async function* pictureBatches(work: Work, options: PictureBatches): AsyncGenerator<TrainingBatch> {
  const { runner, epoch, from, knownBad, statistics, counters, signal } = options
  const { config, data, model, timing } = work
  const order = epochOrder(data.train.length, config.seed, epoch).filter((index) => !knownBad.has(index))
  for await (const batch of loadBatches({
    samples: data.train,
    order: order.subarray(from),
    preprocessing: model.preprocessing,
    batchSize: config.batchSize,
    augment: augmentations[config.augment],
    seed: config.seed,
    epoch,
    signal,
    knownBad,
    kept: work.kept,
    statistics: timing.load,
    // Pictures that could not be read are known by now; one that vanished since must not change the run silently.
    onError: 'stop',
  })) {
    yield {
      labels: batch.labels,
      names: () => batch.indices.map((index) => data.train[index]?.path ?? ''),
      write() {
        runner.writeBytes(batch.bytes)
        for (const layer of statistics) {
          const name = `${layer}.num_batches_tracked`
          counters.set(name, (counters.get(name) ?? 0) + 1)
        }
      },
    }
  }
}

function withWeights(
  model: Model,
  session: Session,
  changed: ReadonlyMap<string, HostTensor>,
  counters: ReadonlyMap<string, number>,
): Model {
  const tensors = new Map<string, HostTensor>()
  for (const { name } of session.store.parameters) {
    const tensor = changed.get(name) ?? model.tensors.get(name)
    if (!tensor) throw new Error(`the weight '${name}' was lost`)
    tensors.set(name, tensor)
  }
  return { ...model, tensors, counters }
}
