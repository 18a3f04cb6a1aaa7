// Operators on values that do not depend on the picture: exporters compute shapes and bounds with them.
import { elementCount, type Shape } from '../tensor/shape.ts'
import type { Attributes } from './onnx-attributes.ts'
import { type ConstantValue, constantOf, fewNumbers } from './onnx-values.ts'
import { copyStrided, rowMajorStrides } from './strided.ts'

export interface Folding {
  readonly inputs: readonly (ConstantValue | undefined)[]
  readonly attributes: Attributes
  readonly opset: number
}

/** What a node gives when all that it reads is constant. All throw Error with a plain reason. */
export const foldings: ReadonlyMap<string, (folding: Folding) => ConstantValue> = new Map([
  ['Add', binary((a, b) => a + b)],
  ['Sub', binary((a, b) => a - b)],
  ['Mul', binary((a, b) => a * b)],
  ['Div', binary((a, b) => a / b)],
  ['Cast', cast],
  ['Concat', concat],
  ['Gather', gather],
  ['Slice', slice],
  ['Transpose', transpose],
  ['ConstantOfShape', constantOfShape],
])

/** The first input. */
function firstOf({ inputs }: Folding): ConstantValue {
  const [first] = inputs
  if (first === undefined) throw new Error('it has too few inputs')
  return first
}

/** The numbers of a constant that has only few. */
export function numbersOf(value: ConstantValue | undefined, what: string): readonly number[] {
  if (value === undefined) throw new Error(`its ${what} is missing: it has too few inputs`)
  if (value.few === undefined)
    throw new Error(`its ${what} has ${elementCount(value.dims)} numbers, more than the limit of ${fewNumbers}`)
  return value.few
}

function binary(compute: (a: number, b: number) => number): (folding: Folding) => ConstantValue {
  return ({ inputs: [a, b] }) => {
    const [left, right] = [numbersOf(a, 'first input'), numbersOf(b, 'second input')]
    if (a === undefined || b === undefined) throw new Error('it has too few inputs')
    if (left.length !== right.length && left.length !== 1 && right.length !== 1) {
      throw new Error('its inputs have different shapes')
    }
    const [dims, length] = left.length >= right.length ? [a.dims, left.length] : [b.dims, right.length]
    const at = (values: readonly number[], index: number) => values[values.length === 1 ? 0 : index] ?? Number.NaN
    return constantOf(
      dims,
      Array.from({ length }, (_, index) => compute(at(left, index), at(right, index))),
    )
  }
}

function cast(folding: Folding): ConstantValue {
  const value = firstOf(folding)
  const to = folding.attributes.int('to', 1)
  // To whole numbers: towards zero. All others hold what they are given, or round it as 32-bit floats do.
  const whole = [2, 3, 4, 5, 6, 7, 12, 13].includes(to)
  if (!whole || value.few === undefined) return value
  return constantOf(value.dims, value.few.map(Math.trunc), value.origin)
}

function concat({ inputs, attributes }: Folding): ConstantValue {
  if (inputs.some((input) => input !== undefined && input.dims.length > 1) || attributes.int('axis', 0) > 0) {
    throw new Error('only lists of numbers are joined')
  }
  const all = inputs.flatMap((input) => numbersOf(input, 'input'))
  if (all.length > fewNumbers) throw new Error(`it gives ${all.length} numbers, more than the limit of ${fewNumbers}`)
  return constantOf([all.length], all)
}

function gather({ inputs: [data, indices], attributes }: Folding): ConstantValue {
  const values = numbersOf(data, 'data')
  const wanted = numbersOf(indices, 'indices')
  if (data?.dims.length !== 1 || attributes.int('axis', 0) !== 0)
    throw new Error('it gathers from something else than a list')
  const picked = wanted.map((index) => {
    const value = values[index < 0 ? index + values.length : index]
    if (value === undefined) throw new Error(`its index ${index} is out of range`)
    return value
  })
  return constantOf(indices?.dims ?? [], picked)
}

function slice({ inputs, attributes, opset }: Folding): ConstantValue {
  const [data, starts, ends, axes, steps] = inputs
  const values = numbersOf(data, 'data')
  const bound = (input: ConstantValue | undefined, name: string) =>
    opset < 10 ? (attributes.ints(name) ?? []) : numbersOf(input, name)
  const [from = 0, to = 0] = [bound(starts, 'starts')[0], bound(ends, 'ends')[0]]
  const axis = axes === undefined ? 0 : (numbersOf(axes, 'axes')[0] ?? 0)
  const step = steps === undefined ? 1 : (numbersOf(steps, 'steps')[0] ?? 1)
  if (data?.dims.length !== 1 || (axis !== 0 && axis !== -1) || step !== 1)
    throw new Error('it slices something else than a list')
  const picked = values.slice(from, to)
  return constantOf([picked.length], picked)
}

function transpose(folding: Folding): ConstantValue {
  const value = firstOf(folding)
  return permutedConstant(value, permutationOf(folding.attributes.ints('perm'), value.dims.length))
}

/** The same numbers with their axes in another order. */
export function permutedConstant(value: ConstantValue, order: readonly number[]): ConstantValue {
  const dims: Shape = order.map((axis) => value.dims[axis] ?? 1)
  const strides = rowMajorStrides(value.dims)
  const view = { offset: 0, shape: dims, strides: order.map((axis) => strides[axis] ?? 1) }
  const read = async () => {
    const data = await value.read()
    const bytes = await copyStrided(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), 4, view)
    return new Float32Array(bytes.buffer)
  }
  // Few numbers serve shapes, which are lists.
  return { ...value, dims, few: order.length < 2 ? value.few : undefined, read }
}

/** The order of axes that Transpose gives; reversed when left out. @throws Error when it is none */
export function permutationOf(perm: readonly number[] | undefined, rank: number): readonly number[] {
  const order = perm ?? Array.from({ length: rank }, (_, axis) => rank - 1 - axis)
  const all = new Set(order)
  if (order.length !== rank || all.size !== rank || order.some((axis) => !(axis >= 0 && axis < rank))) {
    throw new Error(`its order of axes [${order.slice(0, 10).join(', ')}] is none of ${rank} dimensions`)
  }
  return order
}

function constantOfShape(folding: Folding): ConstantValue {
  const dims = numbersOf(firstOf(folding), 'shape')
  const count = dims.reduce((product, size) => product * size, 1)
  if (!(count >= 0 && count <= fewNumbers)) throw new Error(`it gives ${count} numbers, which is too large`)
  if (folding.attributes.has('value')) throw new Error('it gives numbers other than zero, which is not supported')
  return constantOf(dims, new Array<number>(count).fill(0))
}
