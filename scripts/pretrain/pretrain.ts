// Trains a network from random weights on packed pictures, in as many pieces as it takes: each goes on where the one before has stopped.
import * as path from 'node:path'
import { architectureOfGraph, GRAPH_ARCHITECTURE } from '../../src/architectures/from-graph.ts'
import { thumbnailGraph } from '../../src/architectures/thumbnail-resnet.ts'
import { compileAugmentation } from '../../src/data/augmentations/index.ts'
import { epochOrder } from '../../src/data/epoch-order.ts'
import { loadBatches } from '../../src/data/loader.ts'
import { RegraftError } from '../../src/errors.ts'
import { sha256 } from '../../src/files/digest.ts'
import { createFolder } from '../../src/files/folder.ts'
import type { JsonObject } from '../../src/files/strict-json.ts'
import type { Graph } from '../../src/graph/graph.ts'
import { graphToJson } from '../../src/graph/graph-json.ts'
import type { Engine } from '../../src/kernels/engine.ts'
import { initialWeights } from '../../src/model/initialise.ts'
import { graphOf, type Model } from '../../src/model/model.ts'
import { createUpdater } from '../../src/optim/updater.ts'
import { createWeightAverage } from '../../src/optim/weight-average.ts'
import { createRunner } from '../../src/runtime/runner.ts'
import type { HostTensor } from '../../src/tensor/host-tensor.ts'
import { type Checkpointed, checkpointFolders, readCheckpoint } from '../../src/train/checkpoint.ts'
import { metricsOf } from '../../src/train/classification.ts'
import type { Listener } from '../../src/train/events.ts'
import type { TrainingBatch } from '../../src/train/step.ts'
import { timeBudget } from '../../src/train/time-budget.ts'
import { evaluatePictures } from '../../src/transfer/evaluate-pictures.ts'
import { newTiming } from '../../src/transfer/extract-features.ts'
import { opened } from '../../src/transfer/opened.ts'
import { fitResumably } from '../../src/transfer/resumable-fit.ts'
import { saveBest } from '../../src/transfer/save-best.ts'
import { openInference, openSession, readTensors } from '../../src/transfer/session.ts'
import { completeConfig, type TrainConfig } from '../../src/transfer/train-defaults.ts'
import { batchStatistics, trainableParameters } from '../../src/transfer/trainable.ts'
import type { Trained } from '../../src/transfer/trainee.ts'
import { lossLog } from './losses.ts'
import type { PackedData } from './packed.ts'
import { preprocessingOf, type Recipe, type Stage } from './recipe.ts'

const VALIDATION_BATCH = 64

export interface PretrainOptions {
  readonly engine: Engine
  readonly data: PackedData
  readonly recipe: Recipe
  /** Weights to begin a later stage with, in the place of those that the stages before it would have given. */
  readonly start?: { readonly stage: number; readonly model: Model } | undefined
  /** Folder of the run; where it holds checkpoints, the training goes on. */
  readonly out: string
  /** Seconds after which it stops and saves. */
  readonly time?: number | undefined
  /** Steps, counted from the first of all, after which it stops and saves. */
  readonly steps?: number | undefined
  readonly saveEvery?: string | undefined
  readonly signal?: AbortSignal | undefined
  readonly listener?: Listener | undefined
}

/**
 * Trains one stage after the other, each in a folder of its own: `stage-1`, `stage-2` …
 * @throws RegraftError 'time' or 'interrupted' when it is stopped before its end; 'usage' when the folder is of another training
 */
export async function pretrain(options: PretrainOptions): Promise<Trained> {
  const { recipe, start } = options
  let before: Before | undefined = start && {
    weights: start.model.tensors,
    origin: { from: start.model.origin.sha256 ?? null },
    steps: 0,
  }
  let trained: Trained | undefined
  for (let index = start ? start.stage - 1 : 0; index < recipe.stages.length; index++) {
    const { result, ...after } = await trainStage(options, index, before)
    trained = result
    before = after
  }
  if (trained === undefined) throw new RegraftError('usage', 'The recipe has no such stage.')
  return trained
}

/** What a stage hands on to the next. */
interface Before {
  readonly origin: JsonObject
  readonly weights: ReadonlyMap<string, HostTensor>
  /** Steps of all stages so far. */
  readonly steps: number
}

async function trainStage(
  options: PretrainOptions,
  index: number,
  before: Before | undefined,
): Promise<Before & { readonly result: Trained }> {
  const { engine, data, recipe } = options
  const stage = recipe.stages[index]
  if (!stage) throw new RangeError(`there is no stage ${index}`)
  const out = path.join(options.out, `stage-${index + 1}`)
  const config = configOf(options, stage, out)
  const preprocessing = preprocessingOf(stage.size)
  const { width, height, mean, std } = preprocessing
  const pixels = { width, height, mean, std, classes: data.classes.length }
  const blueprint = thumbnailGraph('the network', recipe.network, pixels)
  const origin = originOf(options, config, blueprint, before)
  await createFolder(out)
  const resumed = await checkpointOf(out, origin, options.listener)
  const model = await modelOf(blueprint, preprocessing, data.classes, before?.weights, config.seed)
  const stepsBefore = before?.steps ?? 0
  const graph = graphOf(model)
  const losses = await lossLog(path.join(out, 'losses.csv'), resumed?.progress.stepsDone ?? 0)
  const enough = new AbortController()
  const signal = options.signal ? AbortSignal.any([options.signal, enough.signal]) : enough.signal
  const all = opened()
  try {
    const session = all.add(await openSession(engine, model, graph))
    const { store } = session
    const trainable = trainableParameters(graph, config.bnAffine)
    const statistics = batchStatistics(graph, config.bn)
    const runner = all.add(
      createRunner(engine, graph, store, {
        images: config.batchSize,
        input: 'bytes',
        training: { trainable, batchStatistics: statistics, loss: { kind: 'ce' } },
      }),
    )
    const watcher = all.add(await openInference(engine, session, VALIDATION_BATCH, [], signal))
    const updater = all.add(
      createUpdater(engine, runner, store, {
        optimiser: config.opt,
        settings: { momentum: config.momentum },
        weightDecay: config.weightDecay,
        clipNorm: config.clipGrad,
      }),
    )
    const changing = store.parameters
    const average = config.ema === null ? undefined : all.add(createWeightAverage(engine, store, changing, config.ema))
    await runner.prepare(signal)
    if (runner.zeroGradients) await engine.run([runner.zeroGradients], 1, signal)
    const counters = new Map(model.counters)
    const stepsPerEpoch = Math.ceil(data.train.length / config.batchSize)
    const timing = newTiming()

    async function* batches(epoch: number, from: number, stop: AbortSignal | undefined): AsyncGenerator<TrainingBatch> {
      const loaded = loadBatches({
        samples: data.train,
        order: epochOrder(data.train.length, config.seed, epoch).subarray(from),
        preprocessing,
        batchSize: config.batchSize,
        augment: config.augment === 'none' ? undefined : compileAugmentation(config.augment),
        seed: config.seed,
        epoch,
        signal: stop,
        statistics: timing.load,
      })
      for await (const { labels, indices, bytes, count } of loaded)
        yield {
          labels,
          names: () => indices.map((index) => data.train[index]?.path ?? ''),
          write(into = runner, pictures = count) {
            into.writeBytes(bytes.subarray(0, (bytes.length / count) * pictures))
            for (const layer of statistics) {
              const name = `${layer}.num_batches_tracked`
              counters.set(name, (counters.get(name) ?? 0) + 1)
            }
          },
        }
    }

    const result = await fitResumably(
      {
        options: {
          engine,
          ...(options.saveEvery === undefined ? {} : { saveEvery: options.saveEvery }),
          listener(event) {
            options.listener?.(event)
            if (event.type !== 'step') return
            const step = stepsBefore + (event.epoch - 1) * stepsPerEpoch + event.step
            losses.add(step, event.loss)
            if (step === options.steps)
              enough.abort(new RegraftError('time', `The ${step} steps that were asked for are done.`))
          },
        },
        config,
        out,
        data,
        classWeights: undefined,
        timing,
        flushEvents: () => losses.write(),
        origin,
        budget: timeBudget(options.time, 'The time given with --time is over.', signal),
        resumed,
      },
      {
        phase: 'finetune',
        runner,
        updater,
        average,
        store,
        changing,
        counters,
        pictures: data.train.length,
        batches,
        probe: (stop) => batches(1, 0, stop),
        async validate(stop) {
          await watcher.prepare(stop)
          const { validation, classes } = data
          const given = { signal: stop, timing }
          const { logits, labels } = await evaluatePictures(watcher, validation, preprocessing, classes.length, given)
          return metricsOf(logits, labels, classes.length)
        },
        weights: () => readTensors(store),
        onBest: (tensors, counts) =>
          saveBest(out, { ...model, tensors, counters: new Map(counts) }, { training: origin }),
      },
    )
    return { result, origin, weights: await readTensors(store), steps: stepsBefore + config.epochs * stepsPerEpoch }
  } finally {
    all.close()
  }
}

function configOf(
  { engine, data, recipe, saveEvery }: PretrainOptions,
  { size, ...schedule }: Stage,
  out: string,
): TrainConfig {
  return completeConfig({
    engine,
    data: data.sha256,
    model: GRAPH_ARCHITECTURE,
    out,
    mode: 'finetune',
    pretrained: false,
    patience: 0,
    ...schedule,
    imgSize: size,
    ...(saveEvery === undefined ? {} : { saveEvery }),
    ...recipe.training,
  })
}

/** All that the result depends on. */
function originOf(
  { engine, data }: PretrainOptions,
  { augment, saveEvery: _, keepCheckpoints: __, ...decisive }: TrainConfig,
  graph: Graph,
  before: Before | undefined,
): JsonObject {
  return {
    kernels: engine.digest,
    data: data.sha256,
    network: sha256(JSON.stringify(graphToJson(graph))),
    augment: JSON.stringify(augment),
    config: { ...decisive },
    ...(before && { before: before.origin }),
  }
}

async function checkpointOf(
  out: string,
  origin: JsonObject,
  listener: Listener | undefined,
): Promise<Checkpointed | undefined> {
  if ((await checkpointFolders(out)).length === 0) return undefined
  const found = await readCheckpoint(out, (message) => listener?.({ type: 'note', message }))
  const differs = Object.keys({ ...origin, ...found.origin }).filter(
    (key) => JSON.stringify(found.origin[key]) !== JSON.stringify(origin[key]),
  )
  if (differs.length === 0) return found
  throw new RegraftError(
    'usage',
    `${out} holds a training that began otherwise (${differs.join(', ')}). Go on with what it began with, or choose another folder.`,
    { file: out },
  )
}

/** With random weights where there are none yet. */
async function modelOf(
  graph: Graph,
  preprocessing: Model['preprocessing'],
  labels: readonly string[],
  weights: ReadonlyMap<string, HostTensor> | undefined,
  seed: number,
): Promise<Model> {
  const norms = graph.layers.filter(({ op }) => op === 'batchNorm')
  return {
    architecture: GRAPH_ARCHITECTURE,
    builder: architectureOfGraph(graph),
    graph,
    args: {},
    head: { kind: 'linear' },
    labels,
    preprocessing,
    tensors: weights ?? (await initialWeights(graph, seed)),
    counters: new Map(norms.map(({ name }) => [`${name}.num_batches_tracked`, 0])),
    origin: { name: 'random weights' },
  }
}
