import { elementCount, type Shape } from '../tensor/shape.ts'

/** The same numbers with their axes in another order. */
export function permutedNumbers(shape: Shape, data: Float32Array, order: readonly number[]): Float32Array {
  const strides = order.map((axis) => elementCount(shape.slice(axis + 1)))
  const target = order.map((axis) => shape[axis] ?? 1)
  const result = new Float32Array(data.length)
  const last = target.length - 1
  const [length, step] = [target[last] ?? 1, strides[last] ?? 1]
  const at = target.map(() => 0)
  for (let row = 0; row < result.length; row += length) {
    let from = 0
    for (let axis = 0; axis < last; axis++) from += (at[axis] ?? 0) * (strides[axis] ?? 1)
    for (let index = 0; index < length; index++) result[row + index] = data[from + index * step] ?? 0
    for (let axis = last - 1; axis >= 0; axis--) {
      const next = (at[axis] ?? 0) + 1
      at[axis] = next === target[axis] ? 0 : next
      if (at[axis] !== 0) break
    }
  }
  return result
}
