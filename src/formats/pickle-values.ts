// What the pickles of PyTorch hold: plain data, tensors, and names of classes and functions that are never called.
import { inertName } from '../inert-text.ts'
import type { DType } from '../tensor/dtype.ts'
import type { Shape } from '../tensor/shape.ts'
import type { Meaning } from './pytorch-names.ts'

/** What a pickle holds. */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickleTuple
  | PickleList
  | PickleDict
  | PickleName
  | Opaque
  | PytorchStorage
  | PytorchTensor

export interface PickleTuple {
  readonly kind: 'tuple'
  readonly items: readonly PickleValue[]
}
export interface PickleList {
  readonly kind: 'list'
  readonly items: PickleValue[]
}
export interface PickleDict {
  readonly kind: 'dict'
  /** In the order of setting; a key may come twice, which is for the reader of the table to judge. */
  readonly entries: (readonly [PickleValue, PickleValue])[]
}
/** A class or function of Python that the pickle names. */
export interface PickleName {
  readonly kind: 'name'
  readonly name: string
  readonly meaning: Meaning
}
/** A harmless object beside the weights, such as a date, of which only the name of its class is kept. */
export interface Opaque {
  readonly kind: 'opaque'
  readonly name: string
}

/** Values in a row that tensors look at. */
export interface PytorchStorage {
  readonly kind: 'storage'
  /** Name of its record. */
  readonly key: string
  readonly dtype: DType
  /** Number of values of `dtype`. */
  readonly elements: number
}
/** A view of a storage; checked to lie inside it. Offset and strides count elements. */
export interface PytorchTensor {
  readonly kind: 'tensor'
  readonly storage: PytorchStorage
  readonly dtype: DType
  readonly offset: number
  readonly shape: Shape
  readonly strides: readonly number[]
}

/** Whether a value is of a kind. */
export function isKind<K extends Exclude<PickleValue, null | boolean | number | bigint | string | Uint8Array>['kind']>(
  value: PickleValue | undefined,
  kind: K,
): value is Extract<PickleValue, { kind: K }> {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === kind
}

/** A value in words, for messages. */
export function describe(value: PickleValue | undefined): string {
  if (value === undefined || value === null) return 'nothing (None)'
  if (value instanceof Uint8Array) return 'bytes'
  if (typeof value !== 'object') return `a ${typeof value === 'bigint' ? 'number' : typeof value}`
  if (value.kind === 'opaque') return `an object of ${inertName(value.name, 100)}`
  if (value.kind === 'name') return `the name ${inertName(value.name, 100)}`
  return `a ${value.kind}`
}
