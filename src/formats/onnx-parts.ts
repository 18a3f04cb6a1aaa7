// The nodes and constants of an ONNX graph while a network is written.
import type { HostTensor } from '../tensor/host-tensor.ts'
import type { Shape } from '../tensor/shape.ts'
import { permutedNumbers } from './permuted-numbers.ts'

export type OnnxAttribute = number | { readonly float: number } | readonly number[]

export interface OutgoingNode {
  readonly op: string
  readonly name: string
  readonly inputs: readonly string[]
  readonly output: string
  readonly attributes: Readonly<Record<string, OnnxAttribute>>
}

/** A constant that nodes read: floats, or whole numbers, which say shapes and places. */
export type OutgoingConstant =
  | { readonly kind: 'floats'; readonly shape: Shape; readonly values: () => Float32Array }
  | { readonly kind: 'integers'; readonly shape: Shape; readonly values: readonly number[] }

export class OnnxParts {
  readonly nodes: OutgoingNode[] = []
  readonly constants = new Map<string, OutgoingConstant>()
  private readonly tensors: ReadonlyMap<string, HostTensor>

  /** @param tensors  the network's parameters, in file layout */
  constructor(tensors: ReadonlyMap<string, HostTensor>) {
    this.tensors = tensors
  }

  /**
   * Adds a node.
   * @param name  its own, where it is another than that of what it gives
   * @returns the name of what it gives
   */
  node(
    op: string,
    inputs: readonly string[],
    output: string,
    attributes: OutgoingNode['attributes'] = {},
    name = output,
  ): string {
    this.nodes.push({ op, name, inputs, output, attributes })
    return output
  }

  /**
   * A parameter as a constant.
   * @param as  its name there, its axes in another order, and its shape after that
   */
  parameter(
    name: string,
    as: { readonly name?: string; readonly order?: readonly number[]; readonly shape?: Shape } = {},
  ): string {
    const tensor = this.tensors.get(name)
    if (tensor === undefined) throw new Error(`${name} has no values`)
    const { shape, data } = tensor
    const { order } = as
    const called = as.name ?? name
    this.constants.set(called, {
      kind: 'floats',
      shape: as.shape ?? (order ? order.map((axis) => shape[axis] ?? 1) : shape),
      values: order ? () => permutedNumbers(shape, data, order) : () => data,
    })
    return called
  }

  shapeOf(parameter: string): Shape {
    return this.tensors.get(parameter)?.shape ?? []
  }

  /** A single number. */
  number(value: number): string {
    const name = `regraft.number.${value}`
    this.constants.set(name, { kind: 'floats', shape: [], values: () => Float32Array.of(value) })
    return name
  }

  /** A list of whole numbers. */
  integers(...values: readonly number[]): string {
    const name = `regraft.integers.${values.join('_')}`
    this.constants.set(name, { kind: 'integers', shape: [values.length], values })
    return name
  }

  /** A whole number that is no list. */
  integer(value: number): string {
    const name = `regraft.integer.${value}`
    this.constants.set(name, { kind: 'integers', shape: [], values: [value] })
    return name
  }
}
