// What several operators of ONNX give before they are complete: together they are one layer here.
import { elementCount, formatShape, type Shape, shapesEqual } from '../tensor/shape.ts'
import { Unsupported } from './network-draft.ts'
import type { Translation } from './onnx-translation.ts'
import {
  type ConstantValue,
  type Curve,
  isSameView,
  type NetworkValue,
  networkValue,
  type PendingValue,
  type Place,
  type Split,
} from './onnx-values.ts'

const near = (a: number, b: number) => Math.abs(a - b) <= 1e-5 * Math.abs(b)

/** A value that Reshape spreads over more dimensions, or over fewer; undefined when there is no layer that would want it so. */
export function splitValue(value: NetworkValue, dims: Shape, layerShape: Shape): PendingValue | undefined {
  if (value.flattened !== undefined || value.softmax !== undefined) return undefined
  const said = `Reshape of ${formatShape(value.dims)} to ${formatShape(dims)}`
  const channelAxis = layerShape.length - 1
  const split = (places: readonly Place[]): PendingValue => {
    return { kind: 'pending', dims, part: { kind: 'split', layer: value.layer, places, factor: 1 }, said }
  }
  const at = value.axes.indexOf(channelAxis)
  const after = value.dims.length - at - 1
  if (at < 0) return undefined
  const pixels = layerShape.length === 3 && value.dims.length === 3 && dims.length === 2
  if (pixels) {
    const count = elementCount(layerShape.slice(0, -1))
    const channels = layerShape.at(-1) ?? 0
    const inOrder = value.axes
      .filter((axis) => axis !== channelAxis)
      .every((axis, index) => axis === -1 || axis === index)
    if (inOrder && at === 0 && shapesEqual(dims, [channels, count])) return split([channelAxis, 'pixels'])
    if (inOrder && at === 2 && shapesEqual(dims, [count, channels])) return split(['pixels', channelAxis])
    return undefined
  }
  const kept =
    shapesEqual(dims.slice(0, at), value.dims.slice(0, at)) &&
    tail(dims, after).join() === tail(value.dims, after).join()
  if (!kept || dims.length !== value.dims.length + 1) return undefined
  return split([...value.axes.slice(0, at), 'outer', 'inner', ...tail(value.axes, after)])
}

function tail<T>(values: readonly T[], count: number): readonly T[] {
  return values.slice(values.length - count)
}

/** The same with its dimensions in another order. */
export function transposedPending(value: PendingValue, order: readonly number[]): PendingValue {
  const { part, dims } = value
  if (part.kind !== 'split') throw new Unsupported(value.said)
  const places = order.map((at) => part.places[at] ?? 0)
  return { ...value, dims: order.map((at) => dims[at] ?? 1), part: { ...part, places } }
}

/** Channels that are one dimension again: as they were, or shuffled. */
export function rejoined(value: PendingValue, dims: Shape, net: Translation, hint: string): NetworkValue {
  const { part } = value
  if (part.kind !== 'split' || part.factor !== 1) throw new Unsupported(value.said)
  const { places, layer } = part
  const [outer, inner] = [places.indexOf('outer'), places.indexOf('inner')]
  const first = Math.min(outer, inner)
  const adjacent = outer >= 0 && Math.abs(outer - inner) === 1
  const groups = value.dims[outer] ?? 1
  const joined = [
    ...value.dims.slice(0, first),
    (value.dims[first] ?? 1) * (value.dims[first + 1] ?? 1),
    ...value.dims.slice(first + 2),
  ]
  if (!adjacent || !shapesEqual(joined, dims)) throw new Unsupported(value.said)
  const channelAxis = net.shapeOf(layer).length - 1
  const axes = [...places.slice(0, first), channelAxis, ...places.slice(first + 2)].map(axisOf)
  const shuffled = outer < inner ? layer : net.layer('channelShuffle', { groups }, [layer], hint)
  return networkValue(shuffled, dims, axes)
}

function axisOf(place: Place): number {
  return typeof place === 'number' ? place : -1
}

/** The largest of the channels that are neighbours, as the inner of two dimensions. */
export function largestOf(
  value: PendingValue,
  reduced: { readonly axis: number; readonly keeps: boolean },
  net: Translation,
  hint: string,
): NetworkValue {
  const { part, dims } = value
  if (part.kind !== 'split' || part.factor !== 1 || reduced.keeps) throw new Unsupported('ReduceMax')
  const { places, layer } = part
  if (places[reduced.axis] !== 'inner' || places[reduced.axis - 1] !== 'outer') throw new Unsupported('ReduceMax')
  const most = net.layer('maxout', { pieces: dims[reduced.axis] ?? 1 }, [layer], hint)
  const channelAxis = net.shapeOf(most).length - 1
  const without = <T>(values: readonly T[]) => values.filter((_, at) => at !== reduced.axis)
  const axes = without(places).map((place) => (place === 'outer' ? channelAxis : axisOf(place)))
  return networkValue(most, without(dims), axes)
}

/** The layer whose pixels are a row of tokens: [H·W, C]. */
export function tokensOf(value: PendingValue | NetworkValue, net: Translation): string | undefined {
  if (value.kind === 'pending') {
    const { part } = value
    return part.kind === 'split' && part.factor === 1 && part.places[0] === 'pixels' ? part.layer : undefined
  }
  // A picture of one pixel stays what it is.
  const shape = net.shapeOf(value.layer)
  const single = shape.length === 3 && elementCount(shape) === shape.at(-1)
  return single && value.flattened === undefined && shapesEqual(value.dims, [1, shape.at(-1) ?? 0])
    ? value.layer
    : undefined
}

/**
 * Times a number, or divided by one, which is said.
 * @throws Unsupported where that leads to no layer
 */
export function scaledPending(
  value: PendingValue | NetworkValue,
  { factor, said }: { readonly factor: number; readonly said: string },
  net: Translation,
  hint: string,
): PendingValue | NetworkValue {
  if (value.kind === 'network') {
    if (!near(factor, Math.SQRT1_2)) throw new Unsupported(said)
    return {
      kind: 'pending',
      dims: value.dims,
      part: { kind: 'curve', of: value, step: 'scaled' },
      said,
    }
  }
  const { part } = value
  if (part.kind === 'curve') {
    if (part.step !== 'doubled' || factor !== 0.5) throw new Unsupported(value.said)
    return { ...part.of, layer: net.layer('activation', { kind: 'gelu' }, [part.of.layer], hint) }
  }
  if (part.kind === 'scores' && part.shares) throw new Unsupported(value.said)
  return { ...value, part: { ...part, factor: part.factor * factor } }
}

export function erfOf(value: PendingValue): PendingValue {
  return nextStep(value, 'scaled', 'erf')
}

export function plusOne(value: PendingValue): PendingValue {
  return nextStep(value, 'erf', 'raised')
}

/** x times what is nearly its share in GELU. */
export function timesCurve(x: NetworkValue, value: PendingValue): PendingValue {
  const { part } = value
  const same = part.kind === 'curve' && part.of.layer === x.layer && isSameView(part.of, x)
  if (!same) throw new Unsupported(value.said)
  return nextStep(value, 'raised', 'doubled')
}

function nextStep(value: PendingValue, from: Curve['step'], to: Curve['step']): PendingValue {
  const { part } = value
  if (part.kind !== 'curve' || part.step !== from) throw new Unsupported(value.said)
  return { ...value, part: { ...part, step: to } }
}

/** Softmax over the keys. */
export function sharesOf(value: PendingValue, axis: number): PendingValue {
  const { part } = value
  if (part.kind !== 'scores' || part.shares || axis !== 2) throw new Unsupported(value.said)
  return { ...value, part: { ...part, shares: true } }
}

/** Products in each head: queries with keys, and their shares with values, which completes the attention. */
export function productOf(a: PendingValue, b: PendingValue, net: Translation, hint: string): PendingValue {
  const { part: right } = b
  const { part: left } = a
  if (right.kind !== 'split') throw new Unsupported('MatMul of two values')
  const [heads = 1] = b.dims
  if (left.kind === 'split') {
    const [, tokens = 0, size = 0] = a.dims
    const fits = inHeads(left, ['outer', 0, 'inner']) && inHeads(right, ['outer', 'inner', 0])
    if (!fits || a.dims[0] !== heads || b.dims[1] !== size) throw new Unsupported('MatMul of two values')
    const factor = left.factor * right.factor
    return {
      kind: 'pending',
      dims: [heads, tokens, b.dims[2] ?? 0],
      part: { kind: 'scores', queries: left.layer, keys: right.layer, size, factor, shares: false },
      said: 'MatMul of two values',
    }
  }
  if (left.kind !== 'scores' || !left.shares || !inHeads(right, ['outer', 0, 'inner']) || right.factor !== 1)
    throw new Unsupported('MatMul of two values')
  if (a.dims[0] !== heads || a.dims[2] !== b.dims[1] || b.dims[2] !== left.size)
    throw new Unsupported('MatMul of two values')
  if (!near(left.factor, 1 / Math.sqrt(left.size))) throw new Unsupported('attention of an unusual scale')
  const sources = [left.queries, left.keys, right.layer]
  const source = wholeOf(sources, net) ?? net.layer('concat', {}, sources, `${hint}.qkv`)
  const layer = net.layer('attention', { heads }, [source], hint)
  return { ...b, part: { ...right, layer } }
}

function inHeads(part: Split, places: readonly Place[]): boolean {
  return part.places.join() === places.join()
}

/** The layer that these are all the channels of, in order. */
function wholeOf(layers: readonly string[], net: Translation): string | undefined {
  const slices = layers.map((layer) => net.draftOf(layer, 'slice'))
  const [first] = slices
  const source = first?.inputs[0]
  if (first === undefined || source === undefined) return undefined
  const { channels } = first.attrs
  const inOrder = slices.every(
    (slice, at) =>
      slice?.inputs[0] === source && slice.attrs.channels === channels && slice.attrs.from === at * channels,
  )
  return inOrder && net.shapeOf(source).at(-1) === channels * layers.length ? source : undefined
}

/** A constant's only number. */
export function onlyNumber(value: ConstantValue): number | undefined {
  return elementCount(value.dims) === 1 ? value.few?.[0] : undefined
}
