// What a model costs here: speed and memory of prediction and of training. Noise takes the place of pictures; nothing is kept.
import { throwIfAborted } from '../errors.ts'
import { freezeExcept } from '../graph/freeze.ts'
import { loadModel } from '../model/load.ts'
import { graphOf, type Model } from '../model/model.ts'
import { createUpdater, updaterBytes } from '../optim/updater.ts'
import { randomStream } from '../random.ts'
import { createRunner, type Runner } from '../runtime/runner.ts'
import { gatherGradient, type TrainingBatch } from '../train/step.ts'
import { freshHead } from './fine-tune.ts'
import { opened } from './opened.ts'
import type { WorkOptions } from './options.ts'
import { diskBytesOf, runBytes } from './outlook/run-bytes.ts'
import { type TrainingPart, whatTrains } from './outlook/what-trains.ts'
import { INFERENCE_BATCH, loadTensors, openInference, openSession } from './session.ts'
import { completeConfig } from './train-defaults.ts'
import { batchStatistics, trainableLayers, trainableParameters, trainableValues } from './trainable.ts'

export interface CostOptions extends WorkOptions {
  /** As for `train`; its default when left out. */
  readonly unfreeze?: string | undefined
  /** Pictures of a step of training; the default of `train` when left out. */
  readonly batchSize?: number | undefined
}

/** Speeds are medians, of the network alone: pictures are not decoded. */
export interface ModelCost {
  readonly threads: number
  readonly unfreeze: string
  /** By block of the network, in its order, at the rate that `train` takes by default. */
  readonly trains: readonly TrainingPart[]
  readonly prediction: Speed
  readonly training: Speed
  /** Bytes that a run folder takes with the defaults of `train`. */
  readonly diskBytes: number
}

export interface Speed {
  /** Pictures computed together. */
  readonly batch: number
  readonly imagesPerSecond: number
  /** Bytes for the kernels, weights included. */
  readonly memoryBytes: number
}

/** A headless network is measured with a linear head of so many classes. */
const CLASSES_WITHOUT_HEAD = 10
const REPEATS = 5
/** Enough of a median for the slowest networks. */
const MOST_SECONDS = 4

/** @throws RegraftError 'weights', 'usage', 'memory' */
export async function modelCost(name: string, options: CostOptions): Promise<ModelCost> {
  const { engine, signal } = options
  const { model: found } = await loadModel(name, options)
  const model: Model =
    found.labels.length > 1
      ? found
      : { ...found, head: { kind: 'linear' }, labels: Array.from({ length: CLASSES_WITHOUT_HEAD }, (_, at) => `${at}`) }
  const config = completeConfig({
    engine,
    data: '',
    out: '',
    model: name,
    mode: 'finetune',
    ...(options.unfreeze === undefined ? {} : { unfreeze: options.unfreeze }),
    ...(options.batchSize === undefined ? {} : { batchSize: options.batchSize }),
  })
  const plain = graphOf(model)
  const graph = freezeExcept(plain, trainableLayers(plain, config))
  const trainable = trainableParameters(graph, config.bnAffine)
  const all = opened()
  try {
    const session = all.add(await openSession(engine, model, graph))
    const { store } = session
    if (!store.parameters.every((parameter) => model.tensors.has(parameter.name)))
      await loadTensors(store, await freshHead(graph, config))
    const predicting = await openInference(engine, session, INFERENCE_BATCH, [], signal)
    let prediction: Speed
    try {
      predicting.writeBytes(noise(model, INFERENCE_BATCH))
      prediction = await speedOf(predicting, store.bytes, signal, () => predicting.run(INFERENCE_BATCH, { signal }))
    } finally {
      predicting.close()
    }
    const runner = all.add(
      createRunner(engine, graph, store, {
        images: config.batchSize,
        input: 'bytes',
        training: { trainable, batchStatistics: batchStatistics(graph, config.bn) },
      }),
    )
    const optimiser = { optimiser: config.opt, settings: { momentum: config.momentum } }
    const updater = all.add(
      createUpdater(engine, runner, store, {
        ...optimiser,
        weightDecay: config.weightDecay,
        clipNorm: config.clipGrad,
      }),
    )
    await runner.prepare(signal)
    if (runner.zeroGradients) await engine.run([runner.zeroGradients], 1, signal)
    const labels = Int32Array.from({ length: runner.images }, (_, at) => at % model.labels.length)
    const pictures = noise(model, runner.images)
    const batch: TrainingBatch = { labels, names: () => [], write: (into = runner) => into.writeBytes(pictures) }
    const classes = model.labels.length
    const { smoothing } = config
    const state = updaterBytes(optimiser, trainableValues(store, trainable), trainable.size)
    const training = await speedOf(runner, store.bytes + state, signal, async (step) => {
      await gatherGradient(once(batch), runner.images, { runner, updater, classes, smoothing, signal })
      // So small that the weights stay what they are, whatever the gradient of noise.
      updater.setStep(1e-12, step)
      await updater.update()
    })
    return {
      threads: engine.threads,
      unfreeze: config.unfreeze,
      trains: whatTrains(plain, (parameter) => (trainable.has(parameter) ? Number(config.lr) : null)),
      prediction,
      training,
      diskBytes: diskBytesOf({ config }, runBytes({ config, model })),
    }
  } finally {
    all.close()
  }
}

async function speedOf(
  runner: Runner,
  beside: number,
  signal: AbortSignal | undefined,
  work: (step: number) => Promise<unknown>,
): Promise<Speed> {
  const startedAt = performance.now()
  // The first time also pays for what is compiled.
  await work(0)
  const seconds: number[] = []
  while (seconds.length < REPEATS && (seconds.length === 0 || performance.now() - startedAt < MOST_SECONDS * 1000)) {
    throwIfAborted(signal)
    const beganAt = performance.now()
    await work(seconds.length + 1)
    seconds.push((performance.now() - beganAt) / 1000)
  }
  seconds.sort((a, b) => a - b)
  const median = seconds[seconds.length >> 1] ?? Number.NaN
  return { batch: runner.images, imagesPerSecond: runner.images / median, memoryBytes: runner.bytes + beside }
}

/** A little noise over and over: what the kernels do does not depend on it. */
function noise(model: Model, images: number): Uint8Array {
  const { width, height } = model.preprocessing
  const random = randomStream({ seed: 0, purpose: 'pictures of noise' })
  const little = Uint8Array.from({ length: 4099 }, () => Math.floor(random.uniform() * 256))
  return Uint8Array.from({ length: images * height * width * 3 }, (_, at) => little[at % little.length] ?? 0)
}

async function* once<T>(thing: T): AsyncGenerator<T> {
  yield thing
}
