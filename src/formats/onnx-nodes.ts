// What each layer becomes in ONNX, opset 17: https://onnx.ai/onnx/operators/
import { upTo } from '../graph/edit.ts'
import { type Graph, type Layer, layerNamed } from '../graph/graph.ts'
import type { ActivationAttributes } from '../ops/activation.ts'
import { type Window, zerosAround } from '../ops/window.ts'
import { elementCount } from '../tensor/shape.ts'
import { UnsupportedNetworkError } from './foreign-network.ts'

export type OnnxAttribute = number | { readonly float: number } | readonly number[]

export interface OutgoingNode {
  readonly op: string
  readonly name: string
  readonly inputs: readonly string[]
  readonly output: string
  readonly attributes: Readonly<Record<string, OnnxAttribute>>
}

/** Scalars that nodes read. */
export const limits: ReadonlyMap<string, number> = new Map([
  ['regraft.zero', 0],
  ['regraft.six', 6],
  ['regraft.minus_one', -1],
  ['regraft.one', 1],
])

/**
 * The nodes of a network, values called after the layers that give them.
 * @throws UnsupportedNetworkError naming every layer that ONNX gets no node for
 */
export function onnxNodes(graph: Graph): readonly OutgoingNode[] {
  const missing: string[] = []
  const output = layerNamed(graph, graph.output)
  // Without what only the features need.
  const { layers } = upTo(graph, graph.output)
  const convolved = convolvedLayers(graph)
  const pooled = new Set(
    layers.filter((layer) => layer.shape.length === 1 && !isRow(graph, layer, convolved)).map(({ name }) => name),
  )
  const nodes = layers.flatMap((layer) => {
    const made = convolved.has(layer.name) ? convolvedNode(layer) : nodesOf(layer, pooled)
    if (made === undefined) missing.push(`${layer.name} (${layer.op})`)
    return made ?? []
  })
  if (missing.length > 0) {
    throw new UnsupportedNetworkError(
      'usage',
      `The network cannot be written as ONNX: there is nothing for ${missing.slice(0, 5).join(', ')}${missing.length > 5 ? ` and ${missing.length - 5} more` : ''}.\nUse --format safetensors.`,
    )
  }
  // A vector leaves as a row for each picture, also where it comes from a pool.
  const isVector = elementCount(output.shape) === output.shape.at(-1)
  return isVector && !isRow(graph, output, convolved)
    ? [...nodes, node('Flatten', `${output.name}.row`, [output.name], `${output.name}.row`, { axis: 1 })]
    : nodes
}

/**
 * Linear layers between a pooling and what it scales: the pictures of one pixel go through convolutions there, for a row would be
 * spread over columns, not over channels. Their weights get rows and columns behind.
 */
export function convolvedLayers(graph: Graph): ReadonlySet<string> {
  const convolved = new Set<string>()
  for (const { op, inputs } of graph.layers) {
    let at = op === 'scale' ? inputs[1] : undefined
    while (at !== undefined) {
      const layer = layerNamed(graph, at)
      if (layer.op === 'linear') convolved.add(layer.name)
      at = layer.op === 'linear' || layer.op === 'activation' ? layer.inputs[0] : undefined
    }
  }
  return convolved
}

function convolvedNode({ name, inputs, op, attrs }: Layer): readonly OutgoingNode[] {
  const bias = op === 'linear' && attrs.bias ? [`${name}.bias`] : []
  return [node('Conv', name, [...inputs, `${name}.weight`, ...bias], name, { kernel_shape: [1, 1] })]
}

/** Whether a value is a row already, and no picture of one pixel. */
function isRow(graph: Graph, layer: Layer, convolved: ReadonlySet<string>): boolean {
  if (convolved.has(layer.name)) return false
  const [input] = layer.inputs
  const keeps = layer.op === 'activation' || layer.op === 'prelu' || layer.op === 'softmax' || layer.op === 'logSoftmax'
  return layer.op === 'linear' || (keeps && input !== undefined && isRow(graph, layerNamed(graph, input), convolved))
}

/** What the last node gives. */
export function outputOf(nodes: readonly OutgoingNode[]): string {
  return nodes[nodes.length - 1]?.output ?? ''
}

/** @param pooled  layers whose vectors are pictures of one pixel in ONNX */
function nodesOf(layer: Layer, pooled: ReadonlySet<string>): readonly OutgoingNode[] | undefined {
  const { name, inputs, inputShapes } = layer
  const [input = []] = inputShapes
  const weights = (...names: readonly string[]) => names.map((each) => `${name}.${each}`)
  const biased = (bias: boolean | undefined) => weights('weight', ...(bias ? ['bias'] : []))
  switch (layer.op) {
    case 'imageInput':
    case 'tensorInput':
      return []
    case 'conv2d':
    case 'depthwiseConv2d': {
      const group = layer.op === 'conv2d' ? (layer.attrs.groups ?? 1) : (layer.shape.at(-1) ?? 1)
      const { bias, dilation } = layer.attrs
      const attributes = { ...windowOf(layer.attrs, input), dilations: dilation ?? [1, 1], group }
      return [node('Conv', name, [...inputs, ...biased(bias)], name, attributes)]
    }
    case 'batchNorm': {
      const { epsilon, momentum, activation } = layer.attrs
      const read = [...inputs, ...weights('weight', 'bias', 'running_mean', 'running_var')]
      // There momentum is the share of the old average.
      const attributes = { epsilon: { float: epsilon }, momentum: { float: 1 - momentum } }
      return activated(name, activation, (output) => node('BatchNormalization', name, read, output, attributes))
    }
    case 'add':
      return activated(name, layer.attrs.activation, (output) => node('Add', name, inputs, output))
    case 'activation':
      return activation(name, inputs, layer.attrs)
    case 'prelu': {
      // A slope for each channel has to be spread over rows and columns; that is done where the weights are written.
      return [node('PRelu', name, [...inputs, `${name}.weight`], name)]
    }
    case 'linear':
      // Gemm knows rows alone: one for each picture.
      if (elementCount(input) !== input.at(-1)) return undefined
      return [
        node('Flatten', `${name}.input`, inputs, `${name}.input`, { axis: 1 }),
        node('Gemm', name, [`${name}.input`, ...biased(layer.attrs.bias)], name, { transB: 1 }),
      ]
    case 'softmax':
      return [node('Softmax', name, inputs, name, { axis: 1 })]
    case 'logSoftmax':
      return [node('LogSoftmax', name, inputs, name, { axis: 1 })]
    case 'maxPool': {
      const ceil_mode = layer.attrs.ceilMode ? 1 : 0
      return [node('MaxPool', name, inputs, name, { ...windowOf(layer.attrs, input), ceil_mode })]
    }
    case 'averagePool': {
      const { ceilMode, countIncludePad = true } = layer.attrs
      const attributes = { ...windowOf(layer.attrs, input), ceil_mode: ceilMode ? 1 : 0 }
      const count_include_pad = countIncludePad ? 1 : 0
      return [node('AveragePool', name, inputs, name, { ...attributes, count_include_pad })]
    }
    case 'globalAveragePool':
      return [node('GlobalAveragePool', name, inputs, name)]
    case 'adaptiveAveragePool': {
      const [height = 0, width = 0] = input
      const [rows, columns] = layer.attrs.output
      if (height % rows !== 0 || width % columns !== 0) return undefined
      const kernel_shape = [height / rows, width / columns]
      return [node('AveragePool', name, inputs, name, { kernel_shape, strides: kernel_shape })]
    }
    case 'concat':
      return [node('Concat', name, inputs, name, { axis: 1 })]
    case 'scale': {
      // A row would be spread over columns, not over channels.
      const [, factors] = inputShapes
      const [, by = ''] = inputs
      return factors?.length === 3 || pooled.has(by) ? [node('Mul', name, inputs, name)] : undefined
    }
    case 'meanImage':
      return [node('Sub', name, [...inputs, `${name}.mean`], name)]
    case 'maxout':
    case 'slice':
    case 'channelShuffle':
    case 'layerScale':
    case 'layerNorm':
    case 'classToken':
    case 'positions':
    case 'attention':
    case 'firstToken':
    case 'dropout':
    case 'dropPath':
      return undefined
  }
}

function windowOf(
  window: Window,
  input: readonly number[],
): Record<'kernel_shape' | 'strides' | 'pads', readonly number[]> {
  const { kernel, stride, padding } = window
  return { kernel_shape: kernel, strides: stride, pads: padding === 'same' ? zerosAround(window, input) : padding }
}

/** A node and the activation after it. */
function activated(
  name: string,
  kind: 'none' | 'relu' | 'relu6' | undefined,
  make: (output: string) => OutgoingNode,
): readonly OutgoingNode[] {
  if (kind === undefined || kind === 'none') return [make(name)]
  const before = `${name}.linear`
  return [make(before), ...(activation(name, [before], { kind }) ?? [])]
}

function activation(
  name: string,
  inputs: readonly string[],
  attrs: ActivationAttributes,
): readonly OutgoingNode[] | undefined {
  const label = `${name}.${attrs.kind}`
  const plain = (op: string, attributes?: OutgoingNode['attributes']) => [node(op, label, inputs, name, attributes)]
  const gated = (op: string, attributes?: OutgoingNode['attributes']) => [
    node(op, `${label}.gate`, inputs, `${name}.gate`, attributes),
    node('Mul', label, [...inputs, `${name}.gate`], name),
  ]
  const hardSigmoid = { alpha: { float: 1 / 6 }, beta: { float: 0.5 } }
  switch (attrs.kind) {
    case 'none':
      return plain('Identity')
    case 'relu':
      return plain('Relu')
    case 'relu6':
      return [node('Clip', label, [...inputs, 'regraft.zero', 'regraft.six'], name)]
    case 'hard-tanh':
      return [node('Clip', label, [...inputs, 'regraft.minus_one', 'regraft.one'], name)]
    case 'leaky-relu':
      return plain('LeakyRelu', { alpha: { float: attrs.slope ?? 0.01 } })
    case 'elu':
      return plain('Elu', { alpha: { float: attrs.alpha ?? 1 } })
    case 'selu':
      return plain('Selu')
    case 'sigmoid':
      return plain('Sigmoid')
    case 'tanh':
      return plain('Tanh')
    case 'softsign':
      return plain('Softsign')
    case 'softplus':
      return (attrs.beta ?? 1) === 1 ? plain('Softplus') : undefined
    case 'hard-sigmoid':
      return plain('HardSigmoid', hardSigmoid)
    case 'hard-swish':
      return gated('HardSigmoid', hardSigmoid)
    case 'silu':
      return gated('Sigmoid')
    // Nodes of their own only from opset 18 and 20 on, which few runtimes of today read.
    case 'mish':
    case 'gelu':
    case 'gelu-tanh':
      return undefined
  }
}

function node(
  op: string,
  name: string,
  inputs: readonly string[],
  output: string,
  attributes: OutgoingNode['attributes'] = {},
): OutgoingNode {
  return { op, name, inputs, output, attributes }
}
