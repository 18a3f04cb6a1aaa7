// The verb `head`: from vectors that embed wrote to a head, on its network where that can be had. It is what `train --mode features` does
// after the pictures have passed the network.
import * as path from 'node:path'
import { stringify } from 'yaml'
import { keptImages } from '../data/decode.ts'
import { checkPreprocessing, type Preprocessing } from '../data/preprocessing.ts'
import { RegraftError } from '../errors.ts'
import { writeFileAtomic } from '../files/atomic-write.ts'
import { isJsonObject, writeJson } from '../files/strict-json.ts'
import { inertName } from '../inert-text.ts'
import { loadModel } from '../model/load.ts'
import { checkLayer } from '../model/lone-head.ts'
import type { Model } from '../model/model.ts'
import type { Backbone } from '../model/saved-model.ts'
import type { LossName } from '../runtime/loss.ts'
import type { HostTensor } from '../tensor/host-tensor.ts'
import { timeBudget } from '../train/time-budget.ts'
import { version } from '../version.ts'
import { withAbsolutePaths } from './absolute-paths.ts'
import { classWeightsOf } from './class-weights.ts'
import { recordData } from './data-record.ts'
import { eventLog } from './event-log.ts'
import { newTiming } from './extract-features.ts'
import { foldComponents, scaled } from './feature-space.ts'
import { readComponents } from './finish-vectors.ts'
import { type HeadData, readHeadData } from './head-data.ts'
import { parseHead } from './head-options.ts'
import { chosenLoss } from './loss-options.ts'
import type { TrainOptions, TrainResult } from './options.ts'
import { leaveNoBeginning, type RunManifest, refuseTaken, startRun, writeBad } from './run-folder.ts'
import { originOf } from './same-run.ts'
import type { StoredVectors } from './stored-vectors.ts'
import { finish } from './train.ts'
import { completeConfig, type TrainConfig } from './train-defaults.ts'
import { trainOnVectors } from './train-on-features.ts'
import type { Outcome, Work } from './train-work.ts'

/** Options of `train` that a head on vectors has too. */
const shared = [
  'head',
  'activation',
  'init',
  'loss',
  'focalGamma',
  'focalAlpha',
  'huberDelta',
  'solver',
  'strength',
  'neighbours',
  'pca',
  'whiten',
  'epochs',
  'batchSize',
  'opt',
  'lr',
  'momentum',
  'weightDecay',
  'l2',
  'l1',
  'ema',
  'sched',
  'decayRate',
  'decayEpochs',
  'decayMilestones',
  'warmupEpochs',
  'smoothing',
  'clipGrad',
  'dropout',
  'dropconnect',
  'classWeights',
  'sampler',
  'patience',
  'val',
  'trainList',
  'test',
  'seed',
] as const satisfies readonly (keyof TrainConfig)[]

export interface HeadOptions
  extends Pick<
    TrainOptions,
    (typeof shared)[number] | 'engine' | 'signal' | 'listener' | 'offline' | 'out' | 'overwrite' | 'minAccuracy'
  > {
  /** Folder that `embed` wrote, or a `.npy` file in it. */
  readonly vectors: string
  /** A manifest with `path,label` and, if it has them, `split` and `group`; in the place of the labels that embed found. */
  readonly labels?: string
  /**
   * What to predict instead of classes: a column of numbers in `labels`, or 'numeric' where the labels are numbers. A path with several labels
   * in `labels` makes them several labels at once.
   */
  readonly target?: string
  /** The model that made the vectors, where it is no longer found by the name it had. */
  readonly backbone?: string
}

/**
 * Trains a head on stored vectors and writes a run folder. Where the model that made them can be had, `best/` is a whole model, byte for
 * byte that of `train --mode features` with the same pictures in the same parts; else it is the head alone, and says which model it wants.
 * @throws RegraftError 'usage', 'data', 'interrupted'; 'weights' for a backbone that did not make the vectors
 */
export async function trainHead(options: HeadOptions): Promise<TrainResult> {
  const { out, overwrite = false } = options
  const log = eventLog(options.listener)
  await refuseTaken(out, overwrite)
  const given = await gatherVectors({ ...options, listener: log.listener })
  const work: Work = { ...given.work, flushEvents: () => log.flush() }
  try {
    await startRun(out, overwrite)
    log.open(out)
    try {
      await describe(work, options)
      const outcome = await trainOnVectors(work, given.vectors)
      return await finish(work, await forNetwork(outcome, given.stored))
    } catch (error) {
      // The first error is the one to report.
      await work.flushEvents().catch(() => undefined)
      await leaveNoBeginning(out).catch(() => undefined)
      throw error
    }
  } finally {
    work.budget.close()
  }
}

/** All that has to be known before the folder of the run is touched. */
export async function gatherVectors(
  options: HeadOptions,
): Promise<{ readonly work: Omit<Work, 'flushEvents'> } & Pick<HeadData, 'stored' | 'vectors'>> {
  const startedAt = performance.now()
  const { engine, signal, listener, vectors: where, out } = options
  const { labels = null, target = null, backbone, vectors: _, minAccuracy: __, ...training } = options
  const base = { ...training, data: where, mode: 'features' } as const
  // What contradicts itself does so before anything is read.
  completeConfig({ ...base, ...(target === null ? {} : toTarget(training, 'numbers')) })
  listener?.({ type: 'phase', phase: 'scan', total: 0, unit: 'vectors' })
  const { val = null, trainList = null, test = null, seed = 0 } = options
  const { stored, data, vectors } = await readHeadData({ vectors: where, labels, target, val, trainList, test, seed })
  const kind = vectors.train.targets?.kind
  const asked = await withAbsolutePaths(completeConfig({ ...base, ...(kind ? toTarget(training, kind) : {}) }))
  for (const { path: name, reason } of data.skipped) listener?.({ type: 'bad', path: name, reason })
  for (const message of data.notes) listener?.({ type: 'note', message })
  listener?.({ type: 'phaseEnd', phase: 'scan' })

  const made = madeBy(stored, asked.solver)
  const head = parseHead(asked.head, asked.activation)
  const loss = chosenLoss(asked)
  const network = await networkOf(stored, made, backbone, options)
  const model: Model = network
    ? { ...network, preprocessing: made.preprocessing, head, loss, labels: data.classes }
    : { ...loneModel(made, head, data.classes), loss }
  const config: TrainConfig = { ...asked, model: made.backbone.name }
  const record = await recordData(data)
  const classWeights =
    config.classWeights === null
      ? undefined
      : await classWeightsOf(
          config.classWeights,
          data.classes,
          data.train.map(({ label }) => label),
          vectors.train.targets?.values,
        )
  const manifest: RunManifest = {
    version,
    node: process.versions.node,
    kernels: { build: engine.build, digest: engine.digest, vectorBits: engine.vectorBits },
    threads: engine.threads,
    model: {
      name: config.model,
      architecture: model.architecture,
      sha256: made.backbone.sha256,
    },
    data: { root: path.resolve(where), classes: data.classes, fingerprint: record.fingerprint },
    classWeights: classWeights ?? null,
    seed,
  }
  const work = {
    options: {
      ...training,
      data: where,
      ...(options.minAccuracy === undefined ? {} : { minAccuracy: options.minAccuracy }),
    },
    config,
    manifest,
    record,
    out,
    data,
    model,
    ...(network ? {} : { backbone: made.backbone }),
    ...(kind === 'labels' ? { classWeights: undefined, positives: classWeights } : { classWeights }),
    timing: newTiming(),
    kept: keptImages(),
    bad: [],
    digests: record.digests,
    origin: originOf(manifest, config),
    budget: timeBudget(undefined, '', signal),
    resumed: undefined,
    passing: true,
    startedAt,
  }
  return { work, stored, vectors }
}

interface Maker {
  readonly backbone: Backbone
  readonly preprocessing: Preprocessing
}

/**
 * The loss and solver for numbers or several labels.
 * @throws RegraftError 'usage' for those that were asked for and do not go with them
 */
function toTarget(
  { head = 'linear', loss, solver, smoothing, classWeights }: Partial<HeadOptions>,
  kind: 'numbers' | 'labels',
): Partial<TrainOptions> {
  const fitting: readonly [LossName, ...LossName[]] =
    kind === 'numbers' ? ['mse', 'l1', 'smooth-l1', 'huber'] : ['bce', 'sigmoid-focal']
  const what = kind === 'numbers' ? 'numbers' : 'several labels of a picture'
  const [usualLoss] = fitting
  const wanted = loss ?? usualLoss
  if (!fitting.includes(wanted))
    throw new RegraftError(
      'usage',
      `--loss ${wanted} does not go with ${what}, which take ${fitting.join(' or ')}. Leave it out for ${usualLoss}.`,
    )
  if (classWeights !== undefined && wanted !== 'bce')
    throw new RegraftError(
      'usage',
      `--class-weights has no meaning for ${what}${kind === 'labels' ? ` with --loss ${wanted}` : ''}. Leave it out.`,
    )
  const solved = kind === 'numbers' ? 'ridge' : 'lbfgs'
  const chosen = solver ?? (head === 'linear' && wanted === usualLoss ? solved : 'gradient')
  return { loss: wanted, solver: chosen, ...(chosen === 'gradient' ? { smoothing: smoothing ?? 0 } : {}) }
}

/**
 * What `meta.json` says of the model.
 * @throws RegraftError 'data' for vectors that embed did not write; 'usage' for those that no network gives to its head
 */
function madeBy({ meta, layer, folder }: StoredVectors, solver: TrainConfig['solver']): Maker {
  const unknown = new RegraftError(
    'data',
    `${inertName(folder)} does not say which model made its vectors (meta.json), so nothing could be done with a head on them.\nGive vectors that regraft embed wrote.`,
    { file: folder },
  )
  const { model, preprocessing, pool, pca, l2_normalized: normalised } = meta?.json ?? {}
  if (!isJsonObject(model) || !isJsonObject(preprocessing)) throw unknown
  const { name, architecture, sha256 } = model
  if (typeof name !== 'string' || typeof architecture !== 'string' || typeof sha256 !== 'string') throw unknown
  const refuse = (problem: string) => new RegraftError('usage', `${inertName(folder)}: ${problem}`, { file: folder })
  if (normalised === true)
    throw refuse('a network does not give its head vectors of length 1. Embed without --l2-normalize.')
  if (pool === 'none')
    throw refuse('a network does not give its head the values of all places. Embed without --pool none.')
  if (isJsonObject(pca) && solver === 'knn')
    throw refuse('neighbours are looked for among the features. Embed without --pca, and give --pca to head.')
  // Our own words in meta.json, which `checkPreprocessing` looks through.
  const typed = { ...preprocessing } as unknown as Preprocessing
  checkPreprocessing(typed)
  return { backbone: { name, architecture, sha256, layer: meta?.layers[layer]?.name ?? '' }, preprocessing: typed }
}

/**
 * The model that made the vectors.
 * @param backbone  where it is now; without it the name that it had is tried
 * @returns undefined where it cannot be had by that name, which is told
 */
async function networkOf(
  stored: StoredVectors,
  { backbone: made }: Maker,
  backbone: string | undefined,
  { listener, signal, offline }: Pick<HeadOptions, 'listener' | 'signal' | 'offline'>,
): Promise<Model | undefined> {
  let model: Model
  try {
    // By its former name only what is here already counts.
    const access = backbone === undefined ? { offline: true } : { offline, signal, listener }
    model = (await loadModel(backbone ?? made.name, access)).model
  } catch (error) {
    if (backbone !== undefined || !(error instanceof RegraftError)) throw error
    listener?.({
      type: 'note',
      message: `The model that made the vectors is not found by its name, ${inertName(made.name)}, so the head is saved alone; --backbone says where it is.`,
    })
    return undefined
  }
  if (model.origin.sha256 === made.sha256) {
    checkLayer(made, model)
    // Under the name that it had: what is saved does not depend on where it is now.
    return { ...model, origin: { ...model.origin, name: made.name } }
  }
  const other = `${inertName(backbone ?? made.name)} is not the model that made the vectors in ${inertName(stored.folder)}: its SHA-256 begins with ${model.origin.sha256?.slice(0, 8)}, theirs with ${made.sha256.slice(0, 8)}`
  if (backbone !== undefined) throw new RegraftError('weights', `${other}.\nGive that very model.`)
  listener?.({ type: 'note', message: `${other}, so the head is saved alone; --backbone says where the right one is.` })
  return undefined
}

/** Stands for a network that is not there: labels, head and preprocessing alone are true. */
function loneModel({ backbone, preprocessing }: Maker, head: Model['head'], labels: readonly string[]): Model {
  const { architecture, name, sha256 } = backbone
  const origin = { name, sha256 }
  return { architecture, args: {}, head, labels, preprocessing, tensors: new Map(), counters: new Map(), origin }
}

/** Where embed left principal components alone, the head learns to make them of features. */
async function forNetwork(outcome: Outcome, { meta, layer, folder }: StoredVectors): Promise<Outcome> {
  const described = meta?.json['pca']
  const name = meta?.layers[layer]?.name
  if (!meta || !isJsonObject(described) || name === undefined) return outcome
  const components = scaled(await readComponents(folder, meta.layers, name), described['whitened'] === true)
  const width = components.weight.length / components.mean.length
  const weights = new Map<string, HostTensor>(outcome.weights)
  const first = [...weights].find(([, { shape }]) => shape.length === 2 && shape[1] === width)
  if (first === undefined) return outcome
  const [weightName, { data, shape }] = first
  const biasName = weightName.replace(/weight$/, 'bias')
  const bias = weights.get(biasName)?.data ?? new Float32Array(shape[0] ?? 0)
  const folded = foldComponents(data, bias, components)
  weights.set(weightName, { shape: [bias.length, components.mean.length], data: Float32Array.from(folded.weight) })
  weights.set(biasName, { shape: [bias.length], data: Float32Array.from(folded.bias) })
  return { ...outcome, weights }
}

async function describe({ out, config, manifest, record, data }: Work, options: HeadOptions): Promise<void> {
  const own = Object.fromEntries(shared.map((name) => [name, config[name]]))
  const { labels = null, target = null, backbone = null } = options
  const effective = { vectors: config.data, labels: labels && path.resolve(labels), target, backbone, ...own }
  await writeFileAtomic(path.join(out, 'config.yaml'), stringify(effective))
  await writeJson(path.join(out, 'manifest.json'), manifest)
  await writeFileAtomic(path.join(out, 'split.jsonl'), record.text)
  await writeBad(out, data.skipped)
}
