// A layers model of TensorFlow.js, which is Keras' description of a network beside weights, as a network of ours.
import * as path from 'node:path'
import { RegraftError } from '../errors.ts'
import { pathFacts } from '../files/folder.ts'
import { type JsonObject, type JsonValue, readJson } from '../files/strict-json.ts'
import type { Graph } from '../graph/graph.ts'
import { inertName } from '../inert-text.ts'
import { type ActivationAttributes, isFused } from '../ops/activation.ts'
import type { Padding, Pair } from '../ops/window.ts'
import type { Checkpoint } from '../tensor/checkpoint.ts'
import { toFloat32 } from '../tensor/dtype.ts'
import { elementCount, formatShape, type Shape, shapesEqual } from '../tensor/shape.ts'
import { decimal } from './decimal.ts'
import { type ForeignNetwork, type ForeignPictures, UnsupportedNetworkError } from './foreign-network.ts'
import { NetworkDraft, type ParameterSource, Unsupported } from './network-draft.ts'
import { gated } from './onnx-activations.ts'
import { type StoredTensor, weightsError } from './stored-tensors.ts'
import { copyStrided, rowMajorStrides } from './strided.ts'
import { isObject, readTfjsJson, readTfjsManifest } from './tfjs-weights.ts'

/** A value on its way through the layers. */
interface Value {
  readonly layer: string
  /** Zeros that the next window has to add: top, left, bottom, right. */
  readonly padding?: readonly [number, number, number, number]
  /** A picture read as one vector: rows, then columns, then channels. */
  readonly flattened?: boolean
  readonly softmax?: boolean
  /** x/6 + 1/2, which the next layer makes a hard sigmoid of. */
  readonly sixth?: boolean
  /** Set while nothing but the next layer reads the value. */
  readonly alone: boolean
}

/** Thrown for a weight whose shape is not the one that its layer needs. */
export class WrongWeightShape extends Error {}

const maxDepth = 8
const maxListed = 40

/** Pictures as Keras' own MobileNets and Teachable Machine have them: from -1 to 1. */
const minusOneToOne = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] } as const

/**
 * Opens a layers model with the labels of Teachable Machine beside it, where there are any.
 * @param size  height and width where the model leaves them open
 * @throws RegraftError `weights`; layers that have no counterpart here are all listed in one error
 */
export async function openLayersModel(file: string, size: number): Promise<ForeignNetwork> {
  const root = await readTfjsJson(file)
  const tensors = await readTfjsManifest(file, isObject(root) ? root['weightsManifest'] : undefined)
  const translation = new LayersTranslation(file, tensors, size)
  const { graph, checkpoint } = await translation.run(topologyOf(root, file))
  const machine = (await readMetadata(file)) ?? ownMetadata(root)
  const remarks: string[] = []
  let pictures: ForeignPictures | undefined = translation.pictures && { ...translation.pictures, cropPct: 1 }
  pictures ??= machine?.pictures
  if (pictures === undefined && machine !== undefined) pictures = { ...minusOneToOne, cropPct: 1 }
  if (pictures === undefined) {
    pictures = { ...minusOneToOne, cropPct: 0.875 }
    remarks.push(
      'It does not say how its pictures are made. Assumed: values from -1 to 1, as for MobileNets of Keras, and crop_pct 0.875.',
    )
  }
  return { graph, checkpoint, labels: machine?.labels, pictures, remarks }
}

/** Refuses a model whose topology contradicts its weights; what is missing or unknown is for whoever builds the network. */
export function checkLayersModel(file: string, root: JsonValue, tensors: readonly StoredTensor[]): void {
  const topology = topologyOf(root, file)
  try {
    new LayersTranslation(file, tensors, 224).walk(topology)
  } catch (error) {
    if (error instanceof WrongWeightShape) throw weightsError(file, error.message)
  }
}

/** What Keras says of the network: class_name and config. */
function topologyOf(root: JsonValue, file: string): JsonObject {
  const topology = isObject(root) ? root['modelTopology'] : undefined
  if (!isObject(topology)) throw weightsError(file, 'this is not a TensorFlow.js model: its modelTopology is missing.')
  const config = isObject(topology['model_config']) ? topology['model_config'] : topology
  if (isObject(config['config']) || Array.isArray(config['config'])) return config
  throw weightsError(
    file,
    'this is a graph model of TensorFlow.js, whose graph is not supported.\nConvert the original Keras model to the format tfjs_layers_model, or to ONNX with tf2onnx.',
  )
}

/** What is said of a model beside its layers. */
interface Metadata {
  readonly labels: readonly string[] | undefined
  readonly pictures?: ForeignPictures
}

/** What our own export says inside of model.json. */
function ownMetadata(root: JsonValue): Metadata | undefined {
  const said = isObject(root) ? root['userDefinedMetadata'] : undefined
  if (!isObject(said) || !isObject(said['preprocessing'])) return undefined
  const { mean, std, cropPct } = said['preprocessing']
  const { labels } = said
  if (!isTriple(mean) || !isTriple(std) || !std.every((each) => each > 0) || typeof cropPct !== 'number')
    return undefined
  const texts = Array.isArray(labels) && labels.every((label) => typeof label === 'string')
  return { labels: texts ? labels : undefined, pictures: { mean, std, cropPct } }
}

function isTriple(value: JsonValue | undefined): value is [number, number, number] {
  return Array.isArray(value) && value.length === 3 && value.every((each) => typeof each === 'number')
}

/** metadata.json of Teachable Machine. */
async function readMetadata(file: string): Promise<Metadata | undefined> {
  const metadata = path.join(path.dirname(file), 'metadata.json')
  if ((await pathFacts(metadata))?.kind !== 'file') return undefined
  const root = await readJson(metadata, { code: 'weights' })
  if (!isObject(root) || (root['tmVersion'] === undefined && root['packageName'] === undefined)) return undefined
  const { labels } = root
  if (labels === undefined) return { labels: undefined }
  if (!Array.isArray(labels)) throw weightsError(metadata, "'labels' is not a list.")
  return {
    labels: labels.map((label) => {
      if (typeof label === 'string') return label
      throw weightsError(metadata, "'labels' holds something that is no text.")
    }),
  }
}

/** A layer of Keras: its class, its name and its settings. */
interface KerasLayer {
  readonly kind: string
  readonly name: string
  readonly config: JsonObject
}

class LayersTranslation {
  pictures: Pick<ForeignPictures, 'mean' | 'std'> | undefined
  private readonly file: string
  private readonly tensors: ReadonlyMap<string, StoredTensor>
  private readonly size: number
  private readonly net: NetworkDraft

  constructor(file: string, tensors: readonly StoredTensor[], size: number) {
    this.file = file
    this.tensors = new Map(tensors.map((tensor) => [tensor.name, tensor]))
    this.size = size
    this.net = new NetworkDraft(file)
  }

  async run(topology: JsonObject): Promise<{ graph: Graph; checkpoint: Checkpoint }> {
    const unknown = unknownLayers(topology)
    if (unknown.length > 0) throw this.unsupported(unknown)
    let output: Value
    try {
      output = this.walk(topology)
    } catch (error) {
      if (error instanceof WrongWeightShape) throw weightsError(this.file, error.message)
      throw error instanceof Unsupported ? this.unsupported([error.message]) : error
    }
    if (output.padding !== undefined || output.flattened || output.sixth) {
      throw weightsError(this.file, 'the TensorFlow.js model ends with a layer that only prepares another.')
    }
    return this.net.finish([output.layer])
  }

  private unsupported(what: readonly string[]): Error {
    const shown = what.slice(0, maxListed).join(', ') + (what.length > maxListed ? ' and more' : '')
    const message = `${inertName(this.file)}: the TensorFlow.js model uses layers that are not supported: ${shown}.`
    return new UnsupportedNetworkError('weights', message, { file: this.file })
  }

  /** Adds the layers of a model. @returns its output */
  walk(topology: JsonObject): Value {
    const [output, second] = this.model(topology, undefined, 0)
    if (output === undefined || second !== undefined) throw this.fail('has several outputs; exactly one is expected.')
    return output
  }

  private model(topology: JsonObject, inputs: readonly Value[] | undefined, depth: number): readonly Value[] {
    if (depth > maxDepth) throw this.fail(`has models inside each other, more than ${maxDepth} deep.`)
    const kind = topology['class_name']
    const config = topology['config']
    if (kind === 'Sequential') {
      const layers = Array.isArray(config) ? config : isObject(config) ? config['layers'] : undefined
      return [this.sequence(this.listOf(layers, 'layers'), inputs, depth)]
    }
    if ((kind === 'Model' || kind === 'Functional') && isObject(config)) return this.functional(config, inputs, depth)
    throw this.fail(
      `is of the class ${inertName(JSON.stringify(kind) ?? 'missing', 40)}, Sequential or Functional is expected.`,
    )
  }

  private sequence(layers: readonly JsonValue[], inputs: readonly Value[] | undefined, depth: number): Value {
    let value = inputs?.[0]
    for (const [at, item] of layers.entries()) {
      const topology = this.objectOf(item, 'a layer')
      const layer = this.layerOf(topology)
      if (value === undefined && !isModel(layer.kind)) value = this.entry(layer)
      if (layer.kind === 'InputLayer') continue
      const [output] = this.apply(topology, layer, value === undefined ? undefined : [value], depth)
      if (output === undefined) throw this.fail('has a layer without an output.')
      value = { ...output, alone: at + 1 < layers.length }
    }
    if (value === undefined) throw this.fail('has no layers.')
    return value
  }

  private functional(config: JsonObject, inputs: readonly Value[] | undefined, depth: number): readonly Value[] {
    const layers = this.listOf(config['layers'], 'layers').map((item) => this.objectOf(item, 'a layer'))
    const outputs = this.ends(config['output_layers'], 'output_layers')
    const uses = new Map<string, number>()
    const count = (name: string) => uses.set(name, (uses.get(name) ?? 0) + 1)
    const reads = layers.map((topology) => this.inbound(topology))
    for (const name of [...reads.flat(), ...outputs]) count(name)
    const entries = this.ends(config['input_layers'], 'input_layers')
    const values = new Map<string, Value>()
    for (const [at, topology] of layers.entries()) {
      const layer = this.layerOf(topology)
      if (values.has(layer.name)) throw this.fail(`has two layers named '${inertName(layer.name, 100)}' (a duplicate).`)
      const sources = (reads[at] ?? []).map((name) => {
        const value = values.get(name)
        if (value !== undefined) return value
        throw this.fail(
          `has the layer '${inertName(layer.name, 100)}', which reads '${inertName(name, 100)}' before it is there (order or cycle).`,
        )
      })
      let value: Value | undefined
      if (layer.kind === 'InputLayer') value = inputs?.[entries.indexOf(layer.name)] ?? this.entry(layer)
      else value = this.apply(topology, layer, sources, depth)[0]
      if (value === undefined) throw this.fail('has a layer without an output.')
      values.set(layer.name, { ...value, alone: uses.get(layer.name) === 1 && value.alone })
    }
    return outputs.map((name) => {
      const value = values.get(name)
      if (value !== undefined) return value
      throw this.fail(`has no layer '${inertName(name, 100)}', which is to be its output.`)
    })
  }

  /** Names of the layers that a layer reads. */
  private inbound(topology: JsonObject): readonly string[] {
    const nodes = this.listOf(topology['inbound_nodes'] ?? [], 'inbound_nodes')
    if (nodes.length === 0) return []
    const [calls, second] = nodes
    if (second !== undefined) throw new Unsupported('a layer that is used several times')
    if (!Array.isArray(calls)) throw new Unsupported('the way in which Keras 3 joins layers')
    return calls.map((call) => {
      const [name, node, tensor] = this.listOf(call, 'inbound_nodes')
      if (typeof name !== 'string' || node !== 0 || tensor !== 0) throw new Unsupported('a layer with several results')
      return name
    })
  }

  private ends(value: JsonValue | undefined, what: string): readonly string[] {
    const list = this.listOf(value, what)
    // One end may stand without a list around it.
    if (typeof list[0] === 'string') return [list[0]]
    return list.map((item) => {
      const [name] = this.listOf(item, what)
      if (typeof name === 'string') return name
      throw this.fail(`has ${what} that are not named.`)
    })
  }

  /** The picture, or another tensor, by the shape that a first layer declares. */
  private entry({ config, name }: KerasLayer): Value {
    const declared = config['batch_input_shape'] ?? config['batch_shape']
    if (!Array.isArray(declared) || declared.length < 2)
      throw this.fail(`does not say the shape of its input ('${inertName(name, 100)}').`)
    const picture = declared.length === 4
    const shape = declared.slice(1).map((size, at) => {
      if (size === null && picture && at < 2) return this.size
      if (typeof size === 'number' && Number.isInteger(size) && size >= 1 && size <= 65_536) return size
      throw this.fail(`has an input of the shape ${inertName(JSON.stringify(declared), 60)}.`)
    })
    const [height = 0, width = 0, channels = 0] = shape
    const layer =
      picture && channels === 3
        ? this.net.layer('imageInput', { height, width, ...minusOneToOne }, [], 'input')
        : this.net.layer('tensorInput', { shape }, [], 'input')
    return { layer, alone: true }
  }

  private apply(
    topology: JsonObject,
    layer: KerasLayer,
    inputs: readonly Value[] | undefined,
    depth: number,
  ): readonly Value[] {
    if (isModel(layer.kind)) return this.model(topology, inputs, depth + 1)
    const translate = kerasLayers.get(layer.kind)
    try {
      if (translate === undefined) throw new Unsupported(`${inertName(layer.kind, 60)}`)
      const [input] = inputs ?? []
      if (input === undefined) throw new Error('it has no input')
      return [translate({ layer, input, inputs: inputs ?? [], net: this.net, translation: this })]
    } catch (error) {
      const worded = error instanceof WrongWeightShape || error instanceof Unsupported || error instanceof RegraftError
      if (worded || !(error instanceof Error)) throw error
      throw weightsError(
        this.file,
        `the ${layer.kind} layer '${inertName(layer.name, 100)}': ${error.message}.`,
        layer.name,
      )
    }
  }

  /** A weight of a layer under one of its names; undefined when there is none. */
  weight(layer: KerasLayer, ...names: readonly string[]): StoredTensor | undefined {
    for (const name of names) {
      const exact = this.tensors.get(`${layer.name}/${name}`)
      if (exact !== undefined) return exact
      const inside = [...this.tensors.values()].filter((tensor) => tensor.name.endsWith(`/${layer.name}/${name}`))
      if (inside.length === 1) return inside[0]
    }
    return undefined
  }

  private layerOf(topology: JsonObject): KerasLayer {
    const { class_name: kind, config } = topology
    const name = isObject(config) ? (config['name'] ?? topology['name']) : topology['name']
    if (typeof kind !== 'string') throw this.fail('has a layer without a class.')
    if (typeof name !== 'string' && !isModel(kind)) throw this.fail('has a layer without a name.')
    return { kind, name: typeof name === 'string' ? name : kind, config: isObject(config) ? config : {} }
  }

  private listOf(value: JsonValue | undefined, what: string): readonly JsonValue[] {
    if (Array.isArray(value)) return value
    throw this.fail(`has ${what} that are no list.`)
  }

  private objectOf(value: JsonValue, what: string): JsonObject {
    if (isObject(value)) return value
    throw this.fail(`has ${what} that is no table of fields.`)
  }

  private fail(problem: string): Error {
    return weightsError(this.file, `the TensorFlow.js model ${problem}`)
  }
}

/** Classes of layers that have no counterpart here, in the order of the model. */
function unknownLayers(topology: JsonObject): readonly string[] {
  const unknown = new Set<string>()
  const waiting: JsonValue[] = [topology]
  for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) {
    if (!isObject(item)) continue
    const { class_name: kind, config } = item
    if (typeof kind !== 'string') continue
    const layers = isObject(config) ? config['layers'] : config
    if (isModel(kind)) {
      if (Array.isArray(layers)) for (const layer of layers) waiting.push(layer)
    } else if (kind !== 'InputLayer' && !kerasLayers.has(kind)) unknown.add(inertName(kind, 60))
  }
  return [...unknown]
}

function isModel(kind: string): boolean {
  return kind === 'Sequential' || kind === 'Model' || kind === 'Functional'
}

interface KerasContext {
  readonly layer: KerasLayer
  readonly input: Value
  readonly inputs: readonly Value[]
  readonly net: NetworkDraft
  readonly translation: LayersTranslation
}

const kerasLayers: ReadonlyMap<string, (context: KerasContext) => Value> = new Map([
  ['Dropout', same],
  ['SpatialDropout2D', same],
  ['GaussianNoise', same],
  ['ActivityRegularization', same],
  ['Rescaling', rescaling],
  ['ZeroPadding2D', zeroPadding],
  ['Conv2D', convolution],
  ['DepthwiseConv2D', depthwise],
  ['BatchNormalization', batchNormalization],
  ['LayerNormalization', layerNormalization],
  ['ReLU', relu],
  ['LeakyReLU', leakyRelu],
  ['ELU', elu],
  ['PReLU', prelu],
  ['Activation', (context: KerasContext) => activated(context, context.input, context.layer.config['activation'])],
  ['Softmax', (context: KerasContext) => activated(context, context.input, 'softmax')],
  ['Add', add],
  ['Multiply', multiply],
  ['Concatenate', concatenate],
  ['MaxPooling2D', (context: KerasContext) => pooling(context, 'maxPool')],
  ['AveragePooling2D', (context: KerasContext) => pooling(context, 'averagePool')],
  ['GlobalAveragePooling2D', globalAveragePooling],
  ['Flatten', flatten],
  ['Reshape', reshape],
  ['Dense', dense],
])

function same({ input }: KerasContext): Value {
  return input
}

/** In front of everything it says how pictures are made; later it begins a hard sigmoid. */
function rescaling({ layer, input, net, translation }: KerasContext): Value {
  const { scale: factor, offset: shift } = layer.config
  if (typeof factor === 'number' && decimal(factor) === decimal(1 / 6) && shift === 0.5 && isPlain(input))
    return { ...input, sixth: true }
  if (net.draftOf(input.layer, 'imageInput') === undefined || translation.pictures !== undefined) {
    throw new Unsupported('Rescaling after other layers')
  }
  const triple = (value: JsonValue | undefined, what: string): [number, number, number] => {
    const list = Array.isArray(value) ? value : [value, value, value]
    const [a, b, c] = list
    if (typeof a === 'number' && typeof b === 'number' && typeof c === 'number' && list.length === 3) return [a, b, c]
    throw new Error(`its ${what} is no number`)
  }
  const scale = triple(layer.config['scale'], 'scale')
  const offset = triple(layer.config['offset'] ?? 0, 'offset')
  if (scale.some((factor) => !(factor > 0))) throw new Error('its scale is not positive')
  // x·scale + offset, x from 0 to 255, as (x/255 - mean) / std.
  const std = [0, 1, 2].map((at) => 1 / (255 * (scale[at] ?? 1)))
  const mean = std.map((deviation, at) => -(offset[at] ?? 0) * deviation)
  translation.pictures = { mean: triple(mean, 'offset'), std: triple(std, 'scale') }
  return input
}

function zeroPadding({ layer, input }: KerasContext): Value {
  const { padding = 1 } = layer.config
  const [rows, columns] = Array.isArray(padding) ? padding : [padding, padding]
  const pair = (value: JsonValue | undefined): [number, number] => {
    const [before, after] = Array.isArray(value) ? value : [value, value]
    if (isCount(before, 0) && isCount(after, 0)) return [before, after]
    throw new Error('its padding is not of whole numbers')
  }
  const [top, bottom] = pair(rows)
  const [left, right] = pair(columns)
  const [a, b, c, d] = input.padding ?? [0, 0, 0, 0]
  return { ...input, padding: [a + top, b + left, c + bottom, d + right] }
}

function convolution(context: KerasContext): Value {
  const { layer, net } = context
  const { config } = layer
  if ((config['groups'] ?? 1) !== 1) throw new Unsupported('Conv2D in groups')
  if (net.shapeOf(context.input.layer).length === 1) return convolvedVector(context)
  const input = pictureInput(context, { padded: true })
  const [, , channels = 0] = net.shapeOf(input.layer)
  const kernel = pairOf(config['kernel_size'], 'kernel_size')
  const { filters } = config
  if (!isCount(filters, 1)) throw new Error('its number of filters is missing')
  const bias = config['use_bias'] !== false
  const stored = needed(context, 'kernel', [...kernel, channels, filters])
  const output = net.layer(
    'conv2d',
    { outChannels: filters, ...windowOf(context, kernel, input), bias },
    [input.layer],
    nameOf(layer),
    {
      weight: permuted(stored, [3, 2, 0, 1]),
      ...(bias ? { bias: plain(needed(context, 'bias', [filters])) } : {}),
    },
  )
  return activated(context, { layer: output, alone: true }, config['activation'])
}

/** A picture of one pixel, which is a vector here, goes through a convolution as through a linear layer. */
function convolvedVector(context: KerasContext): Value {
  const { layer, net } = context
  const { config } = layer
  const input = unpadded(context)
  const [channels = 0] = net.shapeOf(input.layer)
  const { filters } = config
  if (!isCount(filters, 1)) throw new Error('its number of filters is missing')
  if (pairOf(config['kernel_size'], 'kernel_size').some((size) => size !== 1))
    throw new Unsupported('Conv2D of more than one pixel over a picture of one')
  const bias = config['use_bias'] !== false
  const stored = needed(context, 'kernel', [1, 1, channels, filters])
  const weight = permuted({ ...stored, shape: [channels, filters] }, [1, 0])
  const output = net.layer('linear', { outFeatures: filters, bias }, [input.layer], nameOf(layer), {
    weight,
    ...(bias ? { bias: plain(needed(context, 'bias', [filters])) } : {}),
  })
  return activated(context, { layer: output, alone: true }, config['activation'])
}

function depthwise(context: KerasContext): Value {
  const { layer, net } = context
  const { config } = layer
  if ((config['depth_multiplier'] ?? 1) !== 1) throw new Unsupported('DepthwiseConv2D with a depth multiplier')
  const input = pictureInput(context, { padded: true })
  const [, , channels = 0] = net.shapeOf(input.layer)
  const kernel = pairOf(config['kernel_size'], 'kernel_size')
  const bias = config['use_bias'] !== false
  const stored = needed(context, ['depthwise_kernel', 'kernel'], [...kernel, channels, 1])
  const output = net.layer(
    'depthwiseConv2d',
    { ...windowOf(context, kernel, input), bias },
    [input.layer],
    nameOf(layer),
    {
      weight: permuted(stored, [2, 3, 0, 1]),
      ...(bias ? { bias: plain(needed(context, 'bias', [channels])) } : {}),
    },
  )
  return activated(context, { layer: output, alone: true }, config['activation'])
}

function batchNormalization(context: KerasContext): Value {
  const { layer, net } = context
  const { config } = layer
  const input = unpadded(context)
  const channels = channelAxis(context)
  const { epsilon = 1e-3, momentum = 0.99 } = config
  if (
    typeof epsilon !== 'number' ||
    typeof momentum !== 'number' ||
    !(epsilon >= 0 && momentum >= 0 && momentum <= 1)
  ) {
    throw new Error('its epsilon or momentum is no number within range')
  }
  const output = net.layer('batchNorm', { epsilon, momentum: decimal(1 - momentum) }, [input.layer], nameOf(layer), {
    weight: config['scale'] === false ? constant(channels, 1) : plain(needed(context, 'gamma', [channels])),
    bias: config['center'] === false ? constant(channels, 0) : plain(needed(context, 'beta', [channels])),
    running_mean: plain(needed(context, 'moving_mean', [channels])),
    running_var: plain(needed(context, 'moving_variance', [channels])),
  })
  return { ...input, layer: output, alone: true }
}

function relu(context: KerasContext): Value {
  const { max_value: highest = null, negative_slope: slope = 0, threshold = 0 } = context.layer.config
  if (slope !== 0 && slope !== null) throw new Unsupported('ReLU with a negative slope')
  if (threshold !== 0 && threshold !== null) throw new Unsupported('ReLU with a threshold')
  if (highest === 1 && context.input.sixth) {
    const { sixth: _, ...value } = context.input
    return elementwise(context, value, { kind: 'hard-sigmoid' })
  }
  if (highest !== null && highest !== 6) throw new Unsupported(`ReLU up to ${inertName(JSON.stringify(highest), 20)}`)
  return activated(context, context.input, highest === 6 ? 'relu6' : 'relu')
}

function leakyRelu(context: KerasContext): Value {
  const { alpha, negative_slope: slope = alpha ?? 0.3 } = context.layer.config
  if (typeof slope !== 'number' || !(slope >= 0 && slope < 1)) throw new Unsupported('LeakyReLU with such a slope')
  return elementwise(context, context.input, { kind: 'leaky-relu', slope: decimal(slope) })
}

function elu(context: KerasContext): Value {
  const { alpha = 1 } = context.layer.config
  if (typeof alpha !== 'number' || !(alpha > 0)) throw new Unsupported('ELU with such an alpha')
  return elementwise(context, context.input, alpha === 1 ? { kind: 'elu' } : { kind: 'elu', alpha: decimal(alpha) })
}

function prelu(context: KerasContext): Value {
  const { layer, net, translation } = context
  const input = unpadded(context)
  const shape = net.shapeOf(input.layer)
  const stored = translation.weight(layer, 'alpha')
  if (stored === undefined) throw new Error("its weight 'alpha' is missing in the manifest")
  const channels = shape.at(-1) ?? 0
  const count = elementCount(stored.shape)
  const perChannel = stored.shape.at(-1) === channels
  if (stored.shape.length !== shape.length || (count !== 1 && !(perChannel && count === channels)))
    throw new Unsupported('PReLU with a slope for each pixel')
  const weight = { ...plain(stored), shape: [count] }
  const attrs = count === 1 && channels !== 1 ? { shared: true } : {}
  return { ...input, layer: net.layer('prelu', attrs, [input.layer], nameOf(layer), { weight }), alone: true }
}

function layerNormalization(context: KerasContext): Value {
  const { layer, net } = context
  const { config } = layer
  const input = unpadded(context)
  const channels = channelAxis(context)
  const { epsilon = 1e-3 } = config
  if (typeof epsilon !== 'number' || !(epsilon >= 0)) throw new Error('its epsilon is no number within range')
  const output = net.layer('layerNorm', { epsilon }, [input.layer], nameOf(layer), {
    weight: config['scale'] === false ? constant(channels, 1) : plain(needed(context, 'gamma', [channels])),
    bias: config['center'] === false ? constant(channels, 0) : plain(needed(context, 'beta', [channels])),
  })
  return { ...input, layer: output, alone: true }
}

/** The length of the axis that a layer normalises along, which has to be that of the channels. Keras counts the batch as an axis, too. */
function channelAxis({ layer, input, net }: KerasContext): number {
  const shape = net.shapeOf(input.layer)
  const { axis = -1 } = layer.config
  const [only, ...more] = Array.isArray(axis) ? axis : [axis]
  if (more.length > 0 || (only !== -1 && only !== shape.length))
    throw new Unsupported(`${layer.kind} over another axis than the channels`)
  return shape.at(-1) ?? 0
}

function constant(channels: number, value: number): ParameterSource {
  return { shape: [channels], read: async () => new Float32Array(channels).fill(value) }
}

// Keras' hard_sigmoid is two functions, by version, so it is none here.
const kerasActivations: ReadonlyMap<string, ActivationAttributes> = new Map<string, ActivationAttributes>([
  ['relu', { kind: 'relu' }],
  ['relu6', { kind: 'relu6' }],
  ['sigmoid', { kind: 'sigmoid' }],
  ['tanh', { kind: 'tanh' }],
  ['elu', { kind: 'elu' }],
  ['selu', { kind: 'selu' }],
  ['softplus', { kind: 'softplus' }],
  ['softsign', { kind: 'softsign' }],
  ['swish', { kind: 'silu' }],
  ['silu', { kind: 'silu' }],
  ['mish', { kind: 'mish' }],
  ['gelu', { kind: 'gelu' }],
  ['gelu_new', { kind: 'gelu-tanh' }],
])

/** The value after an activation by Keras' name; it joins the layer before where only this reads it. */
function activated(context: KerasContext, value: Value, name: JsonValue | undefined): Value {
  if (value.softmax) throw new Unsupported('a layer after Softmax')
  if (name === undefined || name === null || name === 'linear') return value
  if (name === 'softmax') {
    const shape = context.net.shapeOf(value.layer)
    if (elementCount(shape) !== shape.at(-1)) throw new Unsupported('Softmax over something else than the classes')
    return { ...value, softmax: true }
  }
  const attrs = typeof name === 'string' ? kerasActivations.get(name) : undefined
  if (attrs === undefined) throw new Unsupported(`the activation ${inertName(JSON.stringify(name), 40)}`)
  return elementwise(context, value, attrs)
}

function elementwise({ layer, net }: KerasContext, value: Value, attrs: ActivationAttributes): Value {
  if (value.softmax) throw new Unsupported('a layer after Softmax')
  if (value.sixth) throw new Unsupported('Rescaling after other layers')
  if (value.padding !== undefined) throw new Unsupported('an activation after ZeroPadding2D')
  const before = value.alone ? net.draftOf(value.layer, 'batchNorm', 'add') : undefined
  if (before !== undefined && before.attrs.activation === undefined && isFused(attrs.kind)) {
    before.attrs = { ...before.attrs, activation: attrs.kind }
    return value
  }
  const output = net.layer('activation', attrs, [value.layer], `${nameOf(layer)}.activation`)
  return { ...value, layer: output, alone: true }
}

function add(context: KerasContext): Value {
  const { layer, inputs, net } = context
  const [first, ...more] = inputs
  if (first === undefined || more.length === 0) throw new Error('it has fewer than two inputs')
  let sum = first.layer
  for (const value of more) {
    if (!isPlain(first) || !isPlain(value)) throw new Unsupported('Add of padded or flattened values')
    if (!shapesEqual(net.shapeOf(sum), net.shapeOf(value.layer))) {
      throw new Unsupported(
        `Add of different shapes (${formatShape(net.shapeOf(sum))} and ${formatShape(net.shapeOf(value.layer))})`,
      )
    }
    sum = net.layer('add', {}, [sum, value.layer], nameOf(layer))
  }
  return { layer: sum, alone: true }
}

/** Whether a value is what its layer gives, and nothing is to be done to it yet. */
function isPlain({ padding, flattened, softmax, sixth }: Value): boolean {
  return padding === undefined && !flattened && !softmax && !sixth
}

/** Gates: those of an activation such as x·sigmoid(x), or a number for each channel. */
function multiply({ layer, inputs, net }: KerasContext): Value {
  const [a, b, more] = inputs
  if (a === undefined || b === undefined) throw new Error('it has fewer than two inputs')
  if (more !== undefined || !isPlain(a) || !isPlain(b)) throw new Unsupported('Multiply of such values')
  const ways = [
    [a, b],
    [b, a],
  ] as const
  for (const [value, gate] of ways) {
    const draft = net.draftOf(gate.layer, 'activation')
    const attrs = gated.get(draft?.attrs.kind ?? '')
    if (attrs !== undefined && draft?.inputs[0] === value.layer)
      return { layer: net.layer('activation', attrs, [value.layer], nameOf(layer)), alone: true }
  }
  for (const [value, factors] of ways) {
    const [shape, by] = [net.shapeOf(value.layer), net.shapeOf(factors.layer)]
    if (shape.length === 3 && elementCount(by) === by.at(-1) && by.at(-1) === shape.at(-1))
      return { layer: net.layer('scale', {}, [value.layer, factors.layer], nameOf(layer)), alone: true }
  }
  throw new Unsupported('Multiply of such shapes')
}

function concatenate({ layer, inputs, net }: KerasContext): Value {
  const { axis = -1 } = layer.config
  const [first] = inputs
  if (first === undefined || !inputs.every(isPlain)) throw new Unsupported('Concatenate of such values')
  const rank = net.shapeOf(first.layer).length
  if (axis !== -1 && axis !== rank) throw new Unsupported('Concatenate over something else than the channels')
  const sources = inputs.map((value) => value.layer)
  return { layer: net.layer('concat', {}, sources, nameOf(layer)), alone: true }
}

function pooling(context: KerasContext, op: 'maxPool' | 'averagePool'): Value {
  const { layer, net } = context
  const { config } = layer
  const kernel = pairOf(config['pool_size'] ?? [2, 2], 'pool_size')
  // Zeros are below nothing that a ReLU gives, so they change no maximum; a mean counts them.
  const input = pictureInput(context, { padded: op === 'averagePool' || isRectified(net, context.input.layer) })
  const stride = pairOf(config['strides'] ?? [...kernel], 'strides')
  const window = { ...windowOf(context, kernel, input), stride }
  const output =
    op === 'maxPool'
      ? net.layer('maxPool', window, [input.layer], nameOf(layer))
      : net.layer(
          'averagePool',
          { ...window, countIncludePad: input.padding !== undefined },
          [input.layer],
          nameOf(layer),
        )
  return { layer: output, alone: true }
}

function isRectified(net: NetworkDraft, layer: string): boolean {
  const passing = net.draftOf(layer, 'concat', 'maxPool')
  if (passing !== undefined) return passing.inputs.every((input) => isRectified(net, input))
  const kind = net.draftOf(layer, 'activation')?.attrs.kind ?? net.draftOf(layer, 'batchNorm', 'add')?.attrs.activation
  return kind === 'relu' || kind === 'relu6'
}

function globalAveragePooling(context: KerasContext): Value {
  if (isPlain(context.input) && context.net.shapeOf(context.input.layer).length === 1) return context.input
  const input = pictureInput(context, { padded: false })
  return { layer: context.net.layer('globalAveragePool', {}, [input.layer], nameOf(context.layer)), alone: true }
}

function flatten(context: KerasContext): Value {
  const input = unpadded(context)
  const shape = context.net.shapeOf(input.layer)
  return elementCount(shape) === (shape.at(-1) ?? 0) ? input : { ...input, flattened: true }
}

/** Only where nothing moves: one number per channel stays that. */
function reshape(context: KerasContext): Value {
  const input = unpadded(context)
  const shape = context.net.shapeOf(input.layer)
  const target = context.layer.config['target_shape']
  if (!Array.isArray(target)) throw new Error('its target_shape is missing')
  const sizes = target.filter((size) => size !== 1)
  const channels = shape.at(-1) ?? 0
  if (elementCount(shape) !== channels || sizes.length > 1 || (sizes[0] !== channels && sizes[0] !== -1)) {
    throw new Unsupported(`Reshape of ${formatShape(shape)} to ${inertName(JSON.stringify(target), 40)}`)
  }
  return input
}

function dense(context: KerasContext): Value {
  const { layer, net } = context
  const { config } = layer
  const input = unpadded(context, { flattened: true })
  const shape = net.shapeOf(input.layer)
  const { units } = config
  if (!isCount(units, 1)) throw new Error('its number of units is missing')
  const bias = config['use_bias'] !== false
  const features = input.flattened ? elementCount(shape) : (shape.at(-1) ?? 0)
  const stored = needed(context, 'kernel', [features, units])
  const parameters = bias ? { bias: plain(needed(context, 'bias', [units])) } : {}
  let output: string
  if (input.flattened) {
    const [height = 1, width = 1, channels = 1] = shape
    if (shape.length !== 3) throw new Unsupported(`Dense after Flatten of ${formatShape(shape)}`)
    const weight = permuted({ ...stored, shape: [height, width, channels, units] }, [3, 2, 0, 1])
    const window = { kernel: [height, width], stride: [1, 1], padding: [0, 0, 0, 0] } as const
    output = net.layer('conv2d', { outChannels: units, ...window, bias }, [input.layer], nameOf(layer), {
      weight,
      ...parameters,
    })
  } else {
    const weight = permuted(stored, [1, 0])
    output = net.layer('linear', { outFeatures: units, bias }, [input.layer], nameOf(layer), { weight, ...parameters })
  }
  return activated(context, { layer: output, alone: true }, config['activation'])
}

/** The input, which must not wait for a window, nor be a flattened picture unless that is understood. */
function unpadded({ input }: KerasContext, understood: { readonly flattened?: boolean } = {}): Value {
  if (input.softmax) throw new Unsupported('a layer after Softmax')
  if (input.sixth) throw new Unsupported('Rescaling after other layers')
  if (input.padding !== undefined) throw new Unsupported('ZeroPadding2D before something else than a convolution')
  if (input.flattened && !understood.flattened) throw new Unsupported('a layer after Flatten other than Dense')
  return input
}

function pictureInput(context: KerasContext, { padded }: { readonly padded: boolean }): Value {
  const { config } = context.layer
  if ((config['data_format'] ?? 'channels_last') !== 'channels_last')
    throw new Unsupported('channels in front (data_format)')
  const { padding, ...rest } = context.input
  const input = unpadded({ ...context, input: padded ? rest : context.input })
  const shape = context.net.shapeOf(input.layer)
  if (shape.length !== 3) throw new Error(`its input of shape ${formatShape(shape)} is no picture`)
  return padded && padding !== undefined ? { ...input, padding } : input
}

function windowOf({ layer }: KerasContext, kernel: Pair, input: Value) {
  const { config } = layer
  const stride = pairOf(config['strides'] ?? [1, 1], 'strides')
  const dilation = pairOf(config['dilation_rate'] ?? [1, 1], 'dilation_rate')
  const said = config['padding'] ?? 'valid'
  if (said !== 'valid' && said !== 'same') throw new Unsupported(`the padding ${inertName(JSON.stringify(said), 40)}`)
  if (said === 'same' && input.padding !== undefined) throw new Unsupported("ZeroPadding2D before the padding 'same'")
  const padding: Padding = said === 'same' ? 'same' : (input.padding ?? [0, 0, 0, 0])
  return { kernel, stride, padding, ...(dilation.some((step) => step > 1) ? { dilation } : {}) }
}

function pairOf(value: JsonValue | undefined, what: string): Pair {
  const [height, width, more] = Array.isArray(value) ? value : [value, value]
  if (isCount(height, 1) && isCount(width, 1) && more === undefined) return [height, width]
  throw new Error(`its ${what} is not a pair of sizes from 1 to ${maxSize}`)
}

const maxSize = 65_536

function isCount(value: JsonValue | undefined, from: 0 | 1): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= from && value <= maxSize
}

/** A weight that the layer must have, in the shape that it must have. */
function needed({ layer, translation }: KerasContext, names: string | readonly string[], shape: Shape): StoredTensor {
  const [first = '', ...others] = typeof names === 'string' ? [names] : names
  const tensor = translation.weight(layer, first, ...others)
  if (tensor === undefined) throw new Error(`its weight '${first}' is missing in the manifest`)
  if (shapesEqual(tensor.shape, shape)) return tensor
  throw new WrongWeightShape(
    `the weight '${inertName(tensor.name, 200)}' has the shape ${formatShape(tensor.shape)}, its layer needs ${formatShape(shape)} (mismatch).`,
  )
}

function plain({ shape, dtype, readBytes }: StoredTensor): ParameterSource {
  return { shape, read: async () => toFloat32(await readBytes(), dtype) }
}

/** The same numbers with their axes in another order. */
function permuted({ shape, dtype, readBytes }: StoredTensor, order: readonly number[]): ParameterSource {
  const strides = rowMajorStrides(shape)
  const view = {
    offset: 0,
    shape: order.map((axis) => shape[axis] ?? 1),
    strides: order.map((axis) => strides[axis] ?? 1),
  }
  const read = async () => {
    const values = toFloat32(await readBytes(), dtype)
    return new Float32Array((await copyStrided(new Uint8Array(values.buffer), 4, view)).buffer)
  }
  return { shape: view.shape, read }
}

/** Without slashes, which would be taken for a path. */
function nameOf({ name }: KerasLayer): string {
  return name.replaceAll('/', '.')
}
