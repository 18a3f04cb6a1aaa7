// What a MODEL argument means: a path, a run, a card's name, or the embedded default.
import { readdirSync } from 'node:fs'
import * as path from 'node:path'
import { fileURLToPath } from 'node:url'
import { knownArchitectures } from '../architectures/index.ts'
import { RegraftError } from '../errors.ts'
import { pathFacts } from '../files/folder.ts'
import { nearestName } from '../nearest-name.ts'

/** Folder of the models that come with the package. */
export const modelsFolder = fileURLToPath(new URL('../../models', import.meta.url))
/** The model behind the name 'default'. */
export const DEFAULT_MODEL = 'mobilenetv1_050.cifar10_regraft'

export interface FoundModel {
  /** timm's config.json; undefined for a weight file that has none beside it. */
  readonly config: string | undefined
  readonly weights: string
  /** Folder that holds the weights. */
  readonly folder: string
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

/** @throws RegraftError 'weights' saying where was looked and what exists */
export async function findModel(name: string): Promise<FoundModel> {
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
  throw unknownModel(name)
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

function unknownModel(name: string): RegraftError {
  const near = nearestName(name, ['default', ...embeddedModels()])
  const hint = near ? ` Did you mean '${near}'?` : ''
  const architecture = knownArchitectures.find((known) => known === name.split('.')[0])
  const advice = architecture
    ? `'${architecture}' is an architecture; its weights must be given as a folder with config.json and model.safetensors (as timm publishes them). To start from random weights: --no-pretrained.`
    : 'Give a timm folder (config.json and model.safetensors), a run folder, or one of: default, ' +
      `${embeddedModels().join(', ')}.`
  return new RegraftError(
    'weights',
    `There is no model '${name}': no such path, and no model of that name comes with regraft.${hint}\n${advice}`,
  )
}
