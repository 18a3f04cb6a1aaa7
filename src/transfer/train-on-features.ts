import type { JsonObject } from '../files/strict-json.ts'
import { type Head, LONE_CLASSIFIER } from '../model/head.ts'
import { architectureOf, linearHeadName, type Model } from '../model/model.ts'
import { penaltyStrength } from '../optim/penalty.ts'
import { createUpdater } from '../optim/updater.ts'
import { createWeightAverage } from '../optim/weight-average.ts'
import type { Loss } from '../runtime/loss.ts'
import type { HostTensor } from '../tensor/host-tensor.ts'
import { type LabelledOutputs, type Metrics, metricsOf, validationRecord } from '../train/classification.ts'
import type { EpochRecord } from '../train/events.ts'
import { fit } from '../train/fit.ts'
import { forwardTraces } from '../train/forward-traces.ts'
import { targetMetrics } from '../train/target-metrics.ts'
import { timeBudget } from '../train/time-budget.ts'
import { createHeadTrainer, type HeadTrainer, type Vectors } from './head-trainer.ts'
import { chosenInitialiser } from './initialiser-option.ts'
import { solveHead } from './linear-solvers.ts'
import { chosenLoss, isSolvable } from './loss-options.ts'
import { fitNeighbours, openReadout } from './neighbour-head.ts'
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
    classifier: work.backbone ? LONE_CLASSIFIER : linearHeadName(architectureOf(model)),
    loss: work.positives ? { kind: 'bce', positives: work.positives } : chosenLoss(config),
    initialiser: chosenInitialiser(config),
    seed: config.seed,
    batchSize: config.batchSize,
    sampler: config.sampler,
    microBatch: config.microBatch ?? config.batchSize,
    space: config,
    dropping: headDroppingOf(accumulate > 0 ? config : withoutRegularisers(config)),
    stepVectors: config.batchSize * Math.max(accumulate, 1),
  })
}

/** Every picture through the trunk once, and a head on what comes out. */
export async function trainOnFeatures(work: Work): Promise<Outcome> {
  return await trainOnVectors(work, await computedVectors(work))
}

/** Feature vectors of all training and validation pictures. */
export async function computedVectors(work: Work): Promise<BothVectors> {
  const { options, model } = work
  const trunkModel: Model = { ...model, head: { kind: 'none' }, labels: [] }
  const trunk = await openSession(options.engine, trunkModel)
  try {
    const { features } = trunk.graph
    const runner = await openInference(options.engine, trunk, INFERENCE_BATCH, [features], options.signal)
    try {
      return await vectorsOf(work, wholePass(work, runner))
    } finally {
      runner.close()
    }
  } finally {
    trunk.close()
  }
}

/** A head on feature vectors, wherever they come from. */
export async function trainOnVectors(work: Work, vectors: BothVectors): Promise<Outcome> {
  const found = work.config.solver === 'knn' ? await remember(work, vectors) : await findLayers(work, vectors)
  const images = { train: vectors.train.labels.length, val: vectors.validation.labels.length }
  return { ...found, counters: new Map(), images }
}

async function findLayers(work: Work, vectors: BothVectors): Promise<HeadOutcome> {
  const trainer = await trainerFor(work, vectors.train, isSolved(work.config) ? 0 : work.config.accum)
  try {
    const { config, model, options } = work
    if (config.mode === 'features' && model.head.kind === 'linear' && !isSolvable(config.loss))
      options.listener?.({
        type: 'note',
        message: `With --loss ${config.loss} there is no head to solve for, so it is trained by gradient for ${config.epochs} epochs.`,
      })
    const found = isSolved(work.config) ? await solve(work, trainer, vectors) : await descend(work, trainer, vectors)
    const { test } = vectors
    return test ? { ...found, test: await trainer.evaluate(test, work.options.signal, found.weights) } : found
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
  readonly test?: LabelledOutputs
  readonly head?: Head
  readonly chosen?: JsonObject
}

/** A linear head in one go: one row of history. */
async function solve(work: Work, trainer: HeadTrainer, vectors: BothVectors): Promise<HeadOutcome> {
  const { options, config, model } = work
  const startedAt = performance.now()
  const strength = await solveHead(trainer, solveOptions(work))
  const evaluate = (some: Vectors) => trainer.evaluate(some, options.signal)
  const { record, validation } = await onlyRecord(work, vectors, evaluate, startedAt)
  const chosen = config.strength === 'auto' && strength !== undefined ? { chosen: { strength } } : {}
  if (config.strength === 'auto')
    options.listener?.({ type: 'note', message: `Chosen by cross-validation: --strength ${strength?.toPrecision(3)}` })
  options.listener?.({ type: 'epoch', epochs: 1, best: true, ...record })
  return { weights: trainer.folded(), history: [record], bestEpoch: 1, validation, ...chosen, head: model.head }
}

/** What the solver of a work's head is told. */
export function solveOptions({ options, config, model, classWeights }: Work) {
  const { engine, signal, listener } = options
  const { seed, solver } = config
  // Before fine-tuning a head is solved in the usual way.
  const how = solver === 'ridge' || solver === 'centroid' ? solver : ('lbfgs' as const)
  const { strength } = config
  return { engine, signal, listener, seed, classWeights, classes: model.labels.length, solver: how, strength }
}

/** Training vectors that are remembered, and vote. */
async function remember(work: Work, vectors: BothVectors): Promise<HeadOutcome> {
  const { options, config, model } = work
  const { engine, signal } = options
  const startedAt = performance.now()
  const classes = model.labels.length
  const { head, tensors } = await fitNeighbours(engine, vectors.train, classes, config, signal)
  if (config.neighbours === null)
    options.listener?.({ type: 'note', message: `Chosen by cross-validation: --neighbours ${head.neighbours}` })
  const readout = await openReadout(engine, { ...model, head, tensors })
  try {
    const evaluate = async ({ values, labels, paths }: Vectors) => ({
      logits: await readout.read(values, signal),
      labels,
      paths,
    })
    const { record, validation } = await onlyRecord(work, vectors, evaluate, startedAt)
    options.listener?.({ type: 'epoch', epochs: 1, best: true, ...record })
    const test = vectors.test && { test: await evaluate(vectors.test) }
    return { weights: tensors, history: [record], bestEpoch: 1, validation, head, ...test }
  } finally {
    readout.close()
  }
}

/** The one row of history of a head that came in one go. */
async function onlyRecord(
  { model, config }: Work,
  vectors: BothVectors,
  evaluate: (vectors: Vectors) => Promise<LabelledOutputs>,
  startedAt: number,
): Promise<{ readonly record: EpochRecord; readonly validation: LabelledOutputs }> {
  const classes = model.labels.length
  const loss = chosenLoss(config)
  const training = metrics(await evaluate(vectors.train), classes, loss)
  const validation = await evaluate(vectors.validation)
  const record: EpochRecord = {
    epoch: 1,
    learningRate: 0,
    trainLoss: training.loss,
    trainAccuracy: training.accuracy,
    ...validationRecord(metrics(validation, classes, loss)),
    seconds: (performance.now() - startedAt) / 1000,
  }
  return { record, validation }
}

function metrics(outputs: LabelledOutputs, classes: number, loss: Loss): Metrics {
  const { logits, labels, targets } = outputs
  if (targets) return targetMetrics(outputs, targets)
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
    // What is right is not counted by step where the truth is not one class of many.
    const history = vectors.train.targets
      ? progress.history.map((record) => ({ ...record, trainAccuracy: Number.NaN }))
      : progress.history
    return { weights: best, history, bestEpoch: progress.bestEpoch, stopped, validation }
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
      await solveHead(trainer, solveOptions(work))
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
