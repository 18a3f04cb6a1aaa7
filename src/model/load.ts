// From a MODEL argument to a model in memory.
import * as path from 'node:path'
import type { Architecture } from '../architectures/architecture.ts'
import { architectureNamed, knownArchitectures } from '../architectures/index.ts'
import { checkPreprocessing, defaultResize, type Preprocessing, type Reading } from '../data/preprocessing.ts'
import { RegraftError } from '../errors.ts'
import { sha256OfFile } from '../files/digest.ts'
import { pathFacts } from '../files/folder.ts'
import { openCheckpoint } from '../formats/index.ts'
import type { HubAccess } from '../hub/hub-events.ts'
import { inertName } from '../inert-text.ts'
import type { Checkpoint } from '../tensor/checkpoint.ts'
import { type FoundModel, findModel } from './find-model.ts'
import { fitWeights, type LoadReport } from './fit-weights.ts'
import { standsApart } from './head.ts'
import { readNeighbours } from './head-tensors.ts'
import { initialWeights } from './initialise.ts'
import type { Initialiser } from './initialisers.ts'
import { backboneMissing, findLoneHead, joinLoneHead } from './lone-head.ts'
import { meanImageFile } from './mean-image.ts'
import { architectureOf, graphOf, type Model, usualHead } from './model.ts'
import { followingFrom, readDescription } from './read-description.ts'
import { usualPreprocessing } from './recognise-network.ts'
import { checkDigest } from './saved-model.ts'

export interface LoadedModel {
  readonly model: Model
  readonly report: LoadReport
  /** What was assumed, chosen or left out while reading, in sentences for people. */
  readonly remarks: readonly string[]
}

/** What of the preprocessing is to be other than the model says. */
export type PreprocessingChanges = Partial<Pick<Preprocessing, 'cropPct' | 'interpolation' | 'cropMode' | 'resize'>> & {
  readonly imgSize?: number | undefined
  readonly preprocess?: Reading | undefined
  /** Leave out a mean image. */
  readonly withoutMeanImage?: boolean | undefined
}

/** Networks of one's own, by the names that stand in config.json. */
export interface OwnArchitectures {
  readonly architectures?: readonly Architecture[] | undefined
}

export function changedPreprocessing(preprocessing: Preprocessing, changes: PreprocessingChanges): Preprocessing {
  const { imgSize, cropPct, interpolation, cropMode, resize, preprocess, withoutMeanImage } = changes
  const { meanImage, ...rest } = preprocessing
  const { width, height } = rest
  const kept = meanImage !== undefined && !withoutMeanImage
  if (kept && imgSize !== undefined && (imgSize !== width || imgSize !== height))
    throw new RegraftError(
      'usage',
      `--img-size ${imgSize}: this model takes a mean image of ${width}x${height} pixels away from its pictures, so they keep that size. Leave it out.`,
    )
  const changed: Preprocessing = {
    ...rest,
    ...(kept ? { meanImage } : {}),
    ...(imgSize === undefined ? {} : { width: imgSize, height: imgSize }),
    ...(cropPct === undefined ? {} : { cropPct }),
    ...(interpolation === undefined ? {} : { interpolation }),
    ...(cropMode === undefined ? {} : { cropMode }),
    // Always said, so that what is saved does not change with a later default.
    resize: resize ?? preprocessing.resize ?? defaultResize,
    reading: preprocess ?? preprocessing.reading ?? 'default',
  }
  checkPreprocessing(changed)
  return changed
}

/** How a model is to be loaded. */
export interface LoadOptions extends PreprocessingChanges {
  /** The network of a head that learnt from vectors alone. */
  readonly backbone?: string | undefined
}

/**
 * Reads a model: a timm folder, a run folder, a weight file, one that comes with the package, one of the hub, which is fetched if need
 * be, or a head and its network.
 * @throws RegraftError 'weights'; 'usage' for a backbone that nobody needs
 */
export async function loadModel(
  name: string,
  { backbone, ...changes }: LoadOptions & HubAccess & OwnArchitectures = {},
): Promise<LoadedModel> {
  const { offline, signal, listener } = changes
  const access: HubAccess = { offline, signal, listener }
  const lone = await findLoneHead(name)
  if (lone !== undefined) {
    if (backbone === undefined) throw backboneMissing(name, lone.backbone)
    const trunk = await loadModel(backbone, { ...access, architectures: changes.architectures })
    const model = await joinLoneHead(lone, trunk.model)
    const preprocessing = changedPreprocessing(model.preprocessing, changes)
    return { ...trunk, model: { ...model, preprocessing, origin: { ...model.origin, name } } }
  }
  if (backbone !== undefined) {
    throw new RegraftError(
      'usage',
      `--backbone goes with a head that learnt from vectors alone; ${inertName(name)} has its own network. Leave it out.`,
    )
  }
  const found = await findModel(name, access)
  const described = await readDescription(found, changes.architectures)
  const { config, saved, graph: blueprint, builder, weights, remarks } = described
  const { architecture } = config
  const built = architectureOf({
    architecture,
    ...(blueprint === undefined ? {} : { graph: blueprint }),
    ...(builder === undefined ? {} : { builder }),
  })
  const head = saved?.head ?? usualHead(config.classes, built)
  const ownHead = standsApart(head, built)
  if (saved && config.classes !== (ownHead ? 0 : saved.labels.length)) {
    throw new RegraftError(
      'weights',
      `${path.join(found.folder, 'config.json')} says ${config.classes} classes, but regraft.json beside it names ${saved.labels.length} for the head '${head.kind}'. One of the two was changed; take both from the same model.`,
      { file: path.join(found.folder, 'config.json') },
    )
  }
  const labels = saved?.labels ?? config.labels ?? Array.from({ length: config.classes }, (_, index) => String(index))
  const preprocessing = changedPreprocessing(saved?.preprocessing ?? config.preprocessing, changes)
  const shape = {
    architecture: config.architecture,
    ...(blueprint === undefined ? {} : { graph: blueprint }),
    ...(builder === undefined ? {} : { builder }),
    args: config.args,
    head,
    labels: head.kind === 'none' ? [] : labels,
    preprocessing,
  }
  const graph = followingFrom(found.config, () => graphOf(shape))
  const beside = [
    ...(ownHead ? [{ file: 'head.safetensors', holds: 'the layers after the trunk' }] : []),
    ...(preprocessing.meanImage === undefined
      ? []
      : [{ file: meanImageFile, holds: 'the mean of its training pictures' }]),
  ]
  const proved = async () => {
    const sha256 = await sha256OfFile(found.weights)
    checkDigest(saved, found.weights, sha256)
    await checkPins(found, sha256)
    return sha256
  }
  const fitted = async () => {
    let checkpoint: Checkpoint = weights
    for (const { file: own, holds } of beside) {
      const file = path.join(found.folder, own)
      if ((await pathFacts(file)) === undefined)
        throw new RegraftError(
          'weights',
          `${name}: there is no ${own} in ${found.folder}; it holds ${holds}.\nCopy the whole folder.`,
          { file },
        )
      checkDigest(saved, file, await sha256OfFile(file))
      checkpoint = joined(checkpoint, await openCheckpoint(file))
    }
    return { checkpoint, ...(await fitWeights(graph, checkpoint, config.labelOffset)) }
  }
  // Hashing keeps the processor busy, reading the disk. That the file is another one explains whatever else is wrong with it.
  const [digest, weightsThatFit] = await Promise.allSettled([proved(), fitted()])
  if (digest.status === 'rejected') throw digest.reason
  if (weightsThatFit.status === 'rejected') throw weightsThatFit.reason
  const sha256 = digest.value
  const { checkpoint, tensors: layers, counters, report } = weightsThatFit.value
  const tensors =
    head.kind === 'knn' ? new Map([...layers, ...(await readNeighbours(shape, head, checkpoint))]) : layers
  const model: Model = {
    ...shape,
    ...(saved?.loss === undefined ? {} : { loss: saved.loss }),
    ...(saved?.threshold === undefined ? {} : { threshold: saved.threshold }),
    tensors,
    counters,
    origin: {
      name,
      sha256,
      ...(config.tag === undefined ? {} : { tag: config.tag }),
      ...licenceOf(config.license ?? found.hub?.licence),
    },
  }
  return { model, report, remarks }
}

function licenceOf(license: string | undefined): { readonly license?: string } {
  return license === undefined ? {} : { license }
}

/** @throws RegraftError 'weights' when a file of the cache is not the one that was fetched */
async function checkPins({ hub, folder, weights }: FoundModel, sha256: string): Promise<void> {
  for (const [name, pin] of hub?.pins ?? []) {
    if (!/\.(safetensors|bin|index\.json)$/.test(name)) continue
    const file = path.join(folder, name)
    const actual = file === weights ? sha256 : await sha256OfFile(file, { code: 'weights' })
    if (actual === pin.sha256) continue
    throw new RegraftError(
      'weights',
      `${file} is not as it was fetched: its SHA-256 begins with ${actual.slice(0, 8)}, not with ${pin.sha256.slice(0, 8)}.\nRemove it and fetch it again: regraft models rm ${hub?.id.owner}/${hub?.id.name}, then regraft models pull.`,
      { file },
    )
  }
}

/** A network of random weights, for training from nothing. `name` is an architecture, or a model whose architecture is meant. */
export async function freshModel(
  name: string,
  seed: number,
  changes: PreprocessingChanges & HubAccess = {},
  initialiser?: Initialiser,
): Promise<Model> {
  const isArchitecture = knownArchitectures.some((known) => known === name)
  if (!isArchitecture) {
    const found = await findModel(name, changes)
    const { config, graph } = await readDescription(found)
    const shape = { ...config, ...(graph === undefined ? {} : { graph }) }
    return random(shape, changedPreprocessing(config.preprocessing, changes), name, seed, initialiser)
  }
  const shape = { architecture: architectureNamed(name).name, args: {} }
  return random(shape, changedPreprocessing(usualPreprocessing, changes), name, seed, initialiser)
}

async function random(
  { architecture, args, graph: blueprint }: Pick<Model, 'architecture' | 'args' | 'graph'>,
  preprocessing: Preprocessing,
  name: string,
  seed: number,
  initialiser: Initialiser | undefined,
): Promise<Model> {
  const shape = {
    architecture,
    ...(blueprint === undefined ? {} : { graph: blueprint }),
    args,
    head: { kind: 'none' } as const,
    labels: [],
    preprocessing,
  }
  const graph = graphOf(shape)
  const counters = new Map(
    graph.layers.filter((layer) => layer.op === 'batchNorm').map((layer) => [`${layer.name}.num_batches_tracked`, 0]),
  )
  return { ...shape, tensors: await initialWeights(graph, seed, initialiser), counters, origin: { name } }
}

/** Two files read as one; their names must differ. */
function joined(first: Checkpoint, second: Checkpoint): Checkpoint {
  const inFirst = new Set(first.names())
  const twice = second.names().find((name) => inFirst.has(name))
  if (twice !== undefined)
    throw new RegraftError('weights', `${second.source}: '${twice}' stands in ${first.source} too.`, {
      file: second.source,
    })
  const of = (name: string) => (inFirst.has(name) ? first : second)
  return {
    ...first,
    names: () => [...first.names(), ...second.names()],
    shape: (name: string) => of(name).shape(name),
    dtype: (name: string) => of(name).dtype(name),
    read: (name: string) => of(name).read(name),
    readBytes: (name: string) => of(name).readBytes(name),
  }
}
