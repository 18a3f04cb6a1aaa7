// The verb `gradcheck`: whether the gradients of a network are those of its loss.
import { decodeImage } from '../data/decode.ts'
import { scanImages } from '../data/image-folder.ts'
import { loadBatches } from '../data/loader.ts'
import type { Preprocessing } from '../data/preprocessing.ts'
import { RegraftError, throwIfAborted } from '../errors.ts'
import { freezeExcept } from '../graph/freeze.ts'
import { parameterName, parametersOf } from '../graph/graph.ts'
import { initialWeights } from '../model/initialise.ts'
import { freshModel, loadModel } from '../model/load.ts'
import { graphOf, type Model } from '../model/model.ts'
import { createUpdater } from '../optim/updater.ts'
import { randomStream } from '../random.ts'
import type { Loss, LossName } from '../runtime/loss.ts'
import type { TrainingMode } from '../runtime/plan.ts'
import { createRunner } from '../runtime/runner.ts'
import { targetsOfLabels } from '../train/targets.ts'
import { type CheckedGradients, checkGradients } from './check-gradients.ts'
import { drawPicture } from './demo/picture.ts'
import { allThings } from './demo/things.ts'
import { parseHead } from './head-options.ts'
import { chosenLoss } from './loss-options.ts'
import { opened } from './opened.ts'
import type { PreprocessingOverrides, WorkOptions } from './options.ts'
import { openSession, type Session } from './session.ts'
import { batchStatistics, trainableLayers, trainableParameters } from './trainable.ts'

export interface GradcheckOptions extends WorkOptions, PreprocessingOverrides {
  /** A model as for `train`; the one that comes with the package when left out. */
  readonly model?: string | undefined
  /** A folder per class, or a manifest; drawn pictures when left out. */
  readonly data?: string | undefined
  /** false: random weights, for which an architecture's name is enough. */
  readonly pretrained?: boolean | undefined
  /** A new head in the place of the model's. */
  readonly head?: string | undefined
  /** Of the hidden layers of that head. */
  readonly activation?: string | undefined
  readonly unfreeze?: string | undefined
  readonly freeze?: string | undefined
  readonly bn?: 'frozen' | 'train-unfrozen' | 'train' | undefined
  readonly bnAffine?: 'train' | 'frozen' | undefined
  readonly loss?: LossName | undefined
  readonly smoothing?: number | undefined
  readonly l2?: number | undefined
  readonly l1?: number | undefined
  /** How many pictures; two or three are enough, and more have more kinks. */
  readonly pictures?: number | undefined
  /** How many coordinates of each parameter. */
  readonly coordinates?: number | undefined
  /** The h of the centred difference. */
  readonly step?: number | undefined
  /** Steps of training on these pictures before the check. */
  readonly burnIn?: number | undefined
  /** The rate of these steps. */
  readonly lr?: number | undefined
  readonly seed?: number | undefined
}

export interface GradcheckResult extends CheckedGradients {
  readonly architecture: string
  readonly images: number
  readonly imgSize: number
  readonly bn: 'frozen' | 'train-unfrozen' | 'train'
  readonly loss: LossName
  readonly step: number
  readonly burnIn: number
}

export const gradcheckDefaults = {
  model: 'default',
  unfreeze: 'all',
  bn: 'frozen',
  bnAffine: 'train',
  loss: 'ce',
  smoothing: 0,
  l2: 1,
  l1: 0.1,
  pictures: 3,
  /** Larger pictures cost time and have more values near kinks, and check nothing more. */
  mostImgSize: 48,
  coordinates: 4,
  step: 1e-6,
  burnIn: 0,
  lr: 0.01,
  seed: 0,
} as const

/**
 * Compares the kernels' gradients with centred differences in float64.
 * @throws RegraftError 'usage', 'data', 'weights', 'memory', 'interrupted'
 */
export async function gradcheck(options: GradcheckOptions): Promise<GradcheckResult> {
  const { engine, signal, listener } = options
  const seed = options.seed ?? gradcheckDefaults.seed
  const bn = options.bn ?? gradcheckDefaults.bn
  const step = options.step ?? gradcheckDefaults.step
  const burnIn = options.burnIn ?? gradcheckDefaults.burnIn
  const base = await baseModel(options)
  const pictures = await picturesFor(options, base.preprocessing, seed)
  const model = await withHead(base, options, pictures.classes, seed)
  const labels = pictures.labels.map((label) => label % model.labels.length)
  const plain = graphOf(model)
  const chosen = { unfreeze: options.unfreeze ?? gradcheckDefaults.unfreeze, freeze: options.freeze ?? null }
  const graph = freezeExcept(plain, trainableLayers(plain, chosen))
  const training = {
    trainable: trainableParameters(graph, options.bnAffine ?? gradcheckDefaults.bnAffine),
    batchStatistics: batchStatistics(graph, bn),
    loss: chosenLoss({
      loss: options.loss ?? gradcheckDefaults.loss,
      focalGamma: null,
      focalAlpha: null,
      huberDelta: null,
    }),
  }
  const session = await openSession(engine, model, graph)
  try {
    const smoothing = options.smoothing ?? gradcheckDefaults.smoothing
    const shared = { pictures: pictures.bytes, labels, training, smoothing }
    if (burnIn > 0) await burn(session, { ...shared, steps: burnIn, rate: options.lr ?? gradcheckDefaults.lr }, options)
    const checked = await checkGradients({
      ...shared,
      engine,
      graph,
      store: session.store,
      penalty: {
        l2: (options.l2 ?? gradcheckDefaults.l2) / labels.length,
        l1: (options.l1 ?? gradcheckDefaults.l1) / labels.length,
      },
      coordinates: options.coordinates ?? gradcheckDefaults.coordinates,
      step,
      seed,
      signal,
      listener,
    })
    const { architecture, preprocessing } = model
    return {
      ...checked,
      architecture,
      images: labels.length,
      imgSize: preprocessing.width,
      bn,
      loss: training.loss.kind,
      step,
      burnIn,
    }
  } finally {
    session.close()
  }
}

async function baseModel(options: GradcheckOptions): Promise<Model> {
  const name = options.model ?? gradcheckDefaults.model
  const fresh = options.pretrained === false
  const seed = options.seed ?? gradcheckDefaults.seed
  const open = async (changes: GradcheckOptions): Promise<Model> => {
    if (fresh) return await freshModel(name, seed, changes)
    const { model, remarks } = await loadModel(name, changes)
    for (const message of remarks) options.listener?.({ type: 'note', message })
    return model
  }
  const model = await open(options)
  const { width, meanImage } = model.preprocessing
  const small = width <= gradcheckDefaults.mostImgSize
  // A mean image has a size of its own.
  if (options.imgSize !== undefined || small || meanImage !== undefined) return model
  return await open({ ...options, imgSize: gradcheckDefaults.mostImgSize })
}

/** A model that ends in classes: with its own head, or a new one. */
async function withHead(
  model: Model,
  { head, activation }: GradcheckOptions,
  classes: number,
  seed: number,
): Promise<Model> {
  if (head === undefined && activation === undefined && model.head.kind !== 'none') return model
  const labels = Array.from({ length: classes }, (_, index) => String(index))
  const shaped: Model = { ...model, head: parseHead(head ?? 'linear', activation ?? null), labels }
  const { layers } = graphOf({ ...model, head: { kind: 'none' }, labels: [] })
  const trunk = new Set(layers.flatMap((layer) => parametersOf(layer).map((spec) => parameterName(layer, spec))))
  const tensors = new Map(await initialWeights(graphOf(shaped), seed))
  for (const [name, tensor] of model.tensors) {
    if (trunk.has(name)) tensors.set(name, tensor)
  }
  return { ...shaped, tensors }
}

interface Pictures {
  readonly bytes: Uint8Array
  readonly labels: Int32Array
  readonly classes: number
}

async function picturesFor(options: GradcheckOptions, preprocessing: Preprocessing, seed: number): Promise<Pictures> {
  const count = options.pictures ?? gradcheckDefaults.pictures
  return options.data === undefined
    ? await drawn(count, preprocessing, seed, options.signal)
    : await read(options.data, count, preprocessing, seed, options)
}

/** Pictures of different classes, as far as there are. */
async function read(
  data: string,
  count: number,
  preprocessing: Preprocessing,
  seed: number,
  { signal, listener }: GradcheckOptions,
): Promise<Pictures> {
  const set = await scanImages(data, { signal })
  const shuffled = randomStream({ seed, purpose: 'gradcheck:pictures' }).permutation(set.samples.length)
  const seen = new Map<number, number>()
  const turns = Array.from(shuffled, (index) => {
    const label = set.samples[index]?.label ?? 0
    const turn = seen.get(label) ?? 0
    seen.set(label, turn + 1)
    return { index, turn }
  })
  const order = turns.sort((a, b) => a.turn - b.turn).map(({ index }) => index)
  const batches = loadBatches({
    samples: set.samples,
    order,
    preprocessing,
    batchSize: count,
    signal,
    onBad: ({ path, reason }) => listener?.({ type: 'bad', path, reason }),
  })
  for await (const { bytes, labels } of batches) return { bytes, labels, classes: set.classes.length }
  throw new RegraftError('data', `None of the pictures in ${data} can be read.`)
}

/** Things from the demo. */
async function drawn(
  count: number,
  preprocessing: Preprocessing,
  seed: number,
  signal: AbortSignal | undefined,
): Promise<Pictures> {
  const things = Object.values(allThings)
  const pixels = preprocessing.width * preprocessing.height * 3
  const bytes = new Uint8Array(count * pixels)
  const labels = Int32Array.from({ length: count }, (_, sample) => sample % things.length)
  for (const [sample, label] of labels.entries()) {
    throwIfAborted(signal)
    const thing = things[label]
    if (thing) bytes.set(await decodeImage(await drawPicture(thing, { seed, sample }), preprocessing), sample * pixels)
  }
  return { bytes, labels, classes: Math.min(things.length, Math.max(2, count)) }
}

interface BurnIn {
  readonly pictures: Uint8Array
  readonly labels: Int32Array
  readonly training: TrainingMode & { readonly loss: Loss }
  readonly smoothing: number
  readonly steps: number
  readonly rate: number
}

/** Trains for some steps: at the beginning a network is not yet what it will be, and wrong gradients may hide. */
async function burn(session: Session, burnIn: BurnIn, { engine, signal, listener }: GradcheckOptions): Promise<void> {
  const { labels, training, smoothing, steps, rate } = burnIn
  const { graph, store } = session
  const images = labels.length
  const classes = graph.layers.find(({ name }) => name === graph.output)?.shape.at(-1) ?? 1
  const optimiser = { optimiser: 'momentum', weightDecay: 0, clipNorm: 1 } as const
  const all = opened()
  try {
    const runner = all.add(createRunner(engine, graph, store, { images, input: 'bytes', training }))
    const updater = all.add(createUpdater(engine, runner, store, optimiser))
    listener?.({ type: 'phase', phase: 'burn-in', total: steps, unit: 'iterations' })
    await runner.prepare(signal)
    if (runner.zeroGradients) await engine.run([runner.zeroGradients], 1, signal)
    const targets = targetsOfLabels(labels, { loss: training.loss, classes, smoothing, pictures: images })
    for (let step = 0; step < steps; step++) {
      runner.writeBytes(burnIn.pictures)
      runner.writeTargets(targets.values, targets.weights)
      await runner.run(images, { signal, more: [updater.measure] })
      updater.setStep(rate, step)
      await updater.update()
      const loss = runner.losses(images).reduce((sum, each) => sum + each, 0)
      listener?.({
        type: 'progress',
        phase: 'burn-in',
        done: step + 1,
        total: steps,
        detail: `loss ${loss.toFixed(3)}`,
      })
    }
  } finally {
    all.close()
  }
  listener?.({ type: 'phaseEnd', phase: 'burn-in' })
}
