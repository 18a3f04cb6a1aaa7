import { headLayers } from '../graph/edit.ts'
import { freezeExcept } from '../graph/freeze.ts'
import type { Graph } from '../graph/graph.ts'
import { layerNamed } from '../graph/graph.ts'
import { initialWeights } from '../model/initialise.ts'
import { graphOf, type Model } from '../model/model.ts'
import { channelsOf } from '../ops/op.ts'
import { penaltyStrength } from '../optim/penalty.ts'
import { createUpdater, updaterBytes } from '../optim/updater.ts'
import { createWeightAverage } from '../optim/weight-average.ts'
import type { HostTensor } from '../tensor/host-tensor.ts'
import { metricsOf } from '../train/classification.ts'
import { withKeys } from '../train/drop-keys.ts'
import type { TrainingBatch } from '../train/step.ts'
import { withAdaptedStatistics } from './adapt-statistics.ts'
import { openCutNetwork } from './cut-network.ts'
import { headTrainerBytes } from './head-trainer.ts'
import { chosenInitialiser } from './initialiser-option.ts'
import { layerRates } from './layer-rates.ts'
import { chosenLoss } from './loss-options.ts'
import { opened } from './opened.ts'
import { headDroppingOf } from './regularisers.ts'
import { fitResumably } from './resumable-fit.ts'
import { saveBest } from './save-best.ts'
import { loadTensors, openSession, readTensors, type Session } from './session.ts'
import type { TrainConfig } from './train-defaults.ts'
import { firstHead } from './train-on-features.ts'
import { vectorsOf } from './train-vectors.ts'
import { type Outcome, trainingRecord, type Work } from './train-work.ts'
import { averageBytes, batchStatistics, trainableLayers, trainableParameters, trainableValues } from './trainable.ts'
import { openWholeNetwork } from './whole-network.ts'

export async function fineTune(given: Work): Promise<Outcome> {
  const work = given.config.bn === 'adapt' ? { ...given, model: await withAdaptedStatistics(given) } : given
  const { options, config, data, model, out, resumed } = work
  const { engine, listener, signal } = options
  const plain = graphOf(model)
  const graph = freezeExcept(plain, trainableLayers(plain, config))
  const all = opened()
  const session = all.add(await openSession(engine, model, graph))
  try {
    const classes = data.classes.length
    const hasHead = session.store.parameters.every(({ name }) => model.tensors.has(name))
    const trainable = trainableParameters(graph, config.bnAffine)
    const statistics = batchStatistics(graph, config.bn)
    // All memory is taken before the first picture is looked at, so that too little of it is known at once.
    const optimiser = { optimiser: config.opt, settings: { momentum: config.momentum } }
    const changing = session.store.parameters.filter(
      ({ name, layer, spec }) => trainable.has(name) || (spec.kind === 'statistic' && statistics.has(layer.name)),
    )
    const besideBytes =
      averageBytes(changing, config) +
      updaterBytes(optimiser, trainableValues(session.store, trainable), trainable.size) +
      headTrainerBytes(
        channelsOf(layerNamed(graph, graph.features).shape),
        classes,
        model.head,
        headDroppingOf(config),
        config.microBatch ?? config.batchSize,
      )
    const loss = chosenLoss(config)
    const mode = { trainable, batchStatistics: statistics, loss }
    const network = all.add(
      (await openCutNetwork(work, session, mode, besideBytes)) ??
        (await openWholeNetwork(work, session, mode, besideBytes)),
    )
    const runner = network.training
    const updater = all.add(
      createUpdater(engine, runner, session.store, {
        ...optimiser,
        weightDecay: config.weightDecay,
        penalty: penaltyStrength(config, data.train.length),
        clipNorm: config.clipGrad,
        ...layerRates(graph, trainable, config),
      }),
    )
    const average =
      config.ema === null ? undefined : all.add(createWeightAverage(engine, session.store, changing, config.ema))
    const vectors = await vectorsOf(work, network.features)
    if (!resumed) {
      if (hasHead)
        listener?.({
          type: 'note',
          message: `The head of ${config.model} has the same classes; training goes on from it.`,
        })
      else if (config.pretrained) await loadTensors(session.store, await firstHead(work, vectors))
      else await loadTensors(session.store, await freshHead(graph, config))
    }
    await runner.prepare(signal)
    if (runner.zeroGradients) await engine.run([runner.zeroGradients], 1, signal)
    const names = changing.map(({ name }) => name)
    const counters = new Map(model.counters)
    const trainCount = data.train.length - vectors.badTrain.size
    const { progress, stopped, best, bestCounters } = await fitResumably(work, {
      phase: 'finetune',
      runner,
      updater,
      average,
      store: session.store,
      changing,
      counters,
      pictures: trainCount,
      probe: (stop) => network.batches(1, 0, vectors, stop),
      batches(epoch, from, stop) {
        const batches = counted(network.batches(epoch, from, vectors, stop), statistics, counters)
        const stepPictures = config.batchSize * config.accum
        return withKeys(batches, runner, { seed: config.seed, epoch, from, stepPictures })
      },
      async validate(stop) {
        const { logits, labels } = await network.validate(vectors, stop)
        return metricsOf(logits, labels, classes, loss)
      },
      weights: () => readTensors(session.store, names),
      onBest: (weights, counts) =>
        saveBest(out, withWeights(model, session, weights, counts), { training: trainingRecord(work) }),
    })
    await loadTensors(session.store, best)
    const validation = await network.validate(vectors, signal)
    const trained = withWeights(model, session, best, bestCounters)
    return {
      weights: trained.tensors,
      counters: trained.counters,
      history: progress.history,
      bestEpoch: progress.bestEpoch,
      stopped,
      validation,
      images: { train: trainCount, val: vectors.validation.labels.length },
    }
  } finally {
    all.close()
  }
}

/** A head of random weights. */
export async function freshHead(
  graph: Graph,
  config: Pick<TrainConfig, 'seed' | 'init'>,
): Promise<ReadonlyMap<string, HostTensor>> {
  return initialWeights({ ...graph, layers: headLayers(graph) }, config.seed, chosenInitialiser(config))
}

/** Counts the batches that the batch norms learn from. */
async function* counted(
  batches: AsyncIterable<TrainingBatch>,
  statistics: ReadonlySet<string>,
  counters: Map<string, number>,
): AsyncGenerator<TrainingBatch> {
  for await (const batch of batches) {
    yield {
      ...batch,
      write(...given) {
        batch.write(...given)
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
