// What the names in an ONNX graph stand for while it is translated: constants, and values of the network.
import { type DType, toFloat32 } from '../tensor/dtype.ts'
import { elementCount, formatShape, type Shape } from '../tensor/shape.ts'
import type { StoredTensor } from './stored-tensors.ts'

export type OnnxValue = ConstantValue | NetworkValue | PendingValue

/** A value that does not depend on the picture. */
export interface ConstantValue {
  readonly kind: 'constant'
  readonly dims: Shape
  /** Its numbers where they are few; NaN stands for the size of the batch, which is not known. */
  readonly few: readonly number[] | undefined
  /** All of them, in the order of `dims`. */
  read(): Promise<Float32Array>
  /** Name of the initialiser that it comes from, for naming layers. */
  readonly origin: string | undefined
}

/**
 * What a layer gives, as the ONNX graph sees it. Pictures lie channels last with us and channels first there; `axes` says
 * for each dimension which axis of the layer's shape it is, -1 for one of size 1 that the layer does not have.
 */
export interface NetworkValue {
  readonly kind: 'network'
  readonly layer: string
  /** Without the batch. */
  readonly dims: Shape
  readonly axes: readonly number[]
  /** Set where `dims` is one dimension made of several: what it was before. */
  readonly flattened?: { readonly dims: Shape; readonly axes: readonly number[] }
  /** To be applied by whoever reads it: it is no part of the network here. */
  readonly softmax?: 'softmax' | 'log-softmax'
}

/** What an operator gives that is a layer only together with others; read by nothing but these. */
export interface PendingValue {
  readonly kind: 'pending'
  /** Without the batch. */
  readonly dims: Shape
  readonly part: Split | Scores | Curve
  /** The operator, for when nothing completes it. */
  readonly said: string
}

/** Channels in two dimensions, or rows and columns in one. */
export interface Split {
  readonly kind: 'split'
  readonly layer: string
  /** For each of `dims` what it is of the layer's shape. */
  readonly places: readonly Place[]
  readonly factor: number
}

/** An axis of the layer's shape, rows and columns together, or the outer or the inner of two dimensions that make the channels. */
export type Place = number | 'pixels' | 'outer' | 'inner'

/** Queries times keys in each head. */
export interface Scores {
  readonly kind: 'scores'
  readonly queries: string
  readonly keys: string
  /** Channels of a head. */
  readonly size: number
  readonly factor: number
  readonly shares: boolean
}

/** On the way from x to x·(1 + erf(x/sqrt(2)))/2. */
export interface Curve {
  readonly kind: 'curve'
  readonly of: NetworkValue
  readonly step: 'scaled' | 'erf' | 'raised' | 'doubled'
}

/** Constants up to this many numbers are read at once, to compute shapes with. */
export const fewNumbers = 4096

export function constantOf(dims: Shape, few: readonly number[], origin?: string): ConstantValue {
  return { kind: 'constant', dims, few, origin, read: async () => Float32Array.from(few) }
}

/** A stored tensor as a constant; its numbers are read at once when they are few. */
export async function constantOfTensor({ name, dtype, shape, readBytes }: StoredTensor): Promise<ConstantValue> {
  const read = async () => toFloat32(await readBytes(), dtype)
  const few = elementCount(shape) <= fewNumbers ? exactNumbers(await readBytes(), dtype) : undefined
  return { kind: 'constant', dims: shape, few, read, origin: name === '' ? undefined : name }
}

/** As numbers of 64 bits, since shapes may be beyond what 32-bit floats hold exactly. */
function exactNumbers(bytes: Uint8Array, dtype: DType): readonly number[] {
  const copy = new Uint8Array(bytes).buffer
  if (dtype === 'I64') return Array.from(new BigInt64Array(copy), Number)
  if (dtype === 'I32') return [...new Int32Array(copy)]
  if (dtype === 'F64') return [...new Float64Array(copy)]
  return [...toFloat32(bytes, dtype)]
}

/** The same numbers under another shape of as many. */
export function reshapedConstant(value: ConstantValue, dims: Shape): ConstantValue {
  if (elementCount(dims) !== elementCount(value.dims)) {
    throw new Error(`${formatShape(value.dims)} cannot take the shape ${formatShape(dims)}`)
  }
  return { ...value, dims }
}

/** Whether a value is a picture in our order: its layer has [height, width, channels]. */
export function isPicture({ dims, axes, flattened }: NetworkValue, layerShape: Shape): boolean {
  const expected = [2, 0, 1]
  return (
    flattened === undefined &&
    layerShape.length === 3 &&
    dims.length === 3 &&
    axes.every((axis, at) => axis === -1 || axis === expected[at])
  )
}

/** Whether a value is one number per channel, whatever dimensions of size 1 are around it. */
export function isVector({ dims, flattened }: NetworkValue, layerShape: Shape): boolean {
  return (
    flattened === undefined &&
    dims.filter((size) => size !== 1).length <= 1 &&
    elementCount(layerShape) === (layerShape.at(-1) ?? 1)
  )
}

/** Whether two values show what their layers give in the same order. */
export function isSameView(a: NetworkValue, b: NetworkValue): boolean {
  const same = (x: readonly number[] | undefined, y: readonly number[] | undefined) => x?.join() === y?.join()
  const flattened = same(a.flattened?.dims, b.flattened?.dims) && same(a.flattened?.axes, b.flattened?.axes)
  return same(a.dims, b.dims) && same(a.axes, b.axes) && flattened
}

/** A value over a layer; dimensions of size 1 need no axis. */
export function networkValue(layer: string, dims: Shape, axes: readonly number[]): NetworkValue {
  return { kind: 'network', layer, dims, axes: axes.map((axis, at) => (dims[at] === 1 ? -1 : axis)) }
}

/** The same value with dimensions of size 1 put in, left out or joined; undefined when its numbers would change places. */
export function reshapedValue(value: NetworkValue, dims: Shape): NetworkValue | undefined {
  const from = value.flattened ?? value
  const kept = from.dims.flatMap((size, at) => (size === 1 ? [] : [{ size, axis: from.axes[at] ?? -1 }]))
  const wanted = dims.filter((size) => size !== 1)
  const { flattened: _, ...rest } = value
  if (wanted.length === kept.length && wanted.every((size, at) => size === kept[at]?.size)) {
    let next = 0
    return { ...rest, dims, axes: dims.map((size) => (size === 1 ? -1 : (kept[next++]?.axis ?? -1))) }
  }
  const [only] = wanted
  if (wanted.length > 1 || only !== elementCount(from.dims)) return undefined
  return { ...rest, dims, axes: dims.map(() => -1), flattened: { dims: from.dims, axes: from.axes } }
}
