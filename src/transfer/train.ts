// The verb `train`: from an image folder and a model to a run folder with a better model.
import * as path from 'node:path'
import { keptImages } from '../data/decode.ts'
import { loadData } from '../data/load-data.ts'
import { RegraftError } from '../errors.ts'
import { writeFileAtomic } from '../files/atomic-write.ts'
import { writeJson } from '../files/strict-json.ts'
import { joinHead, trunkTensors } from '../model/join-head.ts'
import { freshModel, loadModel, type PreprocessingChanges } from '../model/load.ts'
import type { Model } from '../model/model.ts'
import { curvesSvg } from '../report/curves.ts'
import { type Checkpointed, readCheckpoint } from '../train/checkpoint.ts'
import { type LabelledOutputs, metricsOf } from '../train/classification.ts'
import { evaluationOf } from '../train/evaluation.ts'
import { numberErrors, targetMetrics } from '../train/target-metrics.ts'
import { timeBudget } from '../train/time-budget.ts'
import { version } from '../version.ts'
import { withAbsolutePaths } from './absolute-paths.ts'
import { readAugment } from './augment-option.ts'
import { classWeightsOf } from './class-weights.ts'
import { recordData } from './data-record.ts'
import { writeEvaluation } from './evaluation-files.ts'
import { type EventLog, eventLog } from './event-log.ts'
import { imageOutputs, newTiming } from './extract-features.ts'
import { fineTune } from './fine-tune.ts'
import { gapOf } from './gap.ts'
import { parseHead } from './head-options.ts'
import { chosenInitialiser } from './initialiser-option.ts'
import { checkLayerRates } from './layer-rates.ts'
import { chosenLoss } from './loss-options.ts'
import { microBatchFor } from './micro-batch.ts'
import { drawMonitor } from './monitor/monitor-files.ts'
import { openReadout } from './neighbour-head.ts'
import { normalised } from './normalise.ts'
import { opened } from './opened.ts'
import type { Outlook, TrainOptions, TrainResult } from './options.ts'
import { lookAhead } from './outlook/outlook.ts'
import {
  describeRun,
  leaveNoBeginning,
  metricsDocument,
  type RunManifest,
  readRunConfig,
  readRunManifest,
  refuseTaken,
  startRun,
  writeHistory,
} from './run-folder.ts'
import { checkSameRun, originOf } from './same-run.ts'
import { saveBest } from './save-best.ts'
import { INFERENCE_BATCH, openInference, openSession } from './session.ts'
import { completeConfig, isSolved, refuseWithoutEffect, type TrainConfig } from './train-defaults.ts'
import { trainOnFeatures } from './train-on-features.ts'
import { type Outcome, trainingRecord, type Work } from './train-work.ts'
import { validationChoice } from './validation-choice.ts'

/**
 * Trains a classifier of the folders' classes and writes a run folder.
 * @throws RegraftError: 'usage', 'data', 'weights', 'memory', 'interrupted' (a checkpoint is kept; go on with `resume`)
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const log = eventLog(options.listener)
  const logged = { ...options, listener: log.listener }
  return await trainWork(await prepared(logged, log), log)
}

/**
 * Looks ahead at what `train` would do with the same options, and leaves nothing behind.
 * @throws as `train` would before its first epoch
 */
export async function dryRun(options: TrainOptions): Promise<Outlook> {
  if (options.resume !== undefined)
    throw new RegraftError('usage', '--dry-run looks ahead at a new run; it has no meaning with --resume.')
  const work = await prepared(options, eventLog(undefined))
  try {
    await refuseTaken(work.out, options.overwrite ?? false)
    const outlook = await lookAhead(work, true)
    tell(outlook, options.listener)
    return outlook
  } finally {
    work.budget.close()
  }
}

/** What stands in the file of `--augment`, in the place of its path. */
async function withAugmentRead(options: TrainOptions): Promise<TrainOptions> {
  return options.augment === undefined ? options : { ...options, augment: await readAugment(options.augment) }
}

function tell({ checks }: Outlook, listener: TrainOptions['listener']): void {
  for (const check of checks) listener?.({ type: 'check', ...check })
}

/** All that has to be known before the folder of the run is looked at. */
export async function prepared(options: TrainOptions, log: EventLog): Promise<Work> {
  const startedAt = performance.now()
  const { signal, listener } = options
  const out = options.resume ?? options.out
  const asked =
    options.resume === undefined
      ? await withAbsolutePaths(completeConfig(await withAugmentRead(options)))
      : await readRunConfig(options.resume)
  // What a run that goes on is told anew has to have an effect on it, too.
  if (options.resume !== undefined)
    refuseWithoutEffect(
      { ...options, head: asked.head, loss: asked.loss, ...(asked.solver && { solver: asked.solver }) },
      asked.mode,
    )
  const head = parseHead(asked.head, asked.activation)
  listener?.({ type: 'phase', phase: 'scan', total: 0, unit: 'images' })
  const data = await loadData(asked.data, {
    seed: asked.seed,
    validation: validationChoice(asked.val),
    ...(asked.trainList === null ? {} : { trainList: asked.trainList }),
    ...(asked.groupBy === null ? {} : { groupBy: asked.groupBy }),
    dedupe: asked.dedupe,
    ...(asked.test === null ? {} : { test: asked.test }),
    signal,
    onProgress: (done, total) => listener?.({ type: 'progress', phase: 'check', done, total }),
  })
  for (const { path: file, reason } of data.skipped) listener?.({ type: 'bad', path: file, reason })
  for (const message of data.notes) listener?.({ type: 'note', message })
  listener?.({ type: 'phaseEnd', phase: 'scan' })
  if (data.validation.length === 0)
    throw new RegraftError(
      'data',
      `${asked.data}: there is no picture to validate with. Give --val a folder, a list or a fraction such as 0.2.`,
    )

  const changes = preprocessingChanges(asked)
  const timing = newTiming()
  const kept = keptImages()
  // What its outputs were worth says nothing about those of the new model.
  const { threshold: _, ...given } = asked.pretrained
    ? await pretrainedModel(asked.model, changes, options)
    : await freshModel(
        asked.model,
        asked.seed,
        { ...changes, offline: options.offline, signal, listener },
        chosenInitialiser(asked),
      )
  const base = await normalised(given, asked.normalize, data.train, {
    ...options,
    onError: asked.onError,
    timing,
    kept,
  })
  // A head for the same classes is gone on with; another one is put aside.
  const sameHead = JSON.stringify([base.head, base.labels]) === JSON.stringify([head, data.classes])
  if (sameHead && asked.mode === 'finetune' && asked.init !== null)
    throw new RegraftError(
      'usage',
      `--init ${asked.init} has nothing to begin: the head of ${asked.model} has the same classes, and training goes on from it. Leave it out, or ask for another --head.`,
    )
  if (sameHead && asked.mode === 'finetune' && (base.loss?.kind ?? 'ce') !== asked.loss)
    listener?.({
      type: 'note',
      message: `The head of ${asked.model} was trained with --loss ${base.loss?.kind ?? 'ce'}, and goes on with ${asked.loss}.`,
    })
  const model: Model = {
    ...base,
    head,
    labels: data.classes,
    loss: chosenLoss(asked),
    tensors: sameHead ? base.tensors : trunkTensors(base),
  }
  const record = await recordData(data)
  const config = options.resume === undefined ? withMicroBatch(model, asked, options) : asked
  const classWeights =
    config.classWeights === null
      ? undefined
      : await classWeightsOf(
          config.classWeights,
          data.classes,
          data.train.map(({ label }) => label),
        )
  const manifest: RunManifest = {
    version,
    node: process.versions.node,
    kernels: {
      build: options.engine.build,
      digest: options.engine.digest,
      vectorBits: options.engine.vectorBits,
    },
    threads: options.engine.threads,
    model: { name: config.model, architecture: model.architecture, sha256: model.origin.sha256 ?? null },
    data: { root: data.root, classes: data.classes, fingerprint: record.fingerprint },
    classWeights: classWeights ?? null,
    seed: config.seed,
  }
  let resumed: Checkpointed | undefined
  if (options.resume !== undefined) {
    const before = await readRunManifest(out)
    if (gradual(config)) resumed = await readCheckpoint(out, (message) => listener?.({ type: 'note', message }))
    const now = { manifest, config, data, record }
    await checkSameRun(out, before, resumed?.origin, now, options.allowBuildChange ?? false)
  }
  return {
    options,
    flushEvents: () => log.flush(),
    config,
    manifest,
    out,
    data,
    record,
    model,
    classWeights,
    timing,
    kept,
    bad: [],
    digests: record.digests,
    origin: originOf(manifest, config),
    budget: timeBudget(options.time, 'The time given with --time is over.', signal),
    resumed,
    startedAt,
  }
}

async function trainWork(work: Work, log: EventLog): Promise<TrainResult> {
  const { options, config, out } = work
  try {
    if (options.resume === undefined) {
      await refuseTaken(out, options.overwrite ?? false)
      if (options.checks ?? true) tell(await lookAhead(work, false), options.listener)
      await startRun(out, options.overwrite ?? false)
    }
    log.open(out)
    try {
      if (options.resume === undefined) await describeRun(out, config, work.manifest, work.record)
      const outcome = config.mode === 'finetune' ? await fineTune(work) : await trainOnFeatures(work)
      return await finish(work, outcome)
    } catch (error) {
      // The first error is the one to report.
      await work.flushEvents().catch(() => undefined)
      if (options.resume === undefined) await leaveNoBeginning(out).catch(() => undefined)
      throw error
    }
  } finally {
    work.budget.close()
  }
}

async function pretrainedModel(
  name: string,
  changes: PreprocessingChanges,
  { listener, signal, offline }: TrainOptions,
): Promise<Model> {
  const { model, remarks } = await loadModel(name, { ...changes, listener, signal, offline })
  for (const message of remarks) listener?.({ type: 'note', message })
  return model
}

/** Whatever the network or the memory refuse, they refuse here, before the folder is touched. */
function withMicroBatch(model: Model, config: TrainConfig, { engine, listener }: TrainOptions): TrainConfig {
  if (!gradual(config)) return config
  const note = (message: string) => listener?.({ type: 'note', message })
  if (config.mode === 'finetune') checkLayerRates(model, config)
  return { ...config, microBatch: microBatchFor(model, config, engine.arena.limitBytes, note) }
}

/** Whether the head or more trains step by step, so that it can be left and gone on with. */
function gradual(config: TrainConfig): boolean {
  return !isSolved(config)
}

function preprocessingChanges(config: TrainConfig): PreprocessingChanges {
  const { imgSize, cropPct, interpolation, cropMode, resize, preprocess, normalize } = config
  return {
    ...(imgSize === null ? {} : { imgSize }),
    ...(cropPct === null ? {} : { cropPct }),
    ...(interpolation === null ? {} : { interpolation }),
    ...(cropMode === null ? {} : { cropMode }),
    ...(resize === null ? {} : { resize }),
    ...(preprocess === null ? {} : { preprocess }),
    withoutMeanImage: normalize !== 'model',
  }
}

/** Writes all that a run leaves when its head or network is found. */
export async function finish(work: Work, outcome: Outcome): Promise<TrainResult> {
  const { options, config, out, data, model, timing, bad } = work
  const { listener } = options
  const head = outcome.head ?? model.head
  // A head that was trained on features joins the trunk as it is.
  const trained: Model =
    config.mode === 'finetune'
      ? { ...model, tensors: new Map(outcome.weights), counters: outcome.counters }
      : work.backbone
        ? { ...model, head, tensors: outcome.weights }
        : joinHead(model, { ...model, head, tensors: outcome.weights })
  const training = trainingRecord(work, outcome.chosen)
  await saveBest(out, trained, {
    training,
    ...(work.backbone ? { backbone: work.backbone } : { golden: options.engine }),
    signal: options.signal,
  })
  await writeHistory(out, outcome.history)
  const testOutputs = outcome.test ?? (data.test.length > 0 ? await outputsOnTest(work, trained) : undefined)
  const loss = chosenLoss(config)
  const test =
    testOutputs &&
    (testOutputs.targets
      ? targetMetrics(testOutputs, testOutputs.targets)
      : metricsOf(testOutputs.logits, testOutputs.labels, data.classes.length, loss))
  const isNumbers = outcome.validation.targets?.kind === 'numbers'
  const errorsOf = ({ logits, targets }: LabelledOutputs) => numberErrors(logits, targets?.values ?? new Float32Array())
  const best = outcome.history.find((record) => record.epoch === outcome.bestEpoch)
  const last = outcome.history.at(-1)
  const gap = best && !outcome.validation.targets && gapOf(best, outcome.images, config)
  const result: TrainResult = {
    out,
    classes: data.classes,
    best: {
      epoch: outcome.bestEpoch,
      valAccuracy: best?.validationAccuracy ?? 0,
      valLoss: best?.validationLoss ?? Number.NaN,
      valTopAccuracy: best?.validationTopAccuracy ?? 0,
      valBalancedAccuracy: best?.validationBalancedAccuracy ?? 0,
      valMacroF1: best?.validationMacroF1 ?? 0,
    },
    final: {
      valAccuracy: last?.validationAccuracy ?? 0,
      valLoss: last?.validationLoss ?? Number.NaN,
      trainAccuracy: last?.trainAccuracy ?? 0,
    },
    ...(gap ? { gap } : {}),
    ...(isNumbers
      ? { numbers: { val: errorsOf(outcome.validation), ...(testOutputs ? { test: errorsOf(testOutputs) } : {}) } }
      : {}),
    ...(test ? { test: { accuracy: test.accuracy, loss: test.loss, images: test.count } } : {}),
    images: { ...outcome.images, bad: data.unusable.length + bad.length },
    seconds: {
      total: (performance.now() - work.startedAt) / 1000,
      decode: timing.load.decodeMilliseconds / 1000,
      compute: timing.computeMs / 1000,
    },
    ...(outcome.stopped === undefined ? {} : { stopped: outcome.stopped }),
    belowMinimum: options.minAccuracy !== undefined && !((best?.validationAccuracy ?? 0) >= options.minAccuracy),
  }
  await writeJson(path.join(out, 'metrics.json'), metricsDocument(result))
  await writeFileAtomic(path.join(out, 'curves.svg'), curvesSvg(outcome.history, outcome.bestEpoch))
  const parts = [
    { folder: 'evaluation', outputs: outcome.validation, samples: data.validation },
    ...(testOutputs ? [{ folder: 'evaluation-test', outputs: testOutputs, samples: data.test }] : []),
  ]
  for (const { folder, outputs, samples } of parts) {
    // The files tell of one class of many.
    if (outputs.targets) continue
    const evaluation = await evaluationOf(outputs, data.classes, loss)
    await writeEvaluation(path.join(out, folder), evaluation, samples, model.preprocessing, options.signal)
  }
  if ((options.monitor ?? config.monitor) !== 'off') {
    const advice = await drawMonitor(out, trained)
    if (advice !== undefined) listener?.({ type: 'note', message: advice })
  }
  if (gap) listener?.({ type: 'note', message: gap.advice })
  listener?.({ type: 'saved', path: path.join(out, 'best') })
  await work.flushEvents()
  return result
}

async function outputsOnTest(work: Work, model: Model): Promise<LabelledOutputs> {
  const { options, data, timing } = work
  const all = opened()
  try {
    const session = all.add(await openSession(options.engine, model))
    const runner = all.add(await openInference(options.engine, session, INFERENCE_BATCH, [], options.signal))
    const outputs = await imageOutputs(runner, data.test, {
      ...options,
      phase: 'evaluate',
      preprocessing: model.preprocessing,
      layer: session.graph.output,
      timing,
      onBad: (image) => options.listener?.({ type: 'bad', path: image.path, reason: image.reason }),
    })
    const readout = all.add(await openReadout(options.engine, model))
    return {
      logits: await readout.read(outputs.values, options.signal),
      labels: Int32Array.from(outputs.indices, (index) => data.test[index]?.label ?? 0),
      paths: outputs.indices.map((index) => data.test[index]?.path ?? ''),
    }
  } finally {
    all.close()
  }
}
