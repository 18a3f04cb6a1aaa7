import { elementCount, formatShape, type Shape } from './shape.ts'

/** A tensor in ordinary JavaScript memory, row-major. */
export interface HostTensor {
  readonly shape: Shape
  readonly data: Float32Array
}

/**
 * Joins a shape and its values.
 * @throws RangeError when their counts differ
 */
export function hostTensor(shape: Shape, data: Float32Array): HostTensor {
  if (elementCount(shape) !== data.length) {
    throw new RangeError(`A tensor of shape ${formatShape(shape)} cannot have ${data.length} values.`)
  }
  return { shape, data }
}
