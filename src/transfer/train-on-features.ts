import { architectureOf, type Model } from '../model/model.ts'
import { penaltyStrength } from '../optim/penalty.ts'
import { createUpdater } from '../optim/updater.ts'
import { createWeightAverage } from '../optim/weight-average.ts'
import type { Loss } from '../runtime/loss.ts'
import type { HostTensor } from '../tensor/host-tensor.ts'
import { type LabelledOutputs, type Metrics, metricsOf, validationRecord } from '../train/classification.ts'
import type { EpochRecord } from '../train/events.ts'
import { fit } from '../train/fit.ts'
import { forwardTraces } from '../train/forward-traces.ts'
import { timeBudget } from '../train/time-budget.ts'
import { createHeadTrainer, type HeadTrainer, solveHead, type Vectors } from './head-trainer.ts'
import { chosenInitialiser } from './initialiser-option.ts'
import { chosenLoss, isSolvable } from './loss-options.ts'
import { opened } from './opened.ts'
import { headDroppingOf, withoutRegularisers } from './regularisers.ts'
import { fitResumably } from './resumable-fit.ts'
import { allFinite, INFERENCE_BATCH, openInference, openSession } from './session.ts'
import { isSolved } from './train-defaults.ts'
import { type BothVectors, vectorsOf } from './train-vectors.ts'
import type { Outcome, Work } from './train-work.ts'
import { wholePass } from './whole-network.ts'

/**
 * A trainer of the work's head on these vectors.
 * @param accumulate  batches of a step; 0 for a head that is solved, from which nothing is left out
 */
export function trainerFor(work: Work, vectors: Vectors, accumulate: number): Promise<HeadTrainer> {
  const { options, config, model } = work
  return createHeadTrainer({
    engine: options.engine,
    signal: options.signal,
    vectors,
    classes: model.labels.length,
    head: model.head,
    classifier: architectureOf(model).classifier,
    loss: chosenLoss(config),
    initialiser: chosenInitialiser(config),
    seed: config.seed,
    batchSize: config.batchSize,
    sampler: config.sampler,
    microBatch: config.microBatch ?? config.batchSize,
    dropping: headDroppingOf(accumulate > 0 ? config : withoutRegularisers(config)),
    stepVectors: config.batchSize * Math.max(accumulate, 1),
  })
}

export async function trainOnFeatures(work: Work): Promise<Outcome> {
  const { options, config, model } = work
  const trunkModel: Model = { ...model, head: { kind: 'none' }, labels: [] }
  const trunk = await openSession(options.engine, trunkModel)
  let vectors: BothVectors
  try {
    const { features } = trunk.graph
    const runner = await openInference(options.engine, trunk, INFERENCE_BATCH, [features], options.signal)
    try {
      vectors = await vectorsOf(work, wholePass(work, runner))
    } finally {
      runner.close()
    }
  } finally {
    trunk.close()
  }
  const solved = isSolved(config)
  const trainer = await trainerFor(work, vectors.train, solved ? 0 : config.accum)
  try {
    if (config.mode === 'features' && model.head.kind === 'linear' && !isSolvable(config.loss))
      options.listener?.({
        type: 'note',
        message: `With --loss ${config.loss} there is no head to solve for, so it is trained by gradient for ${config.epochs} epochs.`,
      })
    const { weights, history, bestEpoch, stopped, validation } = solved
      ? await solve(work, trainer, vectors)
      : await descend(work, trainer, vectors)
    return {
      weights,
      counters: new Map(),
      history,
      bestEpoch,
      stopped,
      validation,
      images: { train: vectors.train.labels.length, val: vectors.validation.labels.length },
    }
  } finally {
    trainer.close()
  }
}

interface HeadOutcome {
  readonly weights: ReadonlyMap<string, HostTensor>
  readonly history: readonly EpochRecord[]
  readonly bestEpoch: number
  readonly stopped?: string | undefined
  readonly validation: LabelledOutputs
}

/** Logistic regression to the optimum: one row of history. */
async function solve(work: Work, trainer: HeadTrainer, vectors: BothVectors): Promise<HeadOutcome> {
  const { options, config, model } = work
  const startedAt = performance.now()
  await solveHead(trainer, vectors.train, model.labels.length, config.strength, work.classWeights, options)
  const classes = model.labels.length
  const loss = chosenLoss(config)
  const training = metrics(await trainer.evaluate(vectors.train, options.signal), classes, loss)
  const outputs = await trainer.evaluate(vectors.validation, options.signal)
  const validation = metrics(outputs, classes, loss)
  const record: EpochRecord = {
    epoch: 1,
    learningRate: 0,
    trainLoss: training.loss,
    trainAccuracy: training.accuracy,
    ...validationRecord(validation),
    seconds: (performance.now() - startedAt) / 1000,
  }
  options.listener?.({ type: 'epoch', epochs: 1, best: true, ...record })
  return { weights: trainer.folded(), history: [record], bestEpoch: 1, validation: outputs }
}

function metrics({ logits, labels }: LabelledOutputs, classes: number, loss: Loss): Metrics {
  return metricsOf(logits, labels, classes, loss)
}

/** Gradient training of a head on features. */
async function descend(work: Work, trainer: HeadTrainer, vectors: BothVectors): Promise<HeadOutcome> {
  const { options, config, model } = work
  const classes = model.labels.length
  const all = opened()
  try {
    const updater = all.add(
      createUpdater(options.engine, trainer.runner, trainer.store, {
        optimiser: config.opt,
        settings: { momentum: config.momentum },
        weightDecay: config.weightDecay,
        penalty: penaltyStrength(config, work.data.train.length),
        clipNorm: config.clipGrad,
      }),
    )
    const changing = trainer.store.parameters
    const average =
      config.ema === null
        ? undefined
        : all.add(createWeightAverage(options.engine, trainer.store, changing, config.ema))
    const { best, progress, stopped } = await fitResumably(work, {
      phase: 'head',
      runner: trainer.runner,
      updater,
      average,
      store: trainer.store,
      changing,
      counters: new Map(),
      pictures: vectors.train.labels.length,
      probe: () => trainer.batches(1, 0),
      batches: (epoch, from) => trainer.batches(epoch, from),
      validate: async (signal) =>
        metrics(await trainer.evaluate(vectors.validation, signal), classes, chosenLoss(config)),
      weights: async () => trainer.folded(),
    })
    const validation = await trainer.evaluate(vectors.validation, options.signal, best)
    return { weights: best, history: progress.history, bestEpoch: progress.bestEpoch, stopped, validation }
  } finally {
    all.close()
  }
}

/** The head before the trunk moves: a trained one, because random gradients would wreck the trunk. */
export async function firstHead(work: Work, vectors: BothVectors): Promise<ReadonlyMap<string, HostTensor>> {
  const { config, model, options } = work
  const solved = model.head.kind === 'linear' && config.warmupHead === null && isSolvable(config.loss)
  const trainer = await trainerFor(work, vectors.train, solved ? 0 : 1)
  try {
    if (solved) {
      await solveHead(trainer, vectors.train, model.labels.length, config.strength, work.classWeights, options)
      return trainer.folded()
    }
    const epochs = config.warmupHead ?? 10
    if (epochs === 0) return trainer.folded()
    const updater = createUpdater(options.engine, trainer.runner, trainer.store, {
      optimiser: 'adamw',
      weightDecay: 0.05,
      clipNorm: 0,
    })
    try {
      await fit({
        phase: 'head',
        runner: trainer.runner,
        updater,
        traces: forwardTraces(options.engine, [], new Map()),
        classes: model.labels.length,
        epochs,
        pictures: vectors.train.labels.length,
        batchSize: config.batchSize,
        accumulate: 1,
        rate: 1e-3,
        schedule: { kind: 'cosine' },
        warmupEpochs: 0,
        smoothing: config.smoothing,
        classWeights: work.classWeights,
        patience: 0,
        onNan: 'stop',
        batches: (epoch, from) => trainer.batches(epoch, from),
        validate: async (signal) =>
          metrics(await trainer.evaluate(vectors.validation, signal), model.labels.length, chosenLoss(config)),
        isFinite: () => allFinite(options.engine, trainer.store.parameters),
        // Nothing of it is kept, so there is nothing to stop for before it is done.
        budget: timeBudget(undefined, '', options.signal),
      })
    } finally {
      updater.close()
    }
    return trainer.folded()
  } finally {
    trainer.close()
  }
}
