// What each layer becomes in a layers model of TensorFlow.js, which is Keras' description of a network: class, settings, weights.
import { upTo } from '../graph/edit.ts'
import { type Graph, type Layer, layerNamed } from '../graph/graph.ts'
import type { ActivationAttributes } from '../ops/activation.ts'
import { slide, type Window, zerosAround } from '../ops/window.ts'
import type { HostTensor } from '../tensor/host-tensor.ts'
import { elementCount, type Shape } from '../tensor/shape.ts'
import { decimal } from './decimal.ts'
import { UnsupportedNetworkError } from './foreign-network.ts'
import { permutedNumbers } from './permuted-numbers.ts'

export interface OutgoingKerasLayer {
  readonly kind: string
  readonly name: string
  readonly config: Readonly<Record<string, unknown>>
  /** Names of the layers that it reads. */
  readonly inputs: readonly string[]
  readonly weights: readonly OutgoingWeight[]
}

export interface OutgoingWeight {
  /** `layer/kernel` */
  readonly name: string
  readonly shape: Shape
  readonly values: () => Float32Array
}

/**
 * The layers of a network; the first takes normalised pictures, [N, H, W, 3], and what comes out last is a row for each picture.
 * @param tensors  the network's parameters, in file layout
 * @throws UnsupportedNetworkError naming every layer that tfjs-layers does not have
 */
export function kerasLayers(
  graph: Graph,
  tensors: ReadonlyMap<string, HostTensor>,
): { readonly layers: readonly OutgoingKerasLayer[]; readonly output: string } {
  const made: OutgoingKerasLayer[] = []
  const missing: string[] = []
  // What stands for a layer of ours: the last of those that it became, or its input where it became none.
  const ends = new Map<string, string>()
  const endOf = (name: string) => ends.get(name) ?? name
  for (const layer of upTo(graph, graph.output).layers) {
    const inputs = layer.inputs.map(endOf)
    const next = layersOf({ graph, layer, inputs, tensors })
    if (next === undefined) missing.push(`${layer.name} (${wordsFor(layer)})`)
    made.push(...(next ?? []))
    ends.set(layer.name, next?.at(-1)?.name ?? inputs[0] ?? layer.name)
  }
  if (missing.length > 0) {
    throw new UnsupportedNetworkError(
      'usage',
      `The network cannot be written as a layers model: tfjs-layers has nothing for ${missing.slice(0, mostNamed).join(', ')}${missing.length > mostNamed ? ` and ${missing.length - mostNamed} more` : ''}.\nUse --format onnx, which onnxruntime-web runs.`,
    )
  }
  const { name, shape } = layerNamed(graph, graph.output)
  if (shape.length > 1 && elementCount(shape) === shape.at(-1)) {
    const row = keras('Flatten', `${name}.row`, dataFormat, [endOf(name)])
    return { layers: [...made, row], output: row.name }
  }
  return { layers: made, output: endOf(name) }
}

const mostNamed = 40

function wordsFor(layer: Layer): string {
  if (layer.op === 'conv2d' && (layer.attrs.groups ?? 1) > 1) return 'conv2d in groups'
  return layer.op === 'activation' ? layer.attrs.kind : layer.op
}

interface Context {
  readonly graph: Graph
  readonly layer: Layer
  readonly inputs: readonly string[]
  readonly tensors: ReadonlyMap<string, HostTensor>
}

const dataFormat = { data_format: 'channels_last' } as const
const channelsLast = { ...dataFormat, activation: 'linear' } as const

function keras(
  kind: string,
  name: string,
  config: object,
  inputs: readonly string[],
  weights: readonly OutgoingWeight[] = [],
): OutgoingKerasLayer {
  return { kind, name, config: { name, trainable: true, dtype: 'float32', ...config }, inputs, weights }
}

/** The layers of Keras for one of ours, none where it changes nothing; the last has its values and its name. */
function layersOf(context: Context): readonly OutgoingKerasLayer[] | undefined {
  const { graph, layer, inputs, tensors } = context
  const { name } = layer
  const [input = []] = layer.inputShapes
  const weight = (ours: string, theirs: string, order?: readonly number[]): OutgoingWeight => ({
    name: `${name}/${theirs}`,
    ...permuted(tensorNamed(tensors, `${name}.${ours}`), order),
  })
  const biased = (bias: boolean | undefined) => (bias ? [weight('bias', 'bias')] : [])
  switch (layer.op) {
    case 'imageInput': {
      const config = { name, dtype: 'float32', sparse: false, batch_input_shape: [null, ...layer.shape] }
      return [{ kind: 'InputLayer', name, config, inputs: [], weights: [] }]
    }
    case 'conv2d': {
      const { outChannels, kernel, stride, dilation = [1, 1], bias = false, groups = 1 } = layer.attrs
      // Strides and dilations beside each other are not implemented there.
      if (groups !== 1 || (isAboveOne(stride) && isAboveOne(dilation))) return undefined
      const sizes = { filters: outChannels, kernel_size: kernel, strides: stride, dilation_rate: dilation }
      const weights = [weight('weight', 'kernel', [2, 3, 1, 0]), ...biased(bias)]
      return padded(context, layer.attrs, (padding, from) =>
        keras('Conv2D', name, { ...sizes, padding, ...channelsLast, use_bias: bias }, from, weights),
      )
    }
    case 'depthwiseConv2d': {
      const { kernel, stride, dilation = [1, 1], bias = false } = layer.attrs
      // Dilations are read and forgotten there, and one stride is taken for both directions.
      if (isAboveOne(dilation) || stride[0] !== stride[1]) return undefined
      const sizes = { kernel_size: kernel, strides: stride, depth_multiplier: 1 }
      const weights = [weight('weight', 'depthwise_kernel', [2, 3, 0, 1]), ...biased(bias)]
      return padded(context, layer.attrs, (padding, from) =>
        keras('DepthwiseConv2D', name, { ...sizes, padding, ...channelsLast, use_bias: bias }, from, weights),
      )
    }
    case 'batchNorm': {
      const { epsilon, momentum, activation } = layer.attrs
      // There the share of the old average.
      const config = { axis: -1, epsilon, momentum: decimal(1 - momentum), center: true, scale: true }
      const weights = [
        weight('weight', 'gamma'),
        weight('bias', 'beta'),
        weight('running_mean', 'moving_mean'),
        weight('running_var', 'moving_variance'),
      ]
      return activated(keras('BatchNormalization', name, config, inputs, weights), activation)
    }
    case 'layerNorm': {
      const config = { axis: -1, epsilon: layer.attrs.epsilon, center: true, scale: true }
      const weights = [weight('weight', 'gamma'), weight('bias', 'beta')]
      return [keras('LayerNormalization', name, config, inputs, weights)]
    }
    case 'layerScale': {
      if (input.length !== 3) return undefined
      const tensor = tensorNamed(tensors, name)
      const kernel = { shape: [1, 1, elementCount(tensor.shape), 1], data: tensor.data }
      const sizes = { kernel_size: [1, 1], strides: [1, 1], depth_multiplier: 1, padding: 'valid' }
      return [
        keras('DepthwiseConv2D', name, { ...sizes, ...channelsLast, use_bias: false }, inputs, [
          { name: `${name}/depthwise_kernel`, ...permuted(kernel) },
        ]),
      ]
    }
    case 'activation':
      return activation(name, inputs, layer.attrs)
    case 'prelu': {
      const tensor = tensorNamed(tensors, `${name}.weight`)
      const axes = layer.shape.map((_, axis) => axis + 1)
      const shared = layer.attrs.shared ? axes : axes.slice(0, -1)
      const shape = layer.shape.map((size, axis) => (shared.includes(axis + 1) ? 1 : size))
      const alpha = { name: `${name}/alpha`, ...permuted({ shape, data: tensor.data }) }
      return [keras('PReLU', name, { shared_axes: shared }, inputs, [alpha])]
    }
    case 'add':
      return activated(keras('Add', name, {}, inputs), layer.attrs.activation)
    case 'concat':
      return [keras('Concatenate', name, { axis: -1 }, inputs)]
    case 'scale': {
      const [value = '', factors = ''] = inputs
      const by = layer.inputShapes[1] ?? []
      if (by.length === layer.shape.length) return [keras('Multiply', name, {}, inputs)]
      // A row would be spread over columns, not over channels.
      const gates = onePixel(`${name}.gates`, by, [factors])
      return [gates, keras('Multiply', name, {}, [value, gates.name])]
    }
    case 'maxPool': {
      const { kernel, stride, dilation } = layer.attrs
      const zeros = zerosAround(layer.attrs, input)
      // Zeros instead of nothing change no maximum of values that are not negative.
      const harmless = zeros.every((count) => count === 0) || isRectified(graph, layer.inputs[0])
      if (isAboveOne(dilation) || !(harmless || paddingOf(layer.attrs, input) === 'same')) return undefined
      return padded(context, layer.attrs, (padding, from) =>
        keras('MaxPooling2D', name, { pool_size: kernel, strides: stride, padding, ...dataFormat }, from),
      )
    }
    case 'averagePool': {
      const { kernel, stride, dilation, ceilMode, countIncludePad = true } = layer.attrs
      const zeros = zerosAround(layer.attrs, input).some((count) => count > 0)
      // There 'same' counts no zeros, and zeros that are a layer of their own are counted.
      const said = paddingOf(layer.attrs, input)
      const fits = !zeros || (countIncludePad ? !ceilMode : said === 'same')
      if (isAboveOne(dilation) || !fits) return undefined
      const attrs =
        zeros && countIncludePad ? { ...layer.attrs, padding: zerosAround(layer.attrs, input) } : layer.attrs
      return padded(
        context,
        attrs,
        (padding, from) =>
          keras('AveragePooling2D', name, { pool_size: kernel, strides: stride, padding, ...dataFormat }, from),
        { apart: countIncludePad },
      )
    }
    case 'adaptiveAveragePool': {
      const [height = 0, width = 0, channels = 0] = input
      const [rows, columns] = layer.attrs.output
      if (height % rows !== 0 || width % columns !== 0) return undefined
      if (rows === height && columns === width) return []
      if (rows === 1 && columns === 1) {
        const mean = keras('GlobalAveragePooling2D', `${name}.mean`, dataFormat, inputs)
        return [mean, onePixel(name, [channels], [mean.name])]
      }
      const size = [height / rows, width / columns]
      const config = { pool_size: size, strides: size, padding: 'valid', ...dataFormat }
      return [keras('AveragePooling2D', name, config, inputs)]
    }
    case 'globalAveragePool':
      return input.length === 3 ? [keras('GlobalAveragePooling2D', name, dataFormat, inputs)] : undefined
    case 'linear': {
      const { outFeatures, bias = false } = layer.attrs
      const weights = [weight('weight', 'kernel', [1, 0]), ...biased(bias)]
      return [keras('Dense', name, { units: outFeatures, activation: 'linear', use_bias: bias }, inputs, weights)]
    }
    case 'softmax':
      return [keras('Softmax', name, { axis: -1 }, inputs)]
    case 'tensorInput':
    case 'meanImage':
    case 'maxout':
    case 'logSoftmax':
    case 'slice':
    case 'channelShuffle':
    case 'classToken':
    case 'positions':
    case 'attention':
    case 'firstToken':
    case 'dropout':
    case 'dropPath':
      return undefined
  }
}

function isAboveOne(steps: readonly number[] = []): boolean {
  return steps.some((step) => step > 1)
}

function tensorNamed(tensors: ReadonlyMap<string, HostTensor>, name: string): HostTensor {
  const tensor = tensors.get(name)
  if (tensor === undefined) throw new Error(`${name} has no values`)
  return tensor
}

/** A vector as a picture of one pixel. */
function onePixel(name: string, shape: Shape, inputs: readonly string[]): OutgoingKerasLayer {
  return keras('Reshape', name, { target_shape: [1, 1, shape.at(-1) ?? 1] }, inputs)
}

/** How Keras says the padding of a window; undefined where zeros have to be put around the picture before. */
function paddingOf(window: Window, input: Shape): 'valid' | 'same' | undefined {
  const { ceilMode: _, ...plain } = window
  const wanted = geometryOf(window, input)
  const fits = window.kernel.every((size, axis) => (size - 1) * (window.dilation?.[axis] ?? 1) < (input[axis] ?? 0))
  if (fits && geometryOf({ ...plain, padding: [0, 0, 0, 0] }, input) === wanted) return 'valid'
  return geometryOf({ ...plain, padding: 'same' }, input) === wanted ? 'same' : undefined
}

function geometryOf(window: Window, input: Shape): string {
  const { outHeight, outWidth } = slide(window, input)
  return [outHeight, outWidth, ...zerosAround(window, input)].join()
}

/**
 * A layer with a window, and in front of it the zeros that Keras' paddings do not give.
 * @param apart  zeros are always a layer of their own
 */
function padded(
  { layer, inputs }: Context,
  window: Window,
  make: (padding: string, from: readonly string[]) => OutgoingKerasLayer,
  { apart = false }: { readonly apart?: boolean } = {},
): readonly OutgoingKerasLayer[] {
  const [input = []] = layer.inputShapes
  const said = paddingOf(window, input)
  if (said === 'valid' || (said === 'same' && !apart)) return [make(said, inputs)]
  const [top, left, bottom, right] = zerosAround(window, input)
  const padding = [
    [top, bottom],
    [left, right],
  ]
  const zeros = keras('ZeroPadding2D', `${layer.name}.padding`, { padding, ...dataFormat }, inputs)
  return [zeros, make('valid', [zeros.name])]
}

/** A layer and the activation after it. */
function activated(
  before: OutgoingKerasLayer,
  kind: 'none' | 'relu' | 'relu6' | undefined,
): readonly OutgoingKerasLayer[] {
  if (kind === undefined || kind === 'none') return [before]
  return [before, ...(activation(`${before.name}.${kind}`, [before.name], { kind }) ?? [])]
}

function activation(
  name: string,
  inputs: readonly string[],
  attrs: ActivationAttributes,
): readonly OutgoingKerasLayer[] | undefined {
  const plain = (word: string) => [keras('Activation', name, { activation: word }, inputs)]
  switch (attrs.kind) {
    case 'none':
      return []
    case 'relu':
      return [keras('ReLU', name, {}, inputs)]
    case 'relu6':
      return [keras('ReLU', name, { max_value: 6 }, inputs)]
    case 'leaky-relu':
      return [keras('LeakyReLU', name, { alpha: attrs.slope ?? 0.01 }, inputs)]
    case 'elu':
      return (attrs.alpha ?? 1) === 1 ? plain('elu') : undefined
    case 'softplus':
      return (attrs.beta ?? 1) === 1 ? plain('softplus') : undefined
    case 'sigmoid':
    case 'tanh':
    case 'selu':
    case 'softsign':
    case 'mish':
    case 'gelu':
      return plain(attrs.kind)
    case 'gelu-tanh':
      return plain('gelu_new')
    case 'silu':
      return plain('swish')
    // Keras' own hard_sigmoid is two functions, by version.
    case 'hard-sigmoid':
      return hardSigmoid(name, inputs)
    case 'hard-swish': {
      const gate = `${name}.gate`
      return [...hardSigmoid(gate, inputs), keras('Multiply', name, {}, [...inputs, gate])]
    }
    case 'hard-tanh':
      return undefined
  }
}

/** min(max(x/6 + 1/2, 0), 1) */
function hardSigmoid(name: string, inputs: readonly string[]): readonly OutgoingKerasLayer[] {
  const line = keras('Rescaling', `${name}.line`, { scale: 1 / 6, offset: 0.5 }, inputs)
  return [line, keras('ReLU', name, { max_value: 1 }, [line.name])]
}

function isRectified(graph: Graph, name: string | undefined): boolean {
  if (name === undefined) return false
  const layer = layerNamed(graph, name)
  if (layer.op === 'batchNorm' || layer.op === 'add') return isRelu(layer.attrs.activation)
  if (layer.op === 'maxPool' || layer.op === 'concat') return layer.inputs.every((each) => isRectified(graph, each))
  return layer.op === 'activation' && isRelu(layer.attrs.kind)
}

function isRelu(kind: ActivationAttributes['kind'] | undefined): boolean {
  return kind === 'relu' || kind === 'relu6'
}

/** The same numbers with their axes in another order. */
function permuted({ shape, data }: HostTensor, order?: readonly number[]): Pick<OutgoingWeight, 'shape' | 'values'> {
  if (order === undefined) return { shape, values: () => data }
  return { shape: order.map((axis) => shape[axis] ?? 1), values: () => permutedNumbers(shape, data, order) }
}
