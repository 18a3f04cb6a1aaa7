// What each layer becomes in ONNX, opset 17: https://onnx.ai/onnx/operators/
import { upTo } from '../graph/edit.ts'
import { type Graph, type Layer, layerNamed } from '../graph/graph.ts'
import type { ActivationAttributes } from '../ops/activation.ts'
import { type Window, zerosAround } from '../ops/window.ts'
import type { HostTensor } from '../tensor/host-tensor.ts'
import { elementCount } from '../tensor/shape.ts'
import { UnsupportedNetworkError } from './foreign-network.ts'
import { OnnxParts } from './onnx-parts.ts'

/**
 * How a value lies there: pictures [N, C, H, W]; a vector [N, C, 1, 1], which is a picture of one pixel, or [N, C], which is a row;
 * tokens [N, T, C].
 */
type Form = 'picture' | 'pixel' | 'row' | 'tokens'

/**
 * The nodes of a network, values called after the layers that give them.
 * @param tensors  the network's parameters, in file layout
 * @throws UnsupportedNetworkError naming every layer that ONNX gets no node for
 */
export function onnxNodes(
  graph: Graph,
  tensors: ReadonlyMap<string, HostTensor>,
): { readonly parts: OnnxParts; readonly output: string } {
  const missing: string[] = []
  const parts = new OnnxParts(tensors)
  const scaling = scalingLayers(graph)
  const forms = new Map<string, Form>()
  // Without what only the features need.
  const { layers } = upTo(graph, graph.output)
  for (const layer of layers) {
    const given = layer.inputs.map((name) => forms.get(name) ?? 'picture')
    const form = writeLayer(layer, { parts, given, scaling: scaling.has(layer.name) })
    if (form === undefined) missing.push(`${layer.name} (${layer.op})`)
    forms.set(layer.name, form ?? (layer.shape.length === 3 ? 'picture' : layer.shape.length === 2 ? 'tokens' : 'row'))
  }
  if (missing.length > 0) {
    throw new UnsupportedNetworkError(
      'usage',
      `The network cannot be written as ONNX: there is nothing for ${missing.slice(0, 5).join(', ')}${missing.length > 5 ? ` and ${missing.length - 5} more` : ''}.\nUse --format safetensors.`,
    )
  }
  // A vector leaves as a row for each picture, also where it comes from a pool.
  const { name, shape } = layerNamed(graph, graph.output)
  const form = forms.get(name)
  const isVector = elementCount(shape) === shape.at(-1) && (form === 'pixel' || form === 'picture')
  return { parts, output: isVector ? parts.node('Flatten', [name], `${name}.row`, { axis: 1 }) : name }
}

/**
 * Linear layers between a pooling and what it scales: the pictures of one pixel go through convolutions there, for a row would be
 * spread over columns, not over channels.
 */
function scalingLayers(graph: Graph): ReadonlySet<string> {
  const scaling = new Set<string>()
  for (const { op, inputs } of graph.layers) {
    let at = op === 'scale' ? inputs[1] : undefined
    while (at !== undefined) {
      const layer = layerNamed(graph, at)
      if (layer.op === 'linear') scaling.add(layer.name)
      at = layer.op === 'linear' || layer.op === 'activation' ? layer.inputs[0] : undefined
    }
  }
  return scaling
}

interface Context {
  readonly parts: OnnxParts
  /** The forms of the inputs. */
  readonly given: readonly Form[]
  /** Whether what the layer gives is to scale a picture. */
  readonly scaling: boolean
}

/** Adds the nodes of a layer, the last of which gives what is called after it. @returns undefined where there are none for it */
function writeLayer(layer: Layer, { parts, given, scaling }: Context): Form | undefined {
  const { name, inputs } = layer
  const [input = []] = layer.inputShapes
  const [form = 'picture'] = given
  const [from = ''] = inputs
  const parameters = (...names: readonly string[]) => names.map((each) => parts.parameter(`${name}.${each}`))
  const biased = (bias: boolean | undefined) => parameters('weight', ...(bias ? ['bias'] : []))
  switch (layer.op) {
    case 'imageInput':
      return 'picture'
    case 'tensorInput':
      return layer.shape.length === 3 ? 'picture' : layer.shape.length === 2 ? 'tokens' : 'row'
    case 'conv2d':
    case 'depthwiseConv2d': {
      const group = layer.op === 'conv2d' ? (layer.attrs.groups ?? 1) : (layer.shape.at(-1) ?? 1)
      const { bias, dilation } = layer.attrs
      const attributes = { ...windowOf(layer.attrs, input), dilations: dilation ?? [1, 1], group }
      parts.node('Conv', [from, ...biased(bias)], name, attributes)
      return 'picture'
    }
    case 'batchNorm': {
      const { epsilon, momentum, activation } = layer.attrs
      const read = [from, ...parameters('weight', 'bias', 'running_mean', 'running_var')]
      // There momentum is the share of the old average.
      const attributes = { epsilon: { float: epsilon }, momentum: { float: 1 - momentum } }
      activated(parts, name, activation, (output) => parts.node('BatchNormalization', read, output, attributes, name))
      return form
    }
    case 'layerNorm':
      return writeLayerNorm(layer.attrs.epsilon, { name, from, form, read: parameters('weight', 'bias') }, parts)
    case 'layerScale': {
      const by = parts.parameter(name, {
        name: `${name}.factors`,
        ...(form === 'picture' || form === 'pixel' ? { shape: [...parts.shapeOf(name), 1, 1] } : {}),
      })
      parts.node('Mul', [from, by], name)
      return form
    }
    case 'add':
      activated(parts, name, layer.attrs.activation, (output) => parts.node('Add', inputs, output, {}, name))
      return form
    case 'activation':
      return writeActivation(parts, name, from, layer.attrs) === undefined ? undefined : form
    case 'prelu': {
      const weight = `${name}.weight`
      const shape = [...parts.shapeOf(weight), ...(form === 'picture' || form === 'pixel' ? [1, 1] : [])]
      parts.node('PRelu', [from, parts.parameter(weight, { shape })], name)
      return form
    }
    case 'maxout':
      return writeMaxout(layer, from, form, parts)
    case 'linear':
      return writeLinear(layer, { parts, given, scaling })
    case 'softmax':
    case 'logSoftmax':
      parts.node(layer.op === 'softmax' ? 'Softmax' : 'LogSoftmax', [from], name, { axis: 1 })
      return form
    case 'maxPool': {
      const ceil_mode = layer.attrs.ceilMode ? 1 : 0
      parts.node('MaxPool', [from], name, { ...windowOf(layer.attrs, input), ceil_mode })
      return 'picture'
    }
    case 'averagePool': {
      const { ceilMode, countIncludePad = true } = layer.attrs
      const attributes = { ...windowOf(layer.attrs, input), ceil_mode: ceilMode ? 1 : 0 }
      parts.node('AveragePool', [from], name, { ...attributes, count_include_pad: countIncludePad ? 1 : 0 })
      return 'picture'
    }
    case 'globalAveragePool':
      parts.node('GlobalAveragePool', [from], name)
      return 'pixel'
    case 'adaptiveAveragePool': {
      const [height = 0, width = 0] = input
      const [rows, columns] = layer.attrs.output
      if (height % rows !== 0 || width % columns !== 0) return undefined
      const kernel_shape = [height / rows, width / columns]
      parts.node('AveragePool', [from], name, { kernel_shape, strides: kernel_shape })
      return 'picture'
    }
    case 'concat': {
      if (given.some((each) => each !== form)) return undefined
      parts.node('Concat', inputs, name, { axis: channelAxis(form) })
      return form
    }
    case 'slice': {
      const { from: first, channels } = layer.attrs
      const axis = channelAxis(form)
      const read = [parts.integers(first), parts.integers(first + channels), parts.integers(axis)]
      parts.node('Slice', [from, ...read], name)
      return form
    }
    case 'channelShuffle': {
      const { groups } = layer.attrs
      const [height = 0, width = 0, channels = 0] = input
      if (form !== 'picture') return undefined
      const split = parts.integers(0, groups, channels / groups, height, width)
      const groupwise = parts.node('Reshape', [from, split], `${name}.groups`)
      const exchanged = parts.node('Transpose', [groupwise], `${name}.exchanged`, { perm: [0, 2, 1, 3, 4] })
      parts.node('Reshape', [exchanged, parts.integers(0, channels, height, width)], name)
      return 'picture'
    }
    case 'scale': {
      // A row would be spread over columns, not over channels.
      const by = given[1]
      if (by !== 'picture' && by !== 'pixel') return undefined
      parts.node('Mul', inputs, name)
      return form
    }
    case 'meanImage':
      parts.node('Sub', [from, ...parameters('mean')], name)
      return form
    case 'classToken': {
      const [, channels = 0] = layer.shape
      const pixels = parts.node(
        'Reshape',
        [from, parts.integers(0, channels, elementCount(input) / channels)],
        `${name}.pixels`,
      )
      const tokens = parts.node('Transpose', [pixels], `${name}.tokens`, { perm: [0, 2, 1] })
      // The same token for every picture, however many there are.
      const pictures = parts.node('Shape', [from], `${name}.pictures`, { start: 0, end: 1 })
      const size = parts.node('Concat', [pictures, parts.integers(1, channels)], `${name}.size`, { axis: 0 })
      const first = parts.node('Expand', [parts.parameter(name, { name: `${name}.first` }), size], `${name}.spread`)
      parts.node('Concat', [first, tokens], name, { axis: 1 })
      return 'tokens'
    }
    case 'positions':
      parts.node('Add', [from, parts.parameter(name, { name: `${name}.places` })], name)
      return form
    case 'attention':
      writeAttention(name, from, layer.attrs.heads, layer.shape, parts)
      return 'tokens'
    case 'firstToken':
      parts.node('Gather', [from, parts.integer(0)], name, { axis: 1 })
      return 'row'
    case 'dropout':
    case 'dropPath':
      return undefined
  }
}

function channelAxis(form: Form): number {
  return form === 'tokens' ? 2 : 1
}

/** Channels come last for the node, and go back where they were. */
function writeLayerNorm(
  epsilon: number,
  layer: { readonly name: string; readonly from: string; readonly form: Form; readonly read: readonly string[] },
  parts: OnnxParts,
): Form {
  const { name, from, form, read } = layer
  const normalise = (input: string, output: string) =>
    parts.node('LayerNormalization', [input, ...read], output, { axis: -1, epsilon: { float: epsilon } })
  if (form === 'picture') {
    const last = parts.node('Transpose', [from], `${name}.last`, { perm: [0, 2, 3, 1] })
    parts.node('Transpose', [normalise(last, `${name}.normal`)], name, { perm: [0, 3, 1, 2] })
    return 'picture'
  }
  normalise(form === 'pixel' ? rowOf(from, name, parts) : from, name)
  return form === 'tokens' ? 'tokens' : 'row'
}

function rowOf(from: string, name: string, parts: OnnxParts): string {
  return parts.node('Flatten', [from], `${name}.input`, { axis: 1 })
}

function writeLinear(layer: Layer & { readonly op: 'linear' }, { parts, given, scaling }: Context): Form {
  const { name, inputs, attrs } = layer
  const [form = 'row'] = given
  const [from = ''] = inputs
  const weight = `${name}.weight`
  const bias = attrs.bias ? [parts.parameter(`${name}.bias`)] : []
  if (form === 'tokens') {
    const matrix = parts.parameter(weight, { order: [1, 0] })
    if (bias.length === 0) parts.node('MatMul', [from, matrix], name)
    else parts.node('Add', [parts.node('MatMul', [from, matrix], `${name}.product`), ...bias], name)
    return 'tokens'
  }
  if (form === 'picture' || (scaling && form === 'pixel')) {
    const kernel = parts.parameter(weight, { shape: [...parts.shapeOf(weight), 1, 1] })
    parts.node('Conv', [from, kernel, ...bias], name, { kernel_shape: [1, 1] })
    return form
  }
  const row = form === 'row' ? from : rowOf(from, name, parts)
  parts.node('Gemm', [row, parts.parameter(weight), ...bias], name, { transB: 1 })
  return 'row'
}

/** The largest of neighbouring channels. */
function writeMaxout(
  { name, shape, attrs }: Layer & { readonly op: 'maxout' },
  from: string,
  form: Form,
  parts: OnnxParts,
): Form {
  const { pieces } = attrs
  const channels = shape.at(-1) ?? 1
  const largest = (input: string, size: readonly number[], axis: number) => {
    const apart = parts.node('Reshape', [input, parts.integers(0, ...size)], `${name}.pieces`)
    parts.node('ReduceMax', [apart], name, { axes: [axis], keepdims: 0 })
  }
  switch (form) {
    case 'picture':
      largest(from, [channels, pieces, shape[0] ?? 1, shape[1] ?? 1], 2)
      return form
    case 'tokens':
      largest(from, [shape[0] ?? 1, channels, pieces], 3)
      return form
    case 'pixel':
      largest(rowOf(from, name, parts), [channels, pieces], 2)
      return 'row'
    case 'row':
      largest(from, [channels, pieces], 2)
      return 'row'
  }
}

/** softmax(q·kᵀ/sqrt(D / heads))·v, all heads beside each other: [N, heads, T, D / heads]. */
function writeAttention(name: string, from: string, heads: number, shape: readonly number[], parts: OnnxParts): void {
  const [tokens = 0, channels = 0] = shape
  const size = channels / heads
  const split = parts.integers(0, tokens, heads, size)
  const part = (index: number, called: string, perm: readonly number[]) => {
    const range = [parts.integers(index * channels), parts.integers((index + 1) * channels), parts.integers(2)]
    const alone = parts.node('Slice', [from, ...range], `${name}.${called}.alone`)
    const apart = parts.node('Reshape', [alone, split], `${name}.${called}.heads`)
    return parts.node('Transpose', [apart], `${name}.${called}`, { perm })
  }
  const [queries, keys, values] = [
    part(0, 'queries', [0, 2, 1, 3]),
    part(1, 'keys', [0, 2, 3, 1]),
    part(2, 'values', [0, 2, 1, 3]),
  ]
  const products = parts.node('MatMul', [queries, keys], `${name}.products`)
  const scaled = parts.node('Mul', [products, parts.number(1 / Math.sqrt(size))], `${name}.scaled`)
  const shares = parts.node('Softmax', [scaled], `${name}.shares`, { axis: -1 })
  const seen = parts.node('MatMul', [shares, values], `${name}.seen`)
  const together = parts.node('Transpose', [seen], `${name}.together`, { perm: [0, 2, 1, 3] })
  parts.node('Reshape', [together, parts.integers(0, tokens, channels)], name)
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
  parts: OnnxParts,
  name: string,
  kind: 'none' | 'relu' | 'relu6' | undefined,
  make: (output: string) => string,
): void {
  if (kind === undefined || kind === 'none') make(name)
  else writeActivation(parts, name, make(`${name}.linear`), { kind }, `${name}.${kind}`)
}

/**
 * @param called  the name of the last node
 * @returns what they give; undefined where there are no nodes for it
 */
function writeActivation(
  parts: OnnxParts,
  name: string,
  from: string,
  attrs: ActivationAttributes,
  called = name,
): string | undefined {
  const plain = (op: string, attributes?: Readonly<Record<string, { readonly float: number }>>) =>
    parts.node(op, [from], name, attributes, called)
  const times = (gate: string) => parts.node('Mul', [from, gate], name)
  const gate = `${name}.gate`
  const hardSigmoid = { alpha: { float: 1 / 6 }, beta: { float: 0.5 } }
  const clip = (lowest: number, highest: number) =>
    parts.node('Clip', [from, parts.number(lowest), parts.number(highest)], name, {}, called)
  switch (attrs.kind) {
    case 'none':
      return plain('Identity')
    case 'relu':
      return plain('Relu')
    case 'relu6':
      return clip(0, 6)
    case 'hard-tanh':
      return clip(-1, 1)
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
      return times(parts.node('HardSigmoid', [from], gate, hardSigmoid))
    case 'silu':
      return times(parts.node('Sigmoid', [from], gate))
    // Mish and Gelu are nodes of their own only from opset 18 and 20 on, which few runtimes of today read.
    case 'mish':
      return times(parts.node('Tanh', [parts.node('Softplus', [from], `${name}.softplus`)], gate))
    case 'gelu': {
      const scaled = parts.node('Div', [from, parts.number(Math.SQRT2)], `${name}.scaled`)
      const erf = parts.node('Erf', [scaled], `${name}.erf`)
      const raised = parts.node('Add', [erf, parts.number(1)], `${name}.raised`)
      const doubled = parts.node('Mul', [from, raised], `${name}.doubled`)
      return parts.node('Mul', [doubled, parts.number(0.5)], name)
    }
    case 'gelu-tanh':
      return undefined
  }
}
