// Storages and tensors as PyTorch's pickles describe them, checked before anything is read or allocated.
import { inertName } from '../inert-text.ts'
import { bytesPerElement } from '../tensor/dtype.ts'
import { checkedElementCount, formatShape } from '../tensor/shape.ts'
import { describe, isKind, type PickleValue, type PytorchStorage, type PytorchTensor } from './pickle-values.ts'
import { extentOf } from './strided.ts'

// As for safetensors: NumPy stops at 64, no layer has more than 5.
const maxRank = 64

type Fail = (problem: string) => Error

/** A storage from its persistent id: ('storage', type, key, location, number of elements[, nothing]). */
export function storageFrom(id: PickleValue, fail: Fail): PytorchStorage {
  if (!isKind(id, 'tuple')) throw fail(`a persistent id is ${describe(id)}, not a tuple.`)
  const [word, type, key, , elements, view] = id.items
  if (word !== 'storage') throw fail('a persistent id is not that of a storage.')
  if (!isKind(type, 'name') || type.meaning.kind !== 'storage') {
    throw fail(`a storage has the type ${describe(type)}, which is no storage.`)
  }
  if (typeof key !== 'string') throw fail('a storage has a key that is not a text.')
  const shown = `the storage '${inertName(key, 100)}'`
  if (!isCount(elements)) throw fail(`${shown} has a size (number of elements) that is not an integer within range.`)
  if (view !== undefined && view !== null) throw fail(`${shown} is a view of another, which is not supported.`)
  const { dtype } = type.meaning
  if (!Number.isSafeInteger(elements * bytesPerElement(dtype))) throw fail(`${shown} has a size that is too large.`)
  return { kind: 'storage', key, dtype, elements }
}

/** A tensor from the arguments of `_rebuild_tensor`, `_v2` or `_v3`: storage, offset, size, stride, and what we need not. */
export function tensorFrom(args: readonly PickleValue[], version: 1 | 2 | 3, fail: Fail): PytorchTensor {
  const [storage, offset, size, stride, , , type] = args
  if (!isKind(storage, 'storage')) throw fail(`a tensor is made over ${describe(storage)}, not over a storage.`)
  if (!isCount(offset)) throw fail('the storage offset of a tensor is negative or not an integer.')
  const shape = counts(size, 'size', fail)
  const strides = counts(stride, 'stride', fail)
  if (shape.length !== strides.length) {
    throw fail(`a tensor has ${shape.length} sizes (dimensions) and ${strides.length} strides.`)
  }
  let { dtype } = storage
  if (version === 3) {
    if (!isKind(type, 'name') || type.meaning.kind !== 'element-type') throw fail('a tensor has no known element type.')
    dtype = type.meaning.dtype
  }
  const elements = checkedElementCount(shape)
  if (elements === undefined || !Number.isSafeInteger(elements * bytesPerElement(dtype))) {
    throw fail(`a tensor of the shape ${formatShape(shape)} is too large.`)
  }
  const { end } = extentOf({ offset, shape, strides })
  const available = Math.floor((storage.elements * bytesPerElement(storage.dtype)) / bytesPerElement(dtype))
  if (!(end <= available)) {
    throw fail(
      `a tensor of shape ${formatShape(shape)}, strides ${formatShape(strides)} and offset ${offset} reaches beyond its storage of ${available} elements.`,
    )
  }
  return { kind: 'tensor', storage, dtype, offset, shape, strides }
}

function counts(value: PickleValue | undefined, what: string, fail: Fail): number[] {
  if (!isKind(value, 'tuple')) throw fail(`the ${what} of a tensor is ${describe(value)}, not a tuple.`)
  if (value.items.length > maxRank) {
    throw fail(`a tensor has ${value.items.length} dimensions (its ${what}), at most ${maxRank} are allowed.`)
  }
  return value.items.map((item) => {
    if (isCount(item)) return item
    throw fail(`the ${what} of a tensor holds something negative or not an integer.`)
  })
}

function isCount(value: PickleValue | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}
