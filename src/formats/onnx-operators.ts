// What each operator of ONNX becomes: https://onnx.ai/onnx/operators/
import { type ActivationAttributes, isFused } from '../ops/activation.ts'
import type { Padding, Pair, Window } from '../ops/window.ts'
import { elementCount, formatShape, type Shape, shapesEqual } from '../tensor/shape.ts'
import { decimal } from './decimal.ts'
import { type ParameterSource, Unsupported } from './network-draft.ts'
import { gated, onnxActivations } from './onnx-activations.ts'
import { Attributes } from './onnx-attributes.ts'
import { foldings, numbersOf, permutationOf, permutedConstant } from './onnx-constants.ts'
import type { OnnxNode } from './onnx-file.ts'
import {
  erfOf,
  largestOf,
  onlyNumber,
  plusOne,
  productOf,
  rejoined,
  scaledPending,
  sharesOf,
  splitValue,
  timesCurve,
  tokensOf,
  transposedPending,
} from './onnx-pending.ts'
import type { Translation } from './onnx-translation.ts'
import {
  type ConstantValue,
  constantOf,
  constantOfTensor,
  isPicture,
  isSameView,
  isVector,
  type NetworkValue,
  networkValue,
  type OnnxValue,
  type PendingValue,
  reshapedConstant,
  reshapedValue,
} from './onnx-values.ts'

interface Context {
  readonly node: OnnxNode
  /** undefined for inputs that are left out. */
  readonly inputs: readonly (OnnxValue | undefined)[]
  readonly net: Translation
  readonly attributes: Attributes
}

/** What a node gives; it may add layers. @throws Unsupported, or Error with a plain reason */
type Operator = (context: Context) => OnnxValue | Promise<OnnxValue>

const translations: readonly (readonly [string, Operator])[] = [
  ['Constant', constant],
  ['Identity', first],
  ['Dropout', first],
  ['Cast', cast],
  ['Shape', shape],
  ['Reshape', reshape],
  ['Flatten', flatten],
  ['Squeeze', squeeze],
  ['Unsqueeze', unsqueeze],
  ['Transpose', transpose],
  ['Conv', convolution],
  ['BatchNormalization', batchNormalization],
  ['Clip', clip],
  ['PRelu', prelu],
  ['Add', add],
  ['Sub', subtract],
  ['Mul', multiply],
  ['Div', divide],
  ['Neg', ({ node, inputs, net }: Context) => negated(networkInput(inputs, 0), net, nameOf(node))],
  ['Erf', erf],
  ['LayerNormalization', layerNormalization],
  ['Slice', slice],
  ['Gather', gather],
  ['Expand', expand],
  ['ReduceMax', reduceMax],
  ['Concat', concat],
  ['MaxPool', maxPool],
  ['AveragePool', averagePool],
  ['GlobalAveragePool', globalAveragePool],
  ['ReduceMean', reduceMean],
  ['Gemm', gemm],
  ['MatMul', matMul],
  ['Softmax', (context) => softmax(context, 'softmax')],
  ['LogSoftmax', (context) => softmax(context, 'log-softmax')],
]

/** Gives what a node gives. @throws Unsupported, or Error with a plain reason */
export function translateNode(
  node: OnnxNode,
  inputs: readonly (OnnxValue | undefined)[],
  net: Translation,
): OnnxValue | Promise<OnnxValue> {
  const attributes = new Attributes(node)
  const constants = inputs.map((input) => (input?.kind === 'constant' ? input : undefined))
  const folding = foldings.get(node.op)
  if (folding !== undefined && inputs.every((input) => input === undefined || input.kind === 'constant')) {
    return folding({ inputs: constants, attributes, opset: net.opset })
  }
  const translate = operators.get(node.op)
  if (translate === undefined) throw new Unsupported(node.op)
  return translate({ node, inputs, net, attributes })
}

const operators: ReadonlyMap<string, Operator> = new Map([
  ...translations,
  ...[...onnxActivations].map(([op, attrsOf]): [string, Operator] => [
    op,
    (context) => activation(context, attrsOf(context.attributes)),
  ]),
])

/** Whether anything is known of an operator of the standard set. */
export function isKnownOperator(op: string): boolean {
  return operators.has(op) || foldings.has(op)
}

function constant({ attributes }: Context): OnnxValue | Promise<OnnxValue> {
  const tensor = attributes.tensor('value')
  if (tensor !== undefined) return constantOfTensor(tensor)
  const list = attributes.floats('value_floats') ?? attributes.ints('value_ints')
  if (list !== undefined) return constantOf([list.length], list)
  if (attributes.has('value_float')) return constantOf([], [attributes.float('value_float', 0)])
  if (attributes.has('value_int')) return constantOf([], [attributes.int('value_int', 0)])
  throw new Unsupported('Constant that is neither numbers nor a tensor')
}

function first({ inputs: [value] }: Context): OnnxValue {
  if (value === undefined) throw new Error('it has too few inputs')
  return value
}

function cast({ inputs, attributes }: Context): OnnxValue {
  const value = networkInput(inputs, 0)
  if (attributes.int('to', 1) !== 1) throw new Unsupported('Cast of the picture to another type than float')
  return value
}

function shape({ inputs: [value], attributes }: Context): OnnxValue {
  if (value === undefined) throw new Error('it has too few inputs')
  // How many pictures there are is not known.
  const dims = value.kind === 'constant' ? value.dims : [Number.NaN, ...value.dims]
  const part = dims.slice(attributes.int('start', 0), attributes.int('end', dims.length))
  return constantOf([part.length], part)
}

function reshape({ node, inputs: [value, target], net }: Context): OnnxValue {
  if (value === undefined) throw new Error('it has too few inputs')
  const wanted = numbersOf(constantInput(target, 'shape'), 'shape')
  if (value.kind === 'constant') return reshapedConstant(value, resolved(wanted, value.dims, elementCount(value.dims)))
  const total = elementCount(value.dims)
  const [batch, ...rest] = wanted
  if (batch === undefined) throw new Error('its shape has no place for the batch')
  const whole = rest.every((size) => size > 0) && rest.reduce((product, size) => product * size, 1) === total
  // The batch as it is (0, or taken from Shape), as what is left over, or as the fixed one of the file.
  if (!Number.isNaN(batch) && batch !== 0 && !whole) {
    throw new Error(
      `it mixes pictures of the batch: shape [${wanted.slice(0, 10).join(', ')}] for ${formatShape(value.dims)}`,
    )
  }
  const dims = resolved(rest, value.dims, total)
  if (value.kind === 'pending') return rejoined(value, dims, net, nameOf(node))
  return reshapedValue(value, dims) ?? splitValue(value, dims, net.shapeOf(value.layer)) ?? viewOf(value, dims)
}

/** A shape with -1 and 0 replaced: what is left over, and the size at the same place. */
function resolved(wanted: readonly number[], from: Shape, total: number): Shape {
  const sizes = wanted.map((size, axis) => (size === 0 ? (from[axis] ?? 0) : size))
  const known = sizes.filter((size) => size !== -1).reduce((product, size) => product * size, 1)
  const open = sizes.filter((size) => size === -1).length
  const result = sizes.map((size) => (size === -1 ? total / known : size))
  const fits = open <= 1 && result.every((size) => Number.isSafeInteger(size) && size >= 0)
  if (fits && elementCount(result) === total) return result
  throw new Error(
    `the shape [${wanted.slice(0, 10).join(', ')}] does not fit ${formatShape(from)}, ${total} elements (mismatch)`,
  )
}

function viewOf(value: NetworkValue, dims: Shape): NetworkValue {
  const view = reshapedValue(value, dims)
  if (view === undefined) throw new Unsupported(`Reshape of ${formatShape(value.dims)} to ${formatShape(dims)}`)
  return view
}

function flatten({ inputs, attributes }: Context): OnnxValue {
  const value = networkInput(inputs, 0)
  const rank = value.dims.length + 1
  const axis = axisOf(attributes.int('axis', 1), rank)
  if (axis !== 1) throw new Unsupported(`Flatten from axis ${axis}`)
  return viewOf(value, [elementCount(value.dims)])
}

function squeeze(context: Context): OnnxValue {
  const { inputs, net, attributes } = context
  const [value] = inputs
  if (value === undefined) throw new Error('it has too few inputs')
  const dims = value.kind === 'constant' ? value.dims : [Number.NaN, ...value.dims]
  const given =
    net.opset < 13 ? attributes.ints('axes') : inputs[1] && numbersOf(constantInput(inputs[1], 'axes'), 'axes')
  const axes = new Set(
    given?.map((axis) => axisOf(axis, dims.length)) ?? dims.flatMap((size, axis) => (size === 1 ? [axis] : [])),
  )
  const wrong = [...axes].find((axis) => dims[axis] !== 1)
  if (wrong !== undefined) throw new Error(`the size at its axis ${wrong} is not 1`)
  const kept = dims.filter((_, axis) => !axes.has(axis))
  if (value.kind === 'pending') throw new Unsupported(value.said)
  return value.kind === 'constant' ? reshapedConstant(value, kept) : viewOf(value, kept.slice(1))
}

function unsqueeze(context: Context): OnnxValue {
  const { inputs, net, attributes } = context
  const [value] = inputs
  if (value === undefined) throw new Error('it has too few inputs')
  const given = net.opset < 13 ? attributes.ints('axes') : numbersOf(constantInput(inputs[1], 'axes'), 'axes')
  if (given === undefined) throw new Error('its axes are missing')
  const dims = value.kind === 'constant' ? value.dims : [Number.NaN, ...value.dims]
  const rank = dims.length + given.length
  const axes = new Set(given.map((axis) => axisOf(axis, rank)))
  const rest = [...dims]
  const result = Array.from({ length: rank }, (_, axis) => (axes.has(axis) ? 1 : (rest.shift() ?? 1)))
  if (value.kind === 'constant') return reshapedConstant(value, result)
  if (value.kind === 'pending') throw new Unsupported(value.said)
  if (axes.has(0)) throw new Unsupported('Unsqueeze in front of the batch')
  return viewOf(value, result.slice(1))
}

function transpose({ inputs, attributes }: Context): OnnxValue {
  const [given] = inputs
  const value = given?.kind === 'pending' ? given : networkInput(inputs, 0)
  const [batch, ...order] = permutationOf(attributes.ints('perm'), value.dims.length + 1)
  if (batch !== 0) throw new Unsupported('Transpose of the batch')
  if (value.kind === 'pending')
    return transposedPending(
      value,
      order.map((axis) => axis - 1),
    )
  if (value.flattened !== undefined) throw new Unsupported('Transpose after Flatten')
  return networkValue(
    value.layer,
    order.map((axis) => value.dims[axis - 1] ?? 1),
    order.map((axis) => value.axes[axis - 1] ?? -1),
  )
}

function convolution({ node, inputs, net, attributes }: Context): OnnxValue {
  const value = networkInput(inputs, 0)
  const weight = constantInput(inputs[1], 'weight')
  const [outChannels = 0, perGroup = 0, kernelHeight = 0, kernelWidth = 0] = weight.dims
  if (weight.dims.length !== 4) throw new Unsupported(`Conv in ${weight.dims.length - 2} dimensions`)
  const kernel: Pair = [kernelHeight, kernelWidth]
  const said = attributes.ints('kernel_shape')
  if (said !== undefined && said.join() !== kernel.join()) {
    throw new Error(`its kernel_shape is ${said.join('x')}, its weight is ${kernel.join('x')}`)
  }
  const [channels = 0] = value.dims
  const group = attributes.int('group', 1)
  if (group < 1 || channels % group !== 0 || outChannels % group !== 0 || perGroup * group !== channels) {
    throw new Error(`its weight ${formatShape(weight.dims)} in ${group} group(s) does not fit ${channels} channels`)
  }
  const bias = optionalVector(inputs[2], outChannels, 'bias')
  const hint = weight.origin?.endsWith('.weight') ? weight.origin : nameOf(node)
  const parameters = { weight: sourceOf(weight, weight.dims), ...(bias ? { bias: sourceOf(bias, [outChannels]) } : {}) }
  const options = { bias: bias !== undefined }
  const layerShape = net.shapeOf(value.layer)
  if (
    layerShape.length === 1 &&
    isVector(value, layerShape) &&
    kernelHeight === 1 &&
    kernelWidth === 1 &&
    group === 1
  ) {
    const linear = { ...parameters, weight: sourceOf(weight, [outChannels, channels]) }
    const layer = net.layer('linear', { outFeatures: outChannels, ...options }, [value.layer], hint, linear)
    return networkValue(layer, [outChannels, ...value.dims.slice(1)], [0, -1, -1])
  }
  const window = windowOf({ net, attributes }, value, kernel)
  if (group > 1 && perGroup === 1 && outChannels === channels) {
    return picture(net, net.layer('depthwiseConv2d', { ...options, ...window }, [value.layer], hint, parameters))
  }
  const attrs = { outChannels, ...options, ...window, ...(group === 1 ? {} : { groups: group }) }
  return picture(net, net.layer('conv2d', attrs, [value.layer], hint, parameters))
}

function batchNormalization({ node, inputs, net, attributes }: Context): OnnxValue {
  const value = networkInput(inputs, 0)
  const layerShape = net.shapeOf(value.layer)
  if (!isPicture(value, layerShape) && !isVector(value, layerShape))
    throw new Unsupported('BatchNormalization of something else than pictures')
  if (attributes.int('training_mode', 0) !== 0) throw new Unsupported('BatchNormalization in training mode')
  const channels = layerShape.at(-1) ?? 0
  const part = (at: number, what: string) => sourceOf(vectorInput(inputs[at], channels, what), [channels])
  const scale = constantInput(inputs[1], 'scale')
  const parameters = {
    weight: part(1, 'scale'),
    bias: part(2, 'bias'),
    running_mean: part(3, 'mean'),
    running_var: part(4, 'variance'),
  }
  const epsilon = decimal(attributes.float('epsilon', 1e-5))
  // There the share of the old average, here that of the new values.
  const momentum = decimal(1 - attributes.float('momentum', 0.9))
  if (!(epsilon >= 0 && momentum >= 0 && momentum <= 1)) throw new Error('its epsilon or momentum is out of range')
  const hint = scale.origin?.endsWith('.weight') ? scale.origin : nameOf(node)
  return { ...value, layer: net.layer('batchNorm', { epsilon, momentum }, [value.layer], hint, parameters) }
}

function activation({ node, inputs, net }: Context, attrs: ActivationAttributes): OnnxValue {
  const value = networkInput(inputs, 0)
  const before = net.soleReadLayer(node.inputs[0], 'batchNorm', 'add')
  if (before !== undefined && before.attrs.activation === undefined && isFused(attrs.kind)) {
    before.attrs = { ...before.attrs, activation: attrs.kind }
    return value
  }
  return { ...value, layer: net.layer('activation', attrs, [value.layer], nameOf(node)) }
}

function prelu({ node, inputs, net }: Context): OnnxValue {
  const value = networkInput(inputs, 0)
  const slope = constantInput(inputs[1], 'slope')
  const shared = elementCount(slope.dims) === 1
  if (!shared && !isPerChannel(slope, value, net)) throw new Unsupported('PRelu with a slope for each pixel')
  const hint = slope.origin?.endsWith('.weight') ? slope.origin : nameOf(node)
  const weight = sourceOf(slope, [elementCount(slope.dims)])
  return { ...value, layer: net.layer('prelu', shared ? { shared } : {}, [value.layer], hint, { weight }) }
}

/** x·sigmoid(x) and its like are activations, channels times numbers that are the same for all pixels are scaled; other products have no layer. */
function multiply(context: Context): OnnxValue {
  const { node, inputs, net } = context
  for (const [at, other] of [
    [0, 1],
    [1, 0],
  ] as const) {
    const [value, factor] = [inputs[at], inputs[other]]
    if (factor?.kind === 'constant' && value !== undefined && value.kind !== 'constant')
      return timesConstant(context, value, factor)
    if (value?.kind === 'network' && factor?.kind === 'pending') return timesCurve(checkedValue(value), factor)
  }
  const [a, b] = [networkInput(inputs, 0), networkInput(inputs, 1)]
  for (const [value, gate] of [
    [a, b],
    [b, a],
  ] as const) {
    const draft = net.draftOf(gate.layer, 'activation')
    const inner = net.draftOf(draft?.inputs[0] ?? '', 'activation')
    const isMish = draft?.attrs.kind === 'tanh' && inner?.attrs.kind === 'softplus' && inner.inputs[0] === value.layer
    const gating = draft?.inputs[0] === value.layer ? gated.get(draft.attrs.kind) : undefined
    const attrs: ActivationAttributes | undefined = isMish ? { kind: 'mish' } : gating
    if (attrs !== undefined && isSameView(gate, value)) {
      return { ...value, layer: net.layer('activation', attrs, [value.layer], nameOf(node)) }
    }
  }
  for (const [value, factors] of [
    [a, b],
    [b, a],
  ] as const) {
    const shape = net.shapeOf(value.layer)
    const byShape = net.shapeOf(factors.layer)
    const spread = value.dims.map((size, at) => (value.axes[at] === shape.length - 1 ? size : 1))
    const fits = factors.flattened === undefined && factors.dims.join() === spread.join()
    if (isPicture(value, shape) && fits && elementCount(byShape) === shape.at(-1)) {
      return { ...value, layer: net.layer('scale', {}, [value.layer, factors.layer], nameOf(node)) }
    }
  }
  throw new Unsupported('Mul')
}

function timesConstant(
  { node, net }: Context,
  value: NetworkValue | PendingValue,
  factor: ConstantValue,
  inverse = false,
): OnnxValue {
  const number = onlyNumber(factor)
  if (number !== undefined && Number.isFinite(number)) {
    const said = inverse ? 'Div by a number' : 'Mul by a number'
    return scaledPending(checkedValue(value), { factor: inverse ? 1 / number : number, said }, net, nameOf(node))
  }
  const { kind } = value
  if (kind === 'pending' || inverse || !isPerChannel(factor, checkedValue(value), net))
    throw new Unsupported('Mul by a constant that is not one number for each channel')
  const weight = sourceOf(factor, [elementCount(factor.dims)])
  const layer = net.layer('layerScale', { initial: 1 }, [value.layer], nameOf(node), { '': weight })
  return { ...value, layer }
}

function divide(context: Context): OnnxValue {
  const [value, divisor] = context.inputs
  if (value === undefined || value.kind === 'constant' || divisor?.kind !== 'constant') throw new Unsupported('Div')
  return timesConstant(context, value, divisor, true)
}

function erf({ inputs: [value] }: Context): OnnxValue {
  if (value?.kind !== 'pending') throw new Unsupported('Erf')
  return erfOf(value)
}

function layerNormalization({ node, inputs, net, attributes }: Context): OnnxValue {
  const value = networkInput(inputs, 0)
  const rank = value.dims.length + 1
  const layerShape = net.shapeOf(value.layer)
  const overChannels = value.flattened === undefined && value.axes.at(-1) === layerShape.length - 1
  if (axisOf(attributes.int('axis', -1), rank) !== rank - 1 || !overChannels)
    throw new Unsupported('LayerNormalization over something else than the channels')
  const channels = layerShape.at(-1) ?? 0
  const scale = vectorInput(inputs[1], channels, 'scale')
  const bias = optionalVector(inputs[2], channels, 'bias')
  const zeros = { shape: [channels], read: async () => new Float32Array(channels) }
  const epsilon = decimal(attributes.float('epsilon', 1e-5))
  if (!(epsilon >= 0)) throw new Error('its epsilon is out of range')
  const hint = scale.origin?.endsWith('.weight') ? scale.origin : nameOf(node)
  const parameters = { weight: sourceOf(scale, [channels]), bias: bias ? sourceOf(bias, [channels]) : zeros }
  return { ...value, layer: net.layer('layerNorm', { epsilon }, [value.layer], hint, parameters) }
}

/** Some channels. */
function slice({ node, inputs, net, attributes }: Context): OnnxValue {
  const value = networkInput(inputs, 0)
  const bound = (at: number, name: string) =>
    net.opset < 10 ? attributes.ints(name) : inputs[at] && numbersOf(constantInput(inputs[at], name), name)
  const [starts, ends] = [bound(1, 'starts'), bound(2, 'ends')]
  const axes = bound(3, 'axes') ?? starts?.map((_, at) => at)
  const steps = net.opset < 10 ? undefined : bound(4, 'steps')
  if (starts?.length !== 1 || ends?.length !== 1 || axes?.length !== 1) throw new Unsupported('Slice of several axes')
  const axis = axisOf(axes[0] ?? 0, value.dims.length + 1) - 1
  const size = value.dims[axis] ?? 0
  const isChannels = value.flattened === undefined && value.axes[axis] === net.shapeOf(value.layer).length - 1
  if (!isChannels || (steps?.[0] ?? 1) !== 1) throw new Unsupported('Slice of something else than channels')
  const place = (at: number) => Math.min(size, Math.max(0, at < 0 ? at + size : at))
  const [from, end] = [place(starts[0] ?? 0), place(ends[0] ?? 0)]
  if (end <= from) throw new Error(`it leaves no channels (${from} to ${end})`)
  if (end - from === size) return value
  const layer = net.layer('slice', { from, channels: end - from }, [value.layer], nameOf(node))
  return networkValue(
    layer,
    value.dims.map((each, at) => (at === axis ? end - from : each)),
    value.axes,
  )
}

/** The first token. */
function gather({ node, inputs, net, attributes }: Context): OnnxValue {
  const value = networkInput(inputs, 0)
  const indices = constantInput(inputs[1], 'indices')
  const shape = net.shapeOf(value.layer)
  const isFirst = indices.dims.length === 0 && indices.few?.[0] === 0
  const ofTokens = axisOf(attributes.int('axis', 0), value.dims.length + 1) === 1 && shape.length === 2
  if (!isFirst || !ofTokens || value.dims.join() !== shape.join()) throw new Unsupported('Gather')
  const layer = net.layer('firstToken', {}, [value.layer], nameOf(node))
  return networkValue(layer, net.shapeOf(layer), [0])
}

/** The same numbers for every picture, which they are anyway. */
function expand({ inputs }: Context): OnnxValue {
  const value = constantInput(inputs[0], 'input')
  const wanted = numbersOf(constantInput(inputs[1], 'shape'), 'shape')
  const same = value.dims.slice(1).join() === wanted.slice(1).join()
  if (!same || value.dims.length !== wanted.length || value.dims[0] !== 1)
    throw new Unsupported('Expand over more than the pictures')
  return value
}

function reduceMax({ node, inputs, net, attributes }: Context): OnnxValue {
  const [value] = inputs
  if (value?.kind !== 'pending') throw new Unsupported('ReduceMax')
  const given =
    net.opset < 18 ? attributes.ints('axes') : inputs[1] && numbersOf(constantInput(inputs[1], 'axes'), 'axes')
  const [axis, more] = given ?? []
  if (axis === undefined || more !== undefined) throw new Unsupported('ReduceMax over several axes')
  const reduced = {
    axis: axisOf(axis, value.dims.length + 1) - 1,
    keeps: attributes.int('keepdims', 1) !== 0,
  }
  return largestOf(value, reduced, net, nameOf(node))
}

function concat(context: Context): OnnxValue {
  const { node, inputs, net, attributes } = context
  const [ahead, tokens] = inputs
  if (ahead?.kind === 'constant' && tokens !== undefined && tokens.kind !== 'constant')
    return classToken(context, ahead, tokens)
  const values = inputs.map((_, at) => networkInput(inputs, at))
  const [first] = values
  if (first === undefined) throw new Error('it has too few inputs')
  const axis = axisOf(attributes.int('axis', 1), first.dims.length + 1) - 1
  const overChannels = values.every(
    (value) =>
      value.flattened === undefined &&
      value.axes.join() === first.axes.join() &&
      value.axes[axis] === net.shapeOf(value.layer).length - 1,
  )
  if (!overChannels) throw new Unsupported('Concat over something else than channels')
  const sources = values.map(({ layer }) => layer)
  const layer = net.layer('concat', {}, sources, nameOf(node))
  const total = values.reduce((sum, value) => sum + (value.dims[axis] ?? 0), 0)
  return networkValue(
    layer,
    first.dims.map((size, at) => (at === axis ? total : size)),
    first.axes,
  )
}

/** A token that is the same for all pictures, in front of their pixels. */
function classToken(
  { node, inputs, net, attributes }: Context,
  token: ConstantValue,
  value: NetworkValue | PendingValue,
): OnnxValue {
  const layer = tokensOf(checkedValue(value), net)
  const [, channels = 0] = value.dims
  const fits = token.dims.join() === [1, 1, channels].join() && inputs.length === 2
  if (layer === undefined || !fits || axisOf(attributes.int('axis', 1), 3) !== 1)
    throw new Unsupported('Concat with a constant')
  const whole = net.layer('classToken', {}, [layer], nameOf(node), { '': sourceOf(token, [1, 1, channels]) })
  return networkValue(whole, net.shapeOf(whole), [0, 1])
}

function clip(context: Context): OnnxValue {
  const { inputs, net, attributes } = context
  const bound = (at: number, name: string, otherwise: number) => {
    if (net.opset < 11) return attributes.float(name, otherwise)
    const given = inputs[at]
    return given === undefined ? otherwise : (numbersOf(constantInput(given, name), name)[0] ?? otherwise)
  }
  const lowest = bound(1, 'min', Number.NEGATIVE_INFINITY)
  const highest = bound(2, 'max', Number.POSITIVE_INFINITY)
  if (lowest === 0 && highest === 6) return activation(context, { kind: 'relu6' })
  if (lowest === -1 && highest === 1) return activation(context, { kind: 'hard-tanh' })
  if (lowest === 0 && highest >= 3.4e38) return activation(context, { kind: 'relu' })
  throw new Unsupported(`Clip from ${decimal(lowest)} to ${decimal(highest)}`)
}

function add({ node, inputs, net }: Context): OnnxValue {
  const [a, b] = inputs
  if (a === undefined || b === undefined) throw new Error('it has too few inputs, two are expected')
  if (a.kind === 'network' && b.kind === 'network') {
    return sumOf(networkInput(inputs, 0), networkInput(inputs, 1), net, nameOf(node))
  }
  const at = a.kind === 'constant' ? 1 : 0
  const bias = constantInput(inputs[1 - at], 'constant')
  const given = inputs[at]
  if (given?.kind === 'pending') {
    if (onlyNumber(bias) !== 1) throw new Unsupported(given.said)
    return plusOne(given)
  }
  const value = networkInput(inputs, at)
  const layerShape = net.shapeOf(value.layer)
  if (layerShape.length === 2 && value.dims.join() === layerShape.join() && isImageOf(bias.dims, layerShape)) {
    const weight = sourceOf(bias, [1, ...layerShape])
    return { ...value, layer: net.layer('positions', {}, [value.layer], nameOf(node), { '': weight }) }
  }
  const before = net.soleReadLayer(node.inputs[at], 'linear', 'conv2d', 'depthwiseConv2d')
  const channels = net.shapeOf(value.layer).at(-1) ?? 0
  if (before === undefined || before.attrs.bias === true || !isPerChannel(bias, value, net)) {
    throw new Unsupported('Add of a constant that is no bias')
  }
  before.attrs = { ...before.attrs, bias: true }
  net.setParameters(before.name, { bias: sourceOf(bias, [channels]) })
  return value
}

function sumOf(left: NetworkValue, right: NetworkValue, net: Translation, hint: string): OnnxValue {
  if (!isSameView(left, right) || !shapesEqual(net.shapeOf(left.layer), net.shapeOf(right.layer)))
    throw new Unsupported(`Add of different shapes (${formatShape(left.dims)} and ${formatShape(right.dims)})`)
  return { ...left, layer: net.layer('add', {}, [left.layer, right.layer], hint) }
}

/** Scaled by -1, channel by channel. */
function negated(value: NetworkValue, net: Translation, hint: string): NetworkValue {
  const channels = net.shapeOf(value.layer).at(-1) ?? 0
  const weight = { shape: [channels], read: async () => new Float32Array(channels).fill(-1) }
  return { ...value, layer: net.layer('layerScale', { initial: -1 }, [value.layer], hint, { '': weight }) }
}

/** The sum with the negative; or a picture less one that is always the same, as a mean of pictures is. */
function subtract({ node, inputs, net }: Context): OnnxValue {
  const value = networkInput(inputs, 0)
  if (inputs[1]?.kind === 'network')
    return sumOf(value, negated(networkInput(inputs, 1), net, `${nameOf(node)}.negative`), net, nameOf(node))
  const image = constantInput(inputs[1], 'second input')
  const [height = 0, width = 0, channels = 0] = net.shapeOf(value.layer)
  const shape = [channels, height, width]
  const dims = image.dims[0] === 1 && image.dims.length === 4 ? image.dims.slice(1) : image.dims
  if (!isPicture(value, net.shapeOf(value.layer)) || dims.join() !== shape.join())
    throw new Unsupported(`Sub of a constant of shape ${formatShape(image.dims)}`)
  const layer = net.layer('meanImage', {}, [value.layer], nameOf(node), { mean: sourceOf(image, shape) })
  return { ...value, layer }
}

/** Whether a constant has a number for each channel of a value, and is the same for all pixels. */
function isPerChannel(constant: ConstantValue, value: NetworkValue, net: Translation): boolean {
  const channelAxis = net.shapeOf(value.layer).length - 1
  const full = [1, ...value.dims]
  const dims = [...full.slice(0, full.length - constant.dims.length).fill(1), ...constant.dims]
  return (
    value.flattened === undefined &&
    dims.length === full.length &&
    dims.every((size, at) => size === (at > 0 && value.axes[at - 1] === channelAxis ? full[at] : 1))
  )
}

function maxPool({ node, inputs, net, attributes }: Context): OnnxValue {
  const value = networkInput(inputs, 0)
  if (attributes.int('storage_order', 0) !== 0) throw new Unsupported('MaxPool with storage_order')
  const window = windowOf({ net, attributes }, value, kernelOf(attributes))
  return picture(net, net.layer('maxPool', window, [value.layer], nameOf(node)))
}

function averagePool({ node, inputs, net, attributes }: Context): OnnxValue {
  const value = networkInput(inputs, 0)
  const kernel = kernelOf(attributes)
  const window = windowOf({ net, attributes }, value, kernel)
  if (window.dilation !== undefined) throw new Unsupported('AveragePool with dilations')
  const [height, width] = net.shapeOf(value.layer)
  const padded =
    window.padding === 'same' ? window.stride.some((step) => step > 1) : window.padding.some((size) => size > 0)
  if (kernel[0] === height && kernel[1] === width && !padded) return pooled(net, value, nameOf(node))
  const countIncludePad = attributes.int('count_include_pad', 0) !== 0
  return picture(net, net.layer('averagePool', { ...window, countIncludePad }, [value.layer], nameOf(node)))
}

function globalAveragePool({ node, inputs, net }: Context): OnnxValue {
  const value = networkInput(inputs, 0)
  if (isVector(value, net.shapeOf(value.layer))) return value
  if (!isPicture(value, net.shapeOf(value.layer)))
    throw new Unsupported('GlobalAveragePool of something else than pictures')
  return pooled(net, value, nameOf(node))
}

/** The mean over all pixels: [C, 1, 1]. */
function pooled(net: Translation, value: NetworkValue, hint: string): NetworkValue {
  const layer = net.layer('globalAveragePool', {}, [value.layer], hint)
  return networkValue(layer, [net.shapeOf(layer)[0] ?? 0, 1, 1], [0, -1, -1])
}

function reduceMean({ node, inputs, net, attributes }: Context): OnnxValue {
  const value = networkInput(inputs, 0)
  const rank = value.dims.length + 1
  const given =
    net.opset < 18 ? attributes.ints('axes') : inputs[1] && numbersOf(constantInput(inputs[1], 'axes'), 'axes')
  const axes = new Set(given?.map((axis) => axisOf(axis, rank)) ?? [])
  const layerShape = net.shapeOf(value.layer)
  const ofPixels = value.axes.map((axis, at) => (axis === -1 ? axes.has(at + 1) : axis !== layerShape.length - 1))
  const pixels = layerShape.length === 3 && value.flattened === undefined && value.dims.length === 3
  if (!pixels || axes.has(0) || ofPixels.some((pixel, at) => pixel !== axes.has(at + 1)) || axes.size !== 2) {
    throw new Unsupported('ReduceMean over something else than the pixels')
  }
  const layer = net.layer('globalAveragePool', {}, [value.layer], nameOf(node))
  const channels = layerShape.at(-1) ?? 0
  if (attributes.int('keepdims', 1) === 0) return networkValue(layer, [channels], [0])
  const dims = value.dims.map((size, at) => (axes.has(at + 1) ? 1 : size))
  return networkValue(
    layer,
    dims,
    dims.map((_, at) => (axes.has(at + 1) ? -1 : 0)),
  )
}

/** Whether a constant has a number for each of a value, the same for all pictures. */
function isImageOf(dims: Shape, shape: Shape): boolean {
  return dims.join() === shape.join() || dims.join() === [1, ...shape].join()
}

function gemm({ node, inputs, net, attributes }: Context): OnnxValue {
  const value = networkInput(inputs, 0)
  const weight = constantInput(inputs[1], 'matrix')
  if (attributes.int('transA', 0) !== 0) throw new Unsupported('Gemm with transA')
  const [rows = 0, columns = 0] = weight.dims
  if (weight.dims.length !== 2) throw new Error(`its matrix has the shape ${formatShape(weight.dims)}`)
  const transposed = attributes.int('transB', 0) !== 0
  const alpha = attributes.float('alpha', 1)
  const beta = attributes.float('beta', 1)
  const [outFeatures, features] = transposed ? [rows, columns] : [columns, rows]
  if (value.dims.length !== 1 || value.dims[0] !== features) {
    throw new Error(`its matrix of ${features} rows does not fit the shape ${formatShape(value.dims)} (mismatch)`)
  }
  const given = inputs[2] === undefined || beta === 0 ? undefined : constantInput(inputs[2], 'bias')
  if (given !== undefined && !isRowOf(given.dims, outFeatures)) {
    throw new Error(`its bias of shape ${formatShape(given.dims)} does not fit ${outFeatures} outputs (mismatch)`)
  }
  const bias = given && { shape: [outFeatures], read: () => filled(given, outFeatures, beta) }
  const source = scaled(transposed ? weight : transposedMatrix(weight), alpha)
  return fullyConnected(net, value, { hint: weight.origin ?? nameOf(node), node, outFeatures, weight: source, bias })
}

function matMul({ node, inputs, net }: Context): OnnxValue {
  const [left, right] = inputs
  if (left?.kind === 'pending' && right?.kind === 'pending') return productOf(left, right, net, nameOf(node))
  const value = networkInput(inputs, 0)
  const weight = constantInput(inputs[1], 'matrix')
  const [features = 0, outFeatures = 0] = weight.dims
  if (weight.dims.length !== 2) throw new Unsupported(`MatMul with ${formatShape(weight.dims)}`)
  if (value.dims.at(-1) !== features) {
    throw new Error(`its matrix of ${features} rows does not fit the shape ${formatShape(value.dims)} (mismatch)`)
  }
  return fullyConnected(net, value, {
    hint: weight.origin ?? nameOf(node),
    node,
    outFeatures,
    weight: transposedMatrix(weight),
    bias: undefined,
  })
}

interface FullyConnected {
  readonly hint: string
  readonly node: OnnxNode
  readonly outFeatures: number
  /** [O, I] */
  readonly weight: ConstantValue
  readonly bias: ParameterSource | undefined
}

/** A linear layer over the last dimension; over a picture that was flattened, a convolution as large as the picture. */
function fullyConnected(net: Translation, value: NetworkValue, what: FullyConnected): OnnxValue {
  const { outFeatures, weight, bias } = what
  const hint = what.hint.endsWith('.weight') ? what.hint : nameOf(what.node)
  const withBias = bias === undefined ? {} : { bias }
  const options = { bias: bias !== undefined }
  const layerShape = net.shapeOf(value.layer)
  if (value.flattened !== undefined) {
    const { dims, axes } = value.flattened
    const [height = 1, width = 1, channels = 1] = layerShape
    if (layerShape.length !== 3 || dims.length !== 3 || value.dims.length !== 1)
      throw new Unsupported('a linear layer after Reshape')
    // Columns in the order in which the picture was flattened, to channels, rows, columns.
    const order = [2, 0, 1].map((axis) =>
      dims.findIndex((size, at) => axes[at] === axis || (size === 1 && layerShape[axis] === 1 && axes[at] === -1)),
    )
    const reordered = permutedConstant(reshapedConstant(weight, [outFeatures, ...dims]), [
      0,
      ...order.map((at) => at + 1),
    ])
    const layer = net.layer(
      'conv2d',
      { outChannels: outFeatures, kernel: [height, width], stride: [1, 1], padding: [0, 0, 0, 0], ...options },
      [value.layer],
      hint,
      { weight: sourceOf(reordered, [outFeatures, channels, height, width]), ...withBias },
    )
    return networkValue(layer, [outFeatures], [2])
  }
  const channelAxis = layerShape.length - 1
  const overChannels =
    value.axes.at(-1) === channelAxis &&
    value.axes.every((axis, at) => axis === -1 || axis === at + layerShape.length - value.dims.length)
  if (!isVector(value, layerShape) && !overChannels)
    throw new Unsupported('a linear layer over something else than the last dimension')
  const attrs = { outFeatures, ...options }
  const layer = net.layer('linear', attrs, [value.layer], hint, { weight: sourceOf(weight, weight.dims), ...withBias })
  return networkValue(layer, [...value.dims.slice(0, -1), outFeatures], [...value.axes.slice(0, -1), channelAxis])
}

function softmax({ inputs, net, attributes }: Context, kind: 'softmax' | 'log-softmax'): OnnxValue {
  const [given] = inputs
  if (given?.kind === 'pending' && kind === 'softmax' && net.opset >= 13)
    return sharesOf(given, axisOf(attributes.int('axis', -1), given.dims.length + 1) - 1)
  const value = networkInput(inputs, 0)
  const axis = axisOf(attributes.int('axis', net.opset < 13 ? 1 : -1), value.dims.length + 1)
  const over = net.opset < 13 ? value.dims.slice(axis - 1) : [value.dims[axis - 1] ?? 0]
  if (axis === 0 || !isVector(value, net.shapeOf(value.layer)) || elementCount(over) !== elementCount(value.dims)) {
    throw new Unsupported('Softmax over something else than the classes')
  }
  return { ...value, softmax: kind }
}

/** A network value among the inputs. @throws Unsupported for a constant, and for what comes after a softmax */
function networkInput(inputs: readonly (OnnxValue | undefined)[], at: number): NetworkValue {
  const value = inputs[at]
  if (value === undefined) throw new Error('it has too few inputs')
  if (value.kind === 'constant') throw new Error(`its input ${at + 1} is a constant, where the picture is expected`)
  if (value.kind === 'pending') throw new Unsupported(value.said)
  return checkedValue(value)
}

function checkedValue<V extends NetworkValue | PendingValue>(value: V): V {
  if (value.kind === 'network' && value.softmax !== undefined) throw new Unsupported('an operator after Softmax')
  return value
}

function constantInput(value: OnnxValue | undefined, what: string): ConstantValue {
  if (value === undefined) throw new Error(`its ${what} is missing: it has too few inputs`)
  if (value.kind !== 'constant') throw new Unsupported(`a ${what} that depends on the picture`)
  return value
}

function vectorInput(value: OnnxValue | undefined, size: number, what: string): ConstantValue {
  const vector = constantInput(value, what)
  if (vector.dims.length === 1 && vector.dims[0] === size) return vector
  throw new Error(`its ${what} has the shape ${formatShape(vector.dims)}, [${size}] is expected (mismatch)`)
}

function optionalVector(value: OnnxValue | undefined, size: number, what: string): ConstantValue | undefined {
  return value === undefined ? undefined : vectorInput(value, size, what)
}

function axisOf(axis: number, rank: number): number {
  if (axis >= -rank && axis < rank) return axis < 0 ? axis + rank : axis
  throw new Error(`its axis ${axis} is out of range for ${rank} dimensions`)
}

function kernelOf(attributes: Attributes): Pair {
  const kernel = attributes.ints('kernel_shape')
  if (kernel === undefined) throw new Error('its kernel_shape is missing')
  return pairOf(kernel, 'kernel_shape')
}

function pairOf(values: readonly number[], what: string): Pair {
  const [height, width] = values
  if (values.length !== 2) throw new Unsupported(`${what} of ${values.length} dimensions`)
  if (
    height === undefined ||
    width === undefined ||
    height < 1 ||
    width < 1 ||
    height > maxWindow ||
    width > maxWindow
  ) {
    throw new Error(`its ${what} [${values.join(', ')}] is not a pair of sizes from 1 to ${maxWindow}`)
  }
  return [height, width]
}

const maxWindow = 4096

/** Kernel, stride, padding and dilation of a node over a picture. */
function windowOf({ net, attributes }: Pick<Context, 'net' | 'attributes'>, value: NetworkValue, kernel: Pair): Window {
  const layerShape = net.shapeOf(value.layer)
  if (!isPicture(value, layerShape)) throw new Unsupported('a window over something else than pictures')
  const stride = pairOf(attributes.ints('strides') ?? [1, 1], 'strides')
  const dilation = pairOf(attributes.ints('dilations') ?? [1, 1], 'dilations')
  return {
    kernel: pairOf(kernel, 'kernel'),
    stride,
    padding: paddingOf(attributes, kernel, stride, dilation, layerShape),
    ...(dilation.some((step) => step > 1) ? { dilation } : {}),
    ...(attributes.int('ceil_mode', 0) === 0 ? {} : { ceilMode: true }),
  }
}

function paddingOf(
  attributes: Attributes,
  kernel: Pair,
  stride: Pair,
  dilation: Pair,
  [height = 1, width = 1]: Shape,
): Padding {
  const auto = attributes.text('auto_pad', 'NOTSET')
  if (auto === 'SAME_UPPER') return 'same'
  if (auto === 'VALID') return [0, 0, 0, 0]
  if (auto === 'SAME_LOWER') {
    // As 'same', with the odd row and column at the top and left.
    const needed = ([size, at]: readonly [number, 0 | 1]) =>
      Math.max(0, (Math.ceil(size / stride[at]) - 1) * stride[at] + (kernel[at] - 1) * dilation[at] + 1 - size)
    const [rows, columns] = [needed([height, 0]), needed([width, 1])]
    return [Math.ceil(rows / 2), Math.ceil(columns / 2), Math.floor(rows / 2), Math.floor(columns / 2)]
  }
  if (auto !== 'NOTSET') throw new Error(`its auto_pad '${auto.slice(0, 40)}' is unknown`)
  const pads = attributes.ints('pads') ?? [0, 0, 0, 0]
  const [top, left, bottom, right] = pads
  if (top === undefined || left === undefined || bottom === undefined || right === undefined || pads.length !== 4) {
    throw new Error(`its pads [${pads.slice(0, 8).join(', ')}] are not four numbers`)
  }
  if (pads.some((pad) => pad < 0)) throw new Unsupported('negative pads')
  if (pads.some((pad) => pad > maxWindow))
    throw new Error(`its pads [${pads.join(', ')}] are too large, at most ${maxWindow} are allowed`)
  return [top, left, bottom, right]
}

/** The picture that a layer gives, channels first as ONNX has it. */
function picture(net: Translation, layer: string): NetworkValue {
  const [height = 1, width = 1, channels = 1] = net.shapeOf(layer)
  return networkValue(layer, [channels, height, width], [2, 0, 1])
}

/** A constant as the values of a parameter, whose shape may leave out dimensions of size 1. */
function sourceOf(value: ConstantValue, shape: Shape): ParameterSource {
  if (elementCount(shape) !== elementCount(value.dims)) {
    throw new Error(`the shape ${formatShape(value.dims)} does not fit ${formatShape(shape)} (mismatch)`)
  }
  return { shape, read: () => value.read() }
}

function transposedMatrix(value: ConstantValue): ConstantValue {
  return permutedConstant(value, [1, 0])
}

function scaled(value: ConstantValue, factor: number): ConstantValue {
  if (factor === 1) return value
  return { ...value, few: undefined, read: async () => (await value.read()).map((number) => number * factor) }
}

function isRowOf(dims: Shape, size: number): boolean {
  const count = elementCount(dims)
  return (count === 1 || (count === size && dims.at(-1) === size)) && dims.length <= 2
}

/** One number for all, or one for each, times a factor. */
async function filled(value: ConstantValue, size: number, factor: number): Promise<Float32Array> {
  const values = await value.read()
  return Float32Array.from({ length: size }, (_, at) => (values[values.length === 1 ? 0 : at] ?? 0) * factor)
}

function nameOf(node: OnnxNode): string {
  return node.name === '' ? (node.outputs[0] ?? '') : node.name
}
