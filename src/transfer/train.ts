// The verb `train`: from an image folder and a model to a run folder with a better model.
import * as path from 'node:path'
import { architectureNamed } from '../architectures/index.ts'
import { augmentations } from '../data/augmentations/index.ts'
import { epochOrder } from '../data/epoch-order.ts'
import { loadData } from '../data/load-data.ts'
import { type BadImage, loadBatches } from '../data/loader.ts'
import type { DataSplit, Sample } from '../data/sample.ts'
import { RegraftError } from '../errors.ts'
import { writeJson } from '../files/strict-json.ts'
import { freezeExcept, selectLayers } from '../graph/freeze.ts'
import { type Graph, parameterName, parametersOf } from '../graph/graph.ts'
import { freshModel, loadModel, type PreprocessingChanges } from '../model/load.ts'
import { graphOf, type Model } from '../model/model.ts'
import { schedules } from '../optim/schedule.ts'
import { createUpdater } from '../optim/updater.ts'
import { createRunner } from '../runtime/runner.ts'
import type { HostTensor } from '../tensor/host-tensor.ts'
import { type Checkpointed, readCheckpoint, writeCheckpoint } from '../train/checkpoint.ts'
import { type Metrics, metricsOf } from '../train/classification.ts'
import type { EpochRecord } from '../train/events.ts'
import { fit, type Progress, type TrainingBatch } from '../train/fit.ts'
import { version } from '../version.ts'
import { evaluatePictures } from './evaluate-pictures.ts'
import { imageOutputs, newTiming, type Timing } from './extract-features.ts'
import { createHeadTrainer, type HeadTrainer, solveHead, type Vectors } from './head-trainer.ts'
import type { TrainOptions, TrainResult } from './options.ts'
import {
  dataFingerprint,
  describeRun,
  metricsDocument,
  type RunManifest,
  readRunConfig,
  readRunManifest,
  startRun,
  writeBad,
  writeHistory,
} from './run-folder.ts'
import { saveBest } from './save-best.ts'
import { INFERENCE_BATCH, loadTensors, openInference, openSession, readTensors, type Session } from './session.ts'
import { completeConfig, parseHead, type TrainConfig } from './train-defaults.ts'

/** What the ways of training share. */
interface Work {
  readonly options: TrainOptions
  readonly config: TrainConfig
  readonly out: string
  readonly data: DataSplit
  /** With the new classes; the head's weights come from training. */
  readonly model: Model
  readonly timing: Timing
  readonly bad: BadImage[]
  /** State to go on from. */
  readonly resumed: Checkpointed | undefined
  readonly startedAt: number
}

/** Weights that a way of training found, and how it went. */
interface Outcome {
  readonly weights: ReadonlyMap<string, HostTensor>
  readonly counters: ReadonlyMap<string, number>
  readonly history: readonly EpochRecord[]
  readonly bestEpoch: number
  readonly images: { readonly train: number; readonly val: number }
  readonly stopped?: string | undefined
}

/**
 * Trains a classifier of the folders' classes and writes a run folder.
 * @throws RegraftError: 'usage', 'data', 'weights', 'memory', 'interrupted' (a checkpoint is kept; go on with `resume`)
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const startedAt = performance.now()
  const { signal, listener } = options
  const out = options.resume ?? options.out
  const config = options.resume === undefined ? completeConfig(options) : await readRunConfig(options.resume)
  const head = parseHead(config.head)
  listener?.({ type: 'phase', phase: 'scan', total: 0, unit: 'images' })
  const data = await loadData(config.data, {
    seed: config.seed,
    validation: validationOf(config.val),
    ...(config.trainList === null ? {} : { trainList: config.trainList }),
    ...(config.test === null ? {} : { test: config.test }),
    signal,
  })
  for (const { path: file, reason } of data.skipped) listener?.({ type: 'bad', path: file, reason })
  listener?.({ type: 'phaseEnd', phase: 'scan' })
  if (data.validation.length === 0)
    throw new RegraftError(
      'data',
      `${config.data}: there is no picture to validate with. Give --val a folder, a list or a fraction such as 0.2.`,
    )

  const changes = preprocessingChanges(config)
  const base = config.pretrained
    ? (await loadModel(config.model, changes)).model
    : await freshModel(config.model, config.seed, changes)
  // A head for the same classes is gone on with; another one is put aside.
  const sameHead = JSON.stringify([base.head, base.labels]) === JSON.stringify([head, data.classes])
  const model: Model = {
    ...base,
    head,
    labels: data.classes,
    tensors: sameHead ? base.tensors : new Map(trunkTensors(base)),
  }
  const manifest: RunManifest = {
    version,
    node: process.versions.node,
    kernels: { build: options.engine.build, digest: options.engine.digest },
    threads: options.engine.threads,
    model: { name: config.model, architecture: model.architecture, sha256: model.origin.sha256 ?? null },
    data: { root: data.root, classes: data.classes, fingerprint: dataFingerprint(data) },
    seed: config.seed,
  }
  let resumed: Checkpointed | undefined
  if (options.resume === undefined) {
    // Whatever the options or the network refuse, they refuse before the folder is touched.
    trainableLayers(graphOf(model), config)
    await startRun(out, options.overwrite ?? false)
    await describeRun(out, config, manifest, data)
  } else {
    checkSameRun(out, await readRunManifest(out), manifest, options.allowBuildChange ?? false)
    if (config.mode !== 'features')
      resumed = await readCheckpoint(out, (message) => listener?.({ type: 'note', message }))
  }
  const work: Work = { options, config, out, data, model, timing: newTiming(), bad: [], resumed, startedAt }
  const outcome = config.mode === 'finetune' ? await fineTune(work) : await trainOnFeatures(work)
  return finish(work, outcome)
}

function validationOf(text: string | null): number | string | undefined {
  if (text === null) return undefined
  return /^(0|0?\.\d+|1)$/.test(text) ? Number(text) : text
}

function preprocessingChanges(config: TrainConfig): PreprocessingChanges {
  const { imgSize, cropPct, interpolation, cropMode } = config
  return {
    ...(imgSize === null ? {} : { imgSize }),
    ...(cropPct === null ? {} : { cropPct }),
    ...(interpolation === null ? {} : { interpolation }),
    ...(cropMode === null ? {} : { cropMode }),
  }
}

/** A run goes on only under the conditions it began with: otherwise its result would be neither the one nor the other. */
function checkSameRun(out: string, before: RunManifest, now: RunManifest, allowBuildChange: boolean): void {
  const differences: string[] = []
  if (before.data.fingerprint !== now.data.fingerprint)
    differences.push('the pictures in the data folder are not the same')
  if (before.model.sha256 !== now.model.sha256) differences.push(`the weights of ${now.model.name} have changed`)
  if (before.kernels.digest !== now.kernels.digest && !allowBuildChange) {
    differences.push(
      `the kernels are another build (${before.kernels.build} ${before.kernels.digest}, now ${now.kernels.build} ${now.kernels.digest}; --allow-build-change accepts it)`,
    )
  }
  if (differences.length > 0)
    throw new RegraftError('usage', `${out} cannot be gone on with: ${differences.join('; ')}.`, { file: out })
}

/** Collects bad pictures, tells about them once, and stops when there are too many. */
function badCollector(work: Work, total: number): (image: BadImage) => void {
  const { bad, config, options } = work
  return (image) => {
    bad.push(image)
    options.listener?.({ type: 'bad', path: image.path, reason: image.reason })
    if (total >= 10 && (bad.length / total) * 100 > config.maxBad) {
      throw new RegraftError(
        'data',
        `More than ${config.maxBad} % of the pictures cannot be read (${bad.length} so far; the last: ${image.path}: ${image.reason}). Raise --max-bad to train on the rest.`,
      )
    }
  }
}

interface BothVectors {
  readonly train: Vectors
  readonly validation: Vectors
  readonly badTrain: Set<number>
  readonly validationBytes: { readonly bytes: Uint8Array; readonly labels: Int32Array } | undefined
}

/** Bytes of decoded validation pictures that are kept in memory; beyond it they are decoded in each epoch. */
const KEPT_PICTURES_BYTES = 1 << 30

/** Each picture through the trunk once; what cannot be read is found on the way. */
async function vectorsOf(work: Work, trunk: Session): Promise<BothVectors> {
  const { options, config, data, model, timing } = work
  const runner = await openInference(options.engine, trunk, INFERENCE_BATCH, [trunk.graph.features], options.signal)
  const total = data.train.length + data.validation.length
  const onBad = badCollector(work, total)
  const badTrain = new Set<number>()
  const pass = async (
    samples: readonly Sample[],
    known: Set<number>,
    onBytes?: (bytes: Uint8Array, indices: readonly number[]) => void,
  ): Promise<Vectors> => {
    const outputs = await imageOutputs(runner, samples, {
      signal: options.signal,
      listener: options.listener,
      onError: config.onError,
      phase: 'features',
      preprocessing: model.preprocessing,
      layer: trunk.graph.features,
      onBad,
      knownBad: known,
      timing,
      ...(onBytes ? { onBytes } : {}),
    })
    return {
      values: outputs.values,
      width: outputs.width,
      labels: Int32Array.from(outputs.indices, (index) => samples[index]?.label ?? 0),
    }
  }
  try {
    const trainVectors = await pass(data.train, badTrain)
    const { height, width } = model.preprocessing
    const pictureBytes = height * width * 3
    const keep = data.validation.length * pictureBytes <= KEPT_PICTURES_BYTES
    const kept = new Uint8Array(keep ? data.validation.length * pictureBytes : 0)
    let at = 0
    const validationVectors = await pass(
      data.validation,
      new Set(),
      keep
        ? (bytes) => {
            kept.set(bytes, at)
            at += bytes.length
          }
        : undefined,
    )
    if (options.strict && work.bad.length > 0) {
      throw new RegraftError(
        'data',
        `${work.bad.length} pictures cannot be read, and --strict was given. The first: ${work.bad[0]?.path}: ${work.bad[0]?.reason}.`,
      )
    }
    checkEnough(data, trainVectors.labels, validationVectors.labels)
    await writeBad(work.out, work.bad)
    return {
      train: trainVectors,
      validation: validationVectors,
      badTrain,
      validationBytes: keep ? { bytes: kept.subarray(0, at), labels: validationVectors.labels } : undefined,
    }
  } finally {
    runner.close()
  }
}

function checkEnough(data: DataSplit, train: Int32Array, validation: Int32Array): void {
  const present = new Set(train)
  const empty = data.classes.filter((_, label) => !present.has(label))
  if (empty.length > 0)
    throw new RegraftError(
      'data',
      `No readable training picture in ${empty.length === 1 ? 'class' : 'the classes'} ${empty.slice(0, 5).join(', ')}${empty.length > 5 ? ` and ${empty.length - 5} more` : ''}.`,
    )
  if (validation.length === 0) throw new RegraftError('data', 'None of the validation pictures can be read.')
}

// ── features and head ───────────────────────────────────────────────────────────────────────────

function trainerFor(work: Work, vectors: Vectors): Promise<HeadTrainer> {
  const { options, config, model } = work
  return createHeadTrainer({
    engine: options.engine,
    signal: options.signal,
    vectors,
    classes: model.labels.length,
    head: model.head,
    classifier: architectureNamed(model.architecture).classifier,
    seed: config.seed,
    batchSize: config.batchSize,
  })
}

async function trainOnFeatures(work: Work): Promise<Outcome> {
  const { options, config, model } = work
  const trunkModel: Model = { ...model, head: { kind: 'none' }, labels: [] }
  const trunk = await openSession(options.engine, trunkModel)
  let vectors: BothVectors
  try {
    vectors = await vectorsOf(work, trunk)
  } finally {
    trunk.close()
  }
  const trainer = await trainerFor(work, vectors.train)
  try {
    const solved = config.mode === 'features' && model.head.kind === 'linear'
    const { weights, history, bestEpoch, stopped } = solved
      ? await solve(work, trainer, vectors)
      : await descend(work, trainer, vectors, config.epochs)
    return {
      weights,
      counters: new Map(),
      history,
      bestEpoch,
      stopped,
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
}

/** Logistic regression to the optimum: one row of history. */
async function solve(work: Work, trainer: HeadTrainer, vectors: BothVectors): Promise<HeadOutcome> {
  const { options, config, model } = work
  const startedAt = performance.now()
  await solveHead(trainer, vectors.train, model.labels.length, config.strength, options)
  const training = await trainer.evaluate(vectors.train)
  const validation = await trainer.evaluate(vectors.validation)
  const record: EpochRecord = {
    epoch: 1,
    learningRate: 0,
    trainLoss: training.loss,
    trainAccuracy: training.accuracy,
    validationLoss: validation.loss,
    validationAccuracy: validation.accuracy,
    seconds: (performance.now() - startedAt) / 1000,
  }
  options.listener?.({ type: 'epoch', epochs: 1, best: true, ...record })
  return { weights: trainer.folded(), history: [record], bestEpoch: 1 }
}

/** Gradient training of a head on features. */
async function descend(work: Work, trainer: HeadTrainer, vectors: BothVectors, epochs: number): Promise<HeadOutcome> {
  const { options, config, model, out, resumed } = work
  const { engine, listener, signal } = options
  const updater = createUpdater(engine, trainer.runner, trainer.store, {
    optimiser: config.opt,
    settings: { momentum: config.momentum },
    weightDecay: config.weightDecay,
    clipNorm: config.clipGrad,
  })
  try {
    let best: ReadonlyMap<string, HostTensor> = resumed?.best ?? trainer.folded()
    if (resumed) {
      await loadTensors(trainer.store, resumed.weights)
      updater.restore(resumed.optimiser)
    }
    const { progress, stopped } = await fit({
      phase: 'head',
      runner: trainer.runner,
      updater,
      classes: model.labels.length,
      epochs,
      stepsPerEpoch: Math.ceil(vectors.train.labels.length / config.batchSize),
      rate: config.lr,
      schedule: schedules[config.sched],
      warmupEpochs: config.warmupEpochs,
      smoothing: config.smoothing,
      patience: config.patience,
      batches: (epoch) => trainer.batches(epoch, config.batchSize, config.seed),
      validate: () => trainer.evaluate(vectors.validation),
      from: resumed?.progress,
      onBest: async () => {
        best = trainer.folded()
      },
      onEpoch: async (state) => {
        await writeHistory(out, state.history)
        await writeCheckpoint(out, {
          progress: state,
          weights: await readTensors(trainer.store),
          counters: new Map(),
          optimiser: updater.state(),
          best,
          bestCounters: new Map(),
        })
      },
      onComputed: (milliseconds) => {
        work.timing.computeMs += milliseconds
      },
      listener,
      signal,
    })
    return { weights: best, history: progress.history, bestEpoch: progress.bestEpoch, stopped }
  } finally {
    updater.close()
  }
}

// ── fine-tuning ─────────────────────────────────────────────────────────────────────────────────

/** Names of the layers that train. @throws RegraftError 'usage' when a pattern matches nothing */
function trainableLayers(graph: Graph, config: TrainConfig): ReadonlySet<string> {
  const chosen = new Set(selectLayers(graph, config.unfreeze))
  for (const layer of graph.layers)
    if (layer.name === graph.classifier || layer.name.startsWith('head.')) chosen.add(layer.name)
  if (config.freeze !== null) for (const name of selectLayers(graph, config.freeze)) chosen.delete(name)
  return chosen
}

function trainableParameters(graph: Graph, bnAffine: TrainConfig['bnAffine']): ReadonlySet<string> {
  const names = new Set<string>()
  for (const layer of graph.layers) {
    if (layer.frozen) continue
    for (const spec of parametersOf(layer)) {
      if (spec.kind !== 'statistic' && !(spec.kind === 'norm' && bnAffine === 'frozen'))
        names.add(parameterName(layer, spec))
    }
  }
  return names
}

function batchStatistics(graph: Graph, bn: TrainConfig['bn']): ReadonlySet<string> {
  const norms = graph.layers.filter((layer) => layer.op === 'batchNorm')
  if (bn === 'frozen') return new Set()
  return new Set(norms.filter((layer) => bn === 'train' || !layer.frozen).map((layer) => layer.name))
}

async function fineTune(work: Work): Promise<Outcome> {
  const { options, config, data, model, out, timing, resumed } = work
  const { engine, listener, signal } = options
  const plain = graphOf(model)
  const graph = freezeExcept(plain, trainableLayers(plain, config))
  const session = await openSession(engine, model, graph)
  try {
    const vectors = await vectorsOf(work, session)
    const classes = data.classes.length
    if (!resumed) {
      const hasHead = session.store.parameters.every(({ name }) => model.tensors.has(name))
      if (hasHead)
        listener?.({
          type: 'note',
          message: `The head of ${config.model} has the same classes; training goes on from it.`,
        })
      else if (config.pretrained) await loadTensors(session.store, await firstHead(work, vectors))
      else await loadTensors(session.store, await freshHead(graph, config.seed))
    }
    const trainable = trainableParameters(graph, config.bnAffine)
    const statistics = batchStatistics(graph, config.bn)
    const runner = createRunner(engine, graph, session.store, {
      images: config.batchSize,
      input: 'bytes',
      training: { trainable, batchStatistics: statistics },
    })
    const updater = createUpdater(engine, runner, session.store, {
      optimiser: config.opt,
      settings: { momentum: config.momentum },
      weightDecay: config.weightDecay,
      clipNorm: config.clipGrad,
    })
    const validationRunner = createRunner(engine, graph, session.store, { images: INFERENCE_BATCH, input: 'bytes' })
    try {
      const counters = new Map(model.counters)
      if (resumed) {
        await loadTensors(session.store, resumed.weights)
        updater.restore(resumed.optimiser)
        for (const [name, count] of resumed.counters) counters.set(name, count)
      }
      await runner.prepare(signal)
      if (runner.zeroGradients) await engine.run([runner.zeroGradients], 1, signal)
      const changing = session.store.parameters.filter(
        ({ name, layer, spec }) => trainable.has(name) || (spec.kind === 'statistic' && statistics.has(layer.name)),
      )
      const snapshot = () =>
        readTensors(
          session.store,
          changing.map(({ name }) => name),
        )
      let best: ReadonlyMap<string, HostTensor> = resumed?.best ?? (await snapshot())
      let bestCounters: ReadonlyMap<string, number> = resumed?.bestCounters ?? new Map(counters)
      const trainCount = data.train.length - vectors.badTrain.size
      const checkpoint = async (progress: Progress) =>
        writeCheckpoint(out, {
          progress,
          weights: await snapshot(),
          counters,
          optimiser: updater.state(),
          best,
          bestCounters,
        })
      if (!resumed) await checkpoint({ epochsDone: 0, stepsDone: 0, history: [], bestEpoch: 0 })

      const validate = async (): Promise<Metrics> => {
        await validationRunner.prepare(signal)
        return evaluatePictures(
          validationRunner,
          vectors.validationBytes ?? data.validation,
          model.preprocessing,
          classes,
          { signal, timing },
        )
      }
      const { progress, stopped } = await fit({
        phase: 'finetune',
        runner,
        updater,
        classes,
        epochs: config.epochs,
        stepsPerEpoch: Math.ceil(trainCount / config.batchSize),
        rate: config.lr,
        schedule: schedules[config.sched],
        warmupEpochs: config.warmupEpochs,
        smoothing: config.smoothing,
        patience: config.patience,
        batches: (epoch) => pictureBatches(work, runner, epoch, vectors.badTrain, statistics, counters),
        validate,
        from: resumed?.progress,
        onBest: async () => {
          best = await snapshot()
          bestCounters = new Map(counters)
          await saveBest(out, withWeights(model, session, best, bestCounters), { training: trainingRecord(work) })
        },
        onEpoch: async (state) => {
          await writeHistory(out, state.history)
          await checkpoint(state)
        },
        onComputed: (milliseconds) => {
          timing.computeMs += milliseconds
        },
        listener,
        signal,
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
      validationRunner.close()
    }
  } finally {
    session.close()
  }
}

/** The head before the trunk moves: a trained one, because random gradients would wreck the trunk. */
async function firstHead(work: Work, vectors: BothVectors): Promise<ReadonlyMap<string, HostTensor>> {
  const { config, model, options } = work
  const trainer = await trainerFor(work, vectors.train)
  try {
    if (model.head.kind === 'linear' && config.warmupHead === null) {
      await solveHead(trainer, vectors.train, model.labels.length, config.strength, options)
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
        classes: model.labels.length,
        epochs,
        stepsPerEpoch: Math.ceil(vectors.train.labels.length / config.batchSize),
        rate: 1e-3,
        schedule: schedules.cosine,
        warmupEpochs: 0,
        smoothing: config.smoothing,
        patience: 0,
        batches: (epoch) => trainer.batches(epoch, config.batchSize, config.seed),
        validate: () => trainer.evaluate(vectors.validation),
        onBest: async () => {},
        onEpoch: async () => {},
        signal: options.signal,
      })
    } finally {
      updater.close()
    }
    return trainer.folded()
  } finally {
    trainer.close()
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

async function* pictureBatches(
  work: Work,
  runner: { writeBytes(bytes: Uint8Array): void },
  epoch: number,
  knownBad: Set<number>,
  statistics: ReadonlySet<string>,
  counters: Map<string, number>,
): AsyncGenerator<TrainingBatch> {
  const { config, data, model, options, timing } = work
  for await (const batch of loadBatches({
    samples: data.train,
    order: epochOrder(data.train.length, config.seed, epoch),
    preprocessing: model.preprocessing,
    batchSize: config.batchSize,
    augment: augmentations[config.augment],
    seed: config.seed,
    epoch,
    signal: options.signal,
    knownBad,
    statistics: timing.load,
    // Pictures that could not be read are known by now; one that vanished since must not change the run silently.
    onError: 'stop',
  })) {
    for (const layer of statistics) {
      const name = `${layer}.num_batches_tracked`
      counters.set(name, (counters.get(name) ?? 0) + 1)
    }
    yield {
      labels: batch.labels,
      names: () => batch.indices.map((index) => data.train[index]?.path ?? ''),
      write: () => runner.writeBytes(batch.bytes),
    }
  }
}

// ── the end ─────────────────────────────────────────────────────────────────────────────────────

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

function trainingRecord(work: Work): unknown {
  const { config, model } = work
  return {
    mode: config.mode,
    from: { name: path.basename(model.origin.name), sha256: model.origin.sha256 ?? null },
    unfreeze: config.unfreeze,
    bn: config.bn,
    epochs: config.epochs,
    optimiser: config.opt,
    rate: config.lr,
    seed: config.seed,
  }
}

async function finish(work: Work, outcome: Outcome): Promise<TrainResult> {
  const { options, config, out, data, model, timing, bad } = work
  const { listener } = options
  // A head that was trained on features joins the trunk as it is.
  const tensors = new Map(config.mode === 'finetune' ? outcome.weights : [...trunkTensors(model), ...outcome.weights])
  const counters = config.mode === 'finetune' ? outcome.counters : model.counters
  const trained: Model = { ...model, tensors, counters }
  await saveBest(out, trained, { training: trainingRecord(work), golden: options.engine, signal: options.signal })
  await writeHistory(out, outcome.history)
  const test = data.test.length > 0 ? await testMetrics(work, trained) : undefined
  const best = outcome.history.find((record) => record.epoch === outcome.bestEpoch)
  const last = outcome.history.at(-1)
  const result: TrainResult = {
    out,
    classes: data.classes,
    best: {
      epoch: outcome.bestEpoch,
      valAccuracy: best?.validationAccuracy ?? 0,
      valLoss: best?.validationLoss ?? Number.NaN,
    },
    final: {
      valAccuracy: last?.validationAccuracy ?? 0,
      valLoss: last?.validationLoss ?? Number.NaN,
      trainAccuracy: last?.trainAccuracy ?? 0,
    },
    ...(test ? { test: { accuracy: test.accuracy, loss: test.loss, images: test.count } } : {}),
    images: { ...outcome.images, bad: bad.length },
    seconds: {
      total: (performance.now() - work.startedAt) / 1000,
      decode: timing.load.decodeMilliseconds / 1000,
      compute: timing.computeMs / 1000,
    },
    ...(outcome.stopped === undefined ? {} : { stopped: outcome.stopped }),
    belowMinimum: options.minAccuracy !== undefined && !((best?.validationAccuracy ?? 0) >= options.minAccuracy),
  }
  await writeJson(path.join(out, 'metrics.json'), metricsDocument(result))
  listener?.({ type: 'saved', path: path.join(out, 'best') })
  return result
}

/** The trunk's weights of a model whose former head is not wanted. */
function trunkTensors(model: Model): [string, HostTensor][] {
  const trunk = new Set(
    graphOf({ ...model, head: { kind: 'none' }, labels: [] }).layers.flatMap((layer) =>
      parametersOf(layer).map((spec) => parameterName(layer, spec)),
    ),
  )
  return [...model.tensors].filter(([name]) => trunk.has(name))
}

async function testMetrics(work: Work, model: Model): Promise<Metrics> {
  const { options, data, timing } = work
  const session = await openSession(options.engine, model)
  const runner = await openInference(options.engine, session, INFERENCE_BATCH, [], options.signal)
  try {
    const outputs = await imageOutputs(runner, data.test, {
      ...options,
      phase: 'evaluate',
      preprocessing: model.preprocessing,
      layer: session.graph.output,
      timing,
      onBad: (image) => options.listener?.({ type: 'bad', path: image.path, reason: image.reason }),
    })
    return metricsOf(
      outputs.values,
      Int32Array.from(outputs.indices, (index) => data.test[index]?.label ?? 0),
      data.classes.length,
    )
  } finally {
    runner.close()
    session.close()
  }
}
