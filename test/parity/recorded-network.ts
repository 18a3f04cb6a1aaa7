// A network of the recorded PyTorch results: its weights, what it should give, and which of our layers each of its names means.

import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Architecture, ArchitectureOptions } from '../../src/architectures/architecture.ts'
import { convnextGraph, torchvisionNames } from '../../src/architectures/convnext.ts'
import { densenetGraph } from '../../src/architectures/densenet.ts'
import { architectureNamed } from '../../src/architectures/index.ts'
import { resnetGraph } from '../../src/architectures/resnet.ts'
import { vggGraph } from '../../src/architectures/vgg.ts'
import { openCheckpoint } from '../../src/formats/index.ts'
import { timmNames } from '../../src/formats/rename.ts'
import { openSafetensors } from '../../src/formats/safetensors.ts'
import { type Graph, layerNamed, parameterName, parametersOf } from '../../src/graph/graph.ts'
import type { HostTensor } from '../../src/tensor/host-tensor.ts'

// The generator of the recordings makes others, of other networks too: generate.py --set holdout --seed N --only models --out DIR.
const { ORACLE = fileURLToPath(new URL('../../../shared/oracle', import.meta.url)) } = process.env
const folder = `${ORACLE}/`
export const recordingsExist = existsSync(`${folder}index.json`)

/** Names of the recorded networks; one to be skipped where there are no recordings. */
export const recordedNetworks: readonly string[] = recordingsExist
  ? readIndex().flatMap(({ op, name }) => (op === 'model' ? [name.replace('model_', '')] : []))
  : ['mobilenet_v2']

function readIndex(): readonly Entry[] {
  // The recordings are ours; their README describes the index.
  return (JSON.parse(readFileSync(`${folder}index.json`, 'utf8')) as { cases: Entry[] }).cases
}

interface Recipe {
  readonly shape: readonly number[]
  readonly seed: number
  readonly bound: number
  readonly first_values: readonly number[]
}

interface Entry {
  readonly op: string
  readonly name: string
  readonly file: string
  readonly config: {
    readonly classes: number
    readonly checkpoint: {
      readonly safetensors?: { readonly file: string }
      readonly pth?: { readonly file: string }
      readonly safetensors_without_recipe_tensors?: string
      readonly recipe?: Readonly<Record<string, Recipe>>
    }
    readonly sgd: { readonly lr: number; readonly momentum: number; readonly steps: number }
    readonly activations: readonly string[]
    readonly partial_trainable: readonly string[]
  }
  readonly parameter_order: readonly string[]
  readonly batchnorm_order: readonly string[]
  readonly tensors: readonly {
    readonly name: string
    readonly tolerance?: { readonly rtol: number; readonly atol: number }
  }[]
}

export interface RecordedNetwork {
  readonly config: Entry['config']
  /** The network for square pictures of this size. */
  graph(size: number): Graph
  /** Weights and running statistics by our names. */
  readonly weights: ReadonlyMap<string, HostTensor>
  /** Our names of the parameters, in the order of the recorded lists. */
  readonly parameters: readonly string[]
  /** Our names of the batch norms, in the order of the recorded lists. */
  readonly norms: readonly string[]
  /** Our name of a parameter of torchvision's. */
  parameterNamed(name: string): string
  /** The layer that gives the output of a module of torchvision's. */
  layerOf(module: string): string
  /** The layer that gives what the pooling before the classifier gives. */
  pooled(size: number): string
  /** Names of the recorded values that begin so. */
  recordedNames(prefix: string): readonly string[]
  /**
   * The largest |value - recorded| as a multiple of what the advised tolerance allows: at most 1 where all is well.
   * Infinite where values are missing or not numbers.
   */
  error(name: string, values: ArrayLike<number>): number
}

/** The pictures of all cases, channels last, and their labels. */
export interface Pictures {
  readonly x64: Float32Array
  readonly x224: Float32Array
  readonly labels: readonly number[]
}

export async function readPictures(): Promise<Pictures> {
  const file = await openSafetensors(`${folder}models/inputs.safetensors`)
  const [x64, x224, labels] = await Promise.all(['x64', 'x224', 'labels'].map((name) => file.read(name)))
  if (!x64 || !x224 || !labels) throw new Error('the pictures are incomplete')
  return { x64: channelsLast(x64), x224: channelsLast(x224), labels: [...labels.data] }
}

/** [N, C, H, W] to [N, H, W, C]. */
function channelsLast({ shape, data }: HostTensor): Float32Array {
  const [images = 0, channels = 0, height = 0, width = 0] = shape
  const pixels = height * width
  const result = new Float32Array(data.length)
  for (let image = 0; image < images; image++) {
    for (let channel = 0; channel < channels; channel++) {
      for (let pixel = 0; pixel < pixels; pixel++) {
        const value = data[(image * channels + channel) * pixels + pixel] ?? Number.NaN
        result[(image * pixels + pixel) * channels + channel] = value
      }
    }
  }
  return result
}

/** @param name  `mobilenet_v2`, `resnet18` … */
export async function readNetwork(name: string): Promise<RecordedNetwork> {
  const entry = readIndex().find((candidate) => candidate.name === `model_${name}`)
  if (!entry) throw new Error(`there is no recorded network '${name}'`)
  // Recorded in front of a ReLU that belongs to the layer here.
  const activations = entry.config.activations.filter((module) => module !== 'features.norm5')
  const config = { ...entry.config, activations }
  const graph = (size: number) => buildGraph(name, config.classes, size)

  const ours = graph(64).layers.flatMap((layer) =>
    parametersOf(layer).flatMap((spec) => (spec.kind === 'statistic' ? [] : [parameterName(layer, spec)])),
  )
  const norms = graph(64).layers.flatMap((layer) => (layer.op === 'batchNorm' ? [layer.name] : []))
  const theirNames = [
    ...entry.parameter_order,
    ...entry.batchnorm_order.flatMap((norm) => [`${norm}.running_mean`, `${norm}.running_var`]),
  ]
  const translated = new Map(timmNames(theirNames, torchvisionNamesOf(name)))
  if (translated.size !== ours.length + 2 * norms.length) throw new Error(`${name} has other parameters than recorded`)
  const parameterNamed = (theirs: string): string => {
    const found = translated.get(theirs)
    if (found === undefined) throw new Error(`${name} has no parameter '${theirs}'`)
    return found
  }

  const recorded = await openSafetensors(folder + entry.file)
  const values = new Map<string, Float32Array>()
  for (const tensor of recorded.names()) values.set(tensor, (await recorded.read(tensor)).data)

  return {
    config,
    graph,
    weights: await readWeights(config, translated, graph(64)),
    parameters: entry.parameter_order.map(parameterNamed),
    norms: entry.batchnorm_order.map((theirs) =>
      parameterNamed(`${theirs}.running_mean`).replace(/\.running_mean$/, ''),
    ),
    parameterNamed,
    pooled(size) {
      const { layers, features } = graph(size)
      return (
        layers.find((layer) => layer.name === 'pre_logits.pool') ??
        layers.findLast((layer) => layer.op === 'maxPool' && name.startsWith('vgg')) ??
        layers.find((layer) => layer.name === 'global_pool') ??
        layerNamed(graph(size), features)
      ).name
    },
    layerOf(module) {
      // A ReLU, which belongs to the norm in front of it here.
      if (name.startsWith('mnasnet') && module === 'layers.16') return 'bn2'
      if (graph(64).layers.some((layer) => layer.name === module)) return module
      const inside = new Set(
        [...translated].filter(([theirs]) => theirs.startsWith(`${module}.`)).map(([, own]) => own),
      )
      const { layers } = graph(64)
      const last = layers.findLast((layer) =>
        parametersOf(layer).some((spec) => inside.has(parameterName(layer, spec))),
      )
      if (!last) throw new Error(`${name} has no module '${module}'`)
      // The addition at the end of a block has no parameters.
      return (last.block === undefined ? last : (layers.findLast((layer) => layer.block === last.block) ?? last)).name
    },
    recordedNames: (prefix) =>
      [...values.keys()].filter((tensor) => tensor.startsWith(prefix) && !tensor.includes('.features.norm5.')).sort(),
    error(tensor, actual) {
      const expected = values.get(tensor)
      const tolerance = entry.tensors.find((candidate) => candidate.name === tensor)?.tolerance
      if (!expected || !tolerance) throw new Error(`'${tensor}' was not recorded`)
      if (expected.length !== actual.length) return Number.POSITIVE_INFINITY
      let worst = 0
      for (const [i, value] of expected.entries()) {
        const difference = Math.abs((actual[i] ?? Number.NaN) - value)
        // Nothing is allowed where all values are 0.
        const error = difference === 0 ? 0 : difference / (tolerance.atol + tolerance.rtol * Math.abs(value))
        if (!(error <= worst)) worst = Number.isNaN(error) ? Number.POSITIVE_INFINITY : error
      }
      return worst
    },
  }
}

/** Narrow ones are built as those that they are like. */
const narrow: Readonly<Record<string, (name: string, options: ArchitectureOptions) => Graph>> = {
  resnet18_narrow: (name, options) => resnetGraph(name, { repeats: [2, 2, 2, 2] }, options, 16),
  resnet50_narrow: (name, options) => resnetGraph(name, { repeats: [2, 1, 1, 1], bottleneck: true }, options, 16),
  vgg11_bn_narrow: (name, options) => vggGraph(name, [1, 1, 2, 2, 2], options, { first: 8, features: 32 }),
  convnext_narrow: (name, options) => convnextGraph(name, narrowConvnext, options),
  densenet_narrow: (name, options) =>
    densenetGraph(name, { repeats: [2, 3, 3, 2], growth: 8, stem: 16, bottleneck: 2 }, options),
}
const narrowConvnext = { repeats: [1, 1, 2, 2], widths: [16, 32, 64, 128] }

function architectureOf(name: string): Architecture {
  return architectureNamed(name === 'mobilenet_v2_0.35' ? 'mobilenetv2_035' : name)
}

function torchvisionNamesOf(name: string): ReadonlyMap<string, string> {
  if (name === 'convnext_narrow') return torchvisionNames(narrowConvnext).names
  // torchvision's ResNet and DenseNet have timm's names.
  const like = Object.hasOwn(narrow, name) ? (name.startsWith('vgg') ? 'vgg11_bn' : undefined) : name
  return (like === undefined ? undefined : architectureOf(like).torchvision?.names) ?? new Map()
}

function buildGraph(name: string, classes: number, size: number): Graph {
  const options = { classes, height: size, width: size, mean: [0, 0, 0], std: [1, 1, 1] } as const
  const build = narrow[name]
  if (build) return build(name, options)
  const architecture = architectureOf(name)
  const { args = {} } = architecture.torchvision ?? {}
  return architecture.build({ ...options, args })
}

async function readWeights(
  config: Entry['config'],
  translated: ReadonlyMap<string, string>,
  graph: Graph,
): Promise<ReadonlyMap<string, HostTensor>> {
  const { safetensors, pth, safetensors_without_recipe_tensors: small, recipe = {} } = config.checkpoint
  const file = await openCheckpoint(folder + (safetensors?.file ?? pth?.file ?? small ?? ''))
  const weights = new Map<string, HostTensor>()
  // What is a matrix there may be a convolution here.
  const shapes = new Map(
    graph.layers.flatMap((layer) =>
      parametersOf(layer).map((spec) => [parameterName(layer, spec), spec.shape] as const),
    ),
  )
  for (const theirs of file.names()) {
    const own = translated.get(theirs)
    if (own === undefined) continue
    const { shape, data } = await file.read(theirs)
    weights.set(own, { shape: shapes.get(own) ?? shape, data })
  }
  for (const [theirs, instructions] of Object.entries(recipe)) {
    weights.set(translated.get(theirs) ?? theirs, byRecipe(instructions))
  }
  if (weights.size !== translated.size) throw new Error(`${weights.size} of ${translated.size} tensors were recorded`)
  return weights
}

/** Weights that were not stored: a hash of the index. */
function byRecipe({ shape, seed, bound, first_values: first }: Recipe): HostTensor {
  const data = new Float32Array(shape.reduce((product, size) => product * size, 1))
  for (let i = 0; i < data.length; i++) {
    let h = (Math.imul(i, 0x9e3779b9) + seed) >>> 0
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
    h = (h ^ (h >>> 16)) >>> 0
    data[i] = (2 * ((h >>> 8) / 2 ** 24) - 1) * bound
  }
  for (const [i, value] of first.entries()) {
    if (data[i] !== Math.fround(value)) throw new Error(`the recipe gives ${data[i]}, not ${value}`)
  }
  return { shape, data }
}
