// What each layer becomes in a layers model of TensorFlow.js, which is Keras' description of a network: class, settings, weights.
import { type Graph, type Layer, layerNamed } from '../graph/graph.ts'
import type { ActivationAttributes } from '../ops/activation.ts'
import type { Window } from '../ops/window.ts'
import type { HostTensor } from '../tensor/host-tensor.ts'
import { elementCount, type Shape } from '../tensor/shape.ts'
import { decimal } from './decimal.ts'
import { UnsupportedNetworkError } from './foreign-network.ts'

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
 * The layers of a network; the first takes normalised pictures, [N, H, W, 3].
 * @param tensors  the network's parameters, in file layout
 * @throws UnsupportedNetworkError naming every layer that tfjs-layers does not have
 */
export function kerasLayers(
  graph: Graph,
  tensors: ReadonlyMap<string, HostTensor>,
): { readonly layers: readonly OutgoingKerasLayer[]; readonly output: string } {
  const made: OutgoingKerasLayer[] = []
  const missing: string[] = []
  // What stands for a layer of ours: the last of those that it became.
  const ends = new Map<string, string>()
  for (const layer of graph.layers) {
    const inputs = layer.inputs.map((name) => ends.get(name) ?? name)
    const next = layersOf(graph, layer, inputs, tensors)
    if (next === undefined) missing.push(`${layer.name} (${wordsFor(layer)})`)
    made.push(...(next ?? []))
    ends.set(layer.name, made.at(-1)?.name ?? layer.name)
  }
  if (missing.length > 0) {
    throw new UnsupportedNetworkError(
      'usage',
      `The network cannot be written as a layers model: tfjs-layers has nothing for ${missing.slice(0, mostNamed).join(', ')}${missing.length > mostNamed ? ` and ${missing.length - mostNamed} more` : ''}.\nUse --format onnx, which onnxruntime-web runs.`,
    )
  }
  return { layers: made, output: ends.get(graph.output) ?? graph.output }
}

const mostNamed = 40

function wordsFor(layer: Layer): string {
  if (layer.op === 'conv2d' && (layer.attrs.groups ?? 1) > 1) return 'conv2d in groups'
  return layer.op === 'activation' ? layer.attrs.kind : layer.op
}

function layersOf(
  graph: Graph,
  layer: Layer,
  inputs: readonly string[],
  tensors: ReadonlyMap<string, HostTensor>,
): readonly OutgoingKerasLayer[] | undefined {
  const { name } = layer
  const keras = (kind: string, config: object, weights: readonly OutgoingWeight[] = [], from = inputs, as = name) => ({
    kind,
    name: as,
    config: { name: as, trainable: true, dtype: 'float32', ...config },
    inputs: from,
    weights,
  })
  const weight = (ours: string, theirs: string, order?: readonly number[]): OutgoingWeight => {
    const tensor = tensors.get(`${name}.${ours}`)
    if (tensor === undefined) throw new Error(`${name} has no ${ours}`)
    return {
      name: `${name}/${theirs}`,
      ...(order ? permuted(tensor, order) : { shape: tensor.shape, values: () => tensor.data }),
    }
  }
  const biased = (bias: boolean | undefined) => (bias ? [weight('bias', 'bias')] : [])
  const activated = (before: OutgoingKerasLayer, kind: string | undefined) =>
    kind === undefined
      ? [before]
      : [before, keras('ReLU', kind === 'relu6' ? { max_value: 6 } : {}, [], [before.name], `${name}.${kind}`)]
  /** Zeros that the layer itself cannot add go in front of it. */
  const padded = (window: Window, make: (padding: string, from: readonly string[]) => OutgoingKerasLayer) => {
    if (window.padding === 'same') return [make('same', inputs)]
    const [top, left, bottom, right] = window.padding
    if (top + left + bottom + right === 0) return [make('valid', inputs)]
    const config = {
      padding: [
        [top, bottom],
        [left, right],
      ],
      data_format: 'channels_last',
    }
    const zeros = keras('ZeroPadding2D', config, [], inputs, `${name}.padding`)
    return [zeros, make('valid', [zeros.name])]
  }
  switch (layer.op) {
    case 'imageInput':
      return [
        {
          kind: 'InputLayer',
          name,
          config: { name, dtype: 'float32', sparse: false, batch_input_shape: [null, ...layer.shape] },
          inputs: [],
          weights: [],
        },
      ]
    case 'conv2d': {
      const { outChannels, kernel, stride, dilation = [1, 1], bias = false, groups = 1, ceilMode } = layer.attrs
      // Beside each other they are not implemented there.
      if (groups !== 1 || ceilMode || bothAboveOne(stride, dilation)) return undefined
      return padded(layer.attrs, (padding, from) =>
        keras(
          'Conv2D',
          {
            filters: outChannels,
            kernel_size: kernel,
            strides: stride,
            dilation_rate: dilation,
            padding,
            ...channelsLast,
            use_bias: bias,
          },
          [weight('weight', 'kernel', [2, 3, 1, 0]), ...biased(bias)],
          from,
        ),
      )
    }
    case 'depthwiseConv2d': {
      const { kernel, stride, dilation = [1, 1], bias = false, ceilMode } = layer.attrs
      // One number for both directions there.
      if (ceilMode || bothAboveOne(stride, dilation) || stride[0] !== stride[1]) return undefined
      return padded(layer.attrs, (padding, from) =>
        keras(
          'DepthwiseConv2D',
          {
            kernel_size: kernel,
            strides: stride,
            dilation_rate: dilation,
            padding,
            depth_multiplier: 1,
            ...channelsLast,
            use_bias: bias,
          },
          [weight('weight', 'depthwise_kernel', [2, 3, 0, 1]), ...biased(bias)],
          from,
        ),
      )
    }
    case 'batchNorm': {
      const { epsilon, momentum, activation } = layer.attrs
      const config = { axis: -1, epsilon, momentum: decimal(1 - momentum), center: true, scale: true }
      const weights = [
        weight('weight', 'gamma'),
        weight('bias', 'beta'),
        weight('running_mean', 'moving_mean'),
        weight('running_var', 'moving_variance'),
      ]
      return activated(keras('BatchNormalization', config, weights), activation)
    }
    case 'activation': {
      const kind = activationName(layer.attrs)
      return kind === undefined
        ? undefined
        : [kind === 'relu6' ? keras('ReLU', { max_value: 6 }) : keras('Activation', { activation: kind })]
    }
    case 'add':
      return activated(keras('Add', {}), layer.attrs.activation)
    case 'maxPool': {
      const { kernel, stride, dilation, ceilMode, padding } = layer.attrs
      if (ceilMode || dilation?.some((step) => step > 1)) return undefined
      // Zeros instead of nothing change no maximum of values that are not negative.
      const zeros = padding !== 'same' && padding.some((count) => count > 0)
      if (zeros && !isRectified(graph, layer.inputs[0])) return undefined
      return padded(layer.attrs, (said, from) =>
        keras('MaxPooling2D', { pool_size: kernel, strides: stride, padding: said, ...dataFormat }, [], from),
      )
    }
    case 'averagePool': {
      const { kernel, stride, dilation, ceilMode, padding, countIncludePad = true } = layer.attrs
      const plain = padding !== 'same' && padding.every((count) => count === 0)
      if (ceilMode || dilation?.some((step) => step > 1) || !(plain || (padding === 'same' && !countIncludePad)))
        return undefined
      return padded(layer.attrs, (said, from) =>
        keras('AveragePooling2D', { pool_size: kernel, strides: stride, padding: said, ...dataFormat }, [], from),
      )
    }
    case 'globalAveragePool':
      return [keras('GlobalAveragePooling2D', dataFormat)]
    case 'linear': {
      const { outFeatures, bias = false } = layer.attrs
      const [input = []] = layer.inputShapes
      if (elementCount(input) !== input.at(-1)) return undefined
      return [
        keras('Dense', { units: outFeatures, activation: 'linear', use_bias: bias }, [
          weight('weight', 'kernel', [1, 0]),
          ...biased(bias),
        ]),
      ]
    }
    default:
      return undefined
  }
}

const dataFormat = { data_format: 'channels_last' } as const
const channelsLast = { ...dataFormat, activation: 'linear' } as const

function bothAboveOne(stride: readonly number[], dilation: readonly number[]): boolean {
  return stride.some((step) => step > 1) && dilation.some((step) => step > 1)
}

/** Words that tfjs-layers shares with Keras; others, and other parameters than the usual ones, it does not have. */
function activationName(attrs: ActivationAttributes): string | undefined {
  switch (attrs.kind) {
    case 'relu':
    case 'relu6':
    case 'sigmoid':
    case 'tanh':
    case 'selu':
    case 'softplus':
    case 'softsign':
    case 'mish':
      return Object.keys(attrs).length === 1 ? attrs.kind : undefined
    case 'silu':
      return 'swish'
    default:
      return undefined
  }
}

function isRectified(graph: Graph, name: string | undefined): boolean {
  if (name === undefined) return false
  const layer = layerNamed(graph, name)
  if (layer.op === 'batchNorm' || layer.op === 'add') return layer.attrs.activation !== undefined
  return layer.op === 'activation' && (layer.attrs.kind === 'relu' || layer.attrs.kind === 'relu6')
}

/** The same numbers with their axes in another order. */
function permuted({ shape, data }: HostTensor, order: readonly number[]): Pick<OutgoingWeight, 'shape' | 'values'> {
  const strides = shape.map((_, axis) => elementCount(shape.slice(axis + 1)))
  const target = order.map((axis) => shape[axis] ?? 1)
  const values = (): Float32Array => {
    const result = new Float32Array(data.length)
    const at = target.map(() => 0)
    for (let index = 0; index < result.length; index++) {
      let from = 0
      for (const [axis, position] of at.entries()) from += position * (strides[order[axis] ?? 0] ?? 1)
      result[index] = data[from] ?? 0
      for (let axis = target.length - 1; axis >= 0; axis--) {
        const next = (at[axis] ?? 0) + 1
        at[axis] = next === target[axis] ? 0 : next
        if (at[axis] !== 0) break
      }
    }
    return result
  }
  return { shape: target, values }
}
