// What a MODEL argument means: a path, a run, a card's name, a model of the hub, or the embedded default.
import { readdirSync } from 'node:fs'
import * as path from 'node:path'
import { fileURLToPath } from 'node:url'
import { GRAPH_ARCHITECTURE } from '../architectures/from-graph.ts'
import { architectureNamed, knownArchitectures } from '../architectures/index.ts'
import { RegraftError } from '../errors.ts'
import { listFolder, pathFacts } from '../files/folder.ts'
import type { HubAccess } from '../hub/hub-events.ts'
import { type HubId, hubIdText, parseHubId } from '../hub/hub-id.ts'
import { type HubModel, hubModel } from '../hub/hub-model.ts'
import { inertName } from '../inert-text.ts'
import { nearestName } from '../nearest-name.ts'
import { cardNamed, cards } from './cards.ts'
import { readTimmConfig } from './timm-config.ts'

/** Folder of the models that come with the package. */
export const modelsFolder = fileURLToPath(new URL('../../models', import.meta.url))
/** The model behind the name 'default'. */
export const DEFAULT_MODEL = 'regraft_resnet14.tiny_imagenet'

export interface FoundModel {
  /** timm's config.json; undefined for a weight file that has none beside it. */
  readonly config: string | undefined
  readonly weights: string
  /** Folder that holds the weights. */
  readonly folder: string
  /** For one of the hub: where it comes from, and what its files have to be. */
  readonly hub?: HubModel
}

/** Names of the models that come with the package. */
export function embeddedModels(): readonly string[] {
  try {
    return readdirSync(modelsFolder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name)
      .sort()
  } catch {
    return []
  }
}

/**
 * Finds a model, and fetches it when it is one of the hub that is not on this machine.
 * @throws RegraftError 'weights' saying where was looked and what exists
 */
export async function findModel(name: string, access: HubAccess = {}): Promise<FoundModel> {
  const facts = await pathFacts(name)
  if (facts?.kind === 'file') {
    const folder = path.dirname(name)
    const config = path.join(folder, 'config.json')
    return { folder, weights: name, config: (await pathFacts(config)) === undefined ? undefined : config }
  }
  if (facts?.kind === 'folder') {
    const own = (await pathFacts(path.join(name, 'config.json'))) !== undefined
    // A run that was killed while it put a better model in place has the former one beside it.
    for (const best of own ? [] : ['best', 'best.old'].map((folder) => path.join(name, folder))) {
      if ((await pathFacts(best))?.kind === 'folder') return complete(best, path.join(best, 'model.safetensors'), name)
    }
    const weights = await weightsIn(name)
    // These tell the network themselves.
    if (!own && networkFiles.includes(path.basename(weights))) return { folder: name, weights, config: undefined }
    return complete(name, weights, name)
  }
  const embedded = name === 'default' ? DEFAULT_MODEL : name
  if (embeddedModels().includes(embedded)) {
    const folder = path.join(modelsFolder, embedded)
    return complete(folder, path.join(folder, 'model.safetensors'), name)
  }
  const id = hubIdOf(name)
  const near = await nearPath(name)
  if (id === undefined) throw unknownModel(name, near)
  const hub = await modelOfHub(id, access).catch((error: unknown) => {
    if (!(error instanceof RegraftError) || error.code !== 'weights' || near === undefined) throw error
    throw new RegraftError('weights', `${error.message}\nOr did you mean '${inertName(near)}'?`, { cause: error })
  })
  return { config: hub.config, weights: hub.weights, folder: hub.folder, hub }
}

/** The place on the hub of a card's name, or of `owner/name[@revision]`; undefined for other names. */
export function hubIdOf(name: string): HubId | undefined {
  const [plain = '', ...revision] = name.split('@')
  return parseHubId([cardNamed(plain)?.repository ?? plain, ...revision].join('@'))
}

/** @throws RegraftError 'weights', before the weights are fetched when the network is not built here */
export async function modelOfHub(id: HubId, options: HubAccess & { readonly refresh?: boolean }): Promise<HubModel> {
  const card = cards.find(({ repository }) => repository === `${id.owner}/${id.name}`)
  return await hubModel(id, {
    offline: options.offline,
    signal: options.signal,
    listener: options.listener,
    ...(options.refresh ? { refresh: true } : {}),
    licence: card?.licence,
    async check(file) {
      const config = await readTimmConfig(file)
      if (config.architecture === GRAPH_ARCHITECTURE) return config.license
      try {
        architectureNamed(config.architecture)
      } catch (cause) {
        if (!(cause instanceof RegraftError)) throw cause
        const message = `${hubIdText(id)}: its weights are not fetched. ${inertName(cause.message, 2000)}`
        throw new RegraftError('weights', message, { cause })
      }
      return config.license
    },
  })
}

/** Names of weight files in the folders of the hub, in the order in which they are taken. */
const weightNames = [
  'model.safetensors',
  'model.safetensors.index.json',
  'pytorch_model.bin',
  'pytorch_model.pth',
  'model.pth',
  'model.onnx',
  'model.json',
  'weights_manifest.json',
]

const networkFiles: readonly string[] = ['model.onnx', 'model.json', 'weights_manifest.json']

async function weightsIn(folder: string): Promise<string> {
  for (const name of weightNames) {
    const file = path.join(folder, name)
    if ((await pathFacts(file))?.kind === 'file') return file
  }
  return path.join(folder, 'model.safetensors')
}

async function complete(folder: string, weights: string, name: string): Promise<FoundModel> {
  const config = path.join(folder, 'config.json')
  if ((await pathFacts(config)) === undefined) {
    throw new RegraftError(
      'weights',
      `${name}: there is no config.json in ${folder}.\nA model is a timm folder: config.json and model.safetensors.`,
      { file: config },
    )
  }
  if ((await pathFacts(weights)) === undefined) {
    throw new RegraftError(
      'weights',
      `${name}: there is no ${path.basename(weights)} in ${folder}.\nA model is a timm folder: config.json and model.safetensors.`,
      { file: weights },
    )
  }
  return { folder, config, weights }
}

/** A card's name, and that of its network alone. */
const namesOf = ({ name }: { readonly name: string }) => [name, name.split('.')[0] ?? name]

/** What lies beside a path that does not exist and is named almost like it. */
async function nearPath(name: string): Promise<string | undefined> {
  const folder = path.dirname(name)
  const entries = await listFolder(folder).catch(() => [])
  const nearest = nearestName(
    path.basename(name),
    entries.map((entry) => entry.name),
  )
  return nearest === undefined ? undefined : path.join(folder, nearest)
}

function unknownModel(name: string, nearby: string | undefined): RegraftError {
  const near = nearby ?? nearestName(name, ['default', ...embeddedModels(), ...cards.flatMap(namesOf)])
  const hint = near ? ` Did you mean '${inertName(near)}'?` : ''
  const architecture = knownArchitectures.find((known) => known === name.split('.')[0])
  const advice = architecture
    ? `'${architecture}' is an architecture; its weights must be given as a folder with config.json and model.safetensors (as timm publishes them). To start from random weights: --no-pretrained.`
    : "Give a timm folder (config.json and model.safetensors), a run folder, owner/name of the hub, or a name that 'regraft models list' has."

  return new RegraftError(
    'weights',
    `There is no model '${name}': no such path, and no model of that name comes with regraft.${hint}\n${advice}`,
  )
}
