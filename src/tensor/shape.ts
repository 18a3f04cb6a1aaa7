/** Sizes of a tensor's dimensions, outermost first; `[]` is a single number. */
export type Shape = readonly number[]

/**
 * The number of elements; 1 for `[]`, 0 when any dimension is 0.
 * @throws RangeError for a dimension that is not a count, or a product above 2^53 - 1
 */
export function elementCount(shape: Shape): number {
  const count = checkedElementCount(shape)
  if (count === undefined) throw new RangeError(`${formatShape(shape)} is not a shape.`)
  return count
}

/** As `elementCount`, with undefined instead of an error: for shapes that come out of files. */
export function checkedElementCount(shape: Shape): number | undefined {
  let count = 1
  for (const size of shape) {
    if (!Number.isSafeInteger(size) || size < 0) return undefined
    count *= size
    if (!Number.isSafeInteger(count)) return undefined
  }
  return count
}

/** Same number of dimensions, same sizes. */
export function shapesEqual(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((size, i) => size === b[i])
}

/** `[1000, 512]`, for messages; long shapes are cut. */
export function formatShape(shape: Shape): string {
  const shown = shape.slice(0, 16).join(', ')
  return shape.length > 16 ? `[${shown}, … ${shape.length} dimensions]` : `[${shown}]`
}
