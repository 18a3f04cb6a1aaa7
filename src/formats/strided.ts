import { breathing } from '../breath.ts'
import { elementCount, type Shape } from '../tensor/shape.ts'

/** How a tensor lies in its storage; all numbers count elements. */
export interface View {
  readonly offset: number
  readonly shape: Shape
  readonly strides: readonly number[]
}

/** Strides of a tensor without gaps, last axis fastest. */
export function rowMajorStrides(shape: Shape): number[] {
  const strides: number[] = []
  let next = 1
  for (const size of [...shape].reverse()) {
    strides.unshift(next)
    next *= Math.max(1, size)
  }
  return strides
}

/** Whether a view is a stretch of its storage, in order. */
export function isContiguous({ shape, strides }: View): boolean {
  const dense = rowMajorStrides(shape)
  return elementCount(shape) === 0 || shape.every((size, axis) => size === 1 || strides[axis] === dense[axis])
}

/** The first element of a view and the one after its last; equal for a view without elements. */
export function extentOf({ offset, shape, strides }: View): { readonly first: number; readonly end: number } {
  if (shape.includes(0)) return { first: offset, end: offset }
  const last = shape.reduce((sum, size, axis) => sum + (size - 1) * (strides[axis] ?? 0), offset)
  return { first: offset, end: last + 1 }
}

/**
 * The elements of a view, last axis fastest, in new memory.
 * @param bytes  the storage; it must hold the extent of the view
 * @param size   bytes of one element
 */
export async function copyStrided(bytes: Uint8Array, size: number, view: View): Promise<Uint8Array> {
  const { shape, strides } = view
  const breath = breathing()
  const result = new Uint8Array(elementCount(shape) * size)
  // Elements of four bytes and more go in words.
  const word = size % 4 === 0 ? 4 : 1
  const from = word === 4 ? wordsOf(bytes) : bytes
  const into = word === 4 ? new Uint32Array(result.buffer) : result
  const each = size / word
  const rowLength = shape.at(-1) ?? 1
  const step = (strides.at(-1) ?? 1) * each
  const outer = shape.slice(0, -1)
  const index = outer.map(() => 0)
  let begin = view.offset * each
  let breathAt = breathEvery
  for (let to = 0; to < into.length; ) {
    for (let at = begin, count = 0; count < rowLength; count++, at += step) {
      for (let part = 0; part < each; part++) into[to++] = from[at + part] ?? 0
    }
    for (let axis = outer.length - 1; axis >= 0; axis--) {
      const stride = (strides[axis] ?? 0) * each
      const next = (index[axis] ?? 0) + 1
      begin += stride
      index[axis] = next
      if (next < (outer[axis] ?? 0)) break
      begin -= stride * next
      index[axis] = 0
    }
    if (to < breathAt) continue
    breathAt = to + breathEvery
    if (breath.due()) await breath.pause()
  }
  return result
}

/** To ask for the time after each element would take longer than to copy it. */
const breathEvery = 4096

/** The bytes as words of four; of a place that is none for words, a copy. What is left of a word at the end is no element's. */
function wordsOf(bytes: Uint8Array): Uint32Array {
  const { buffer, byteOffset } = bytes.byteOffset % 4 === 0 ? bytes : new Uint8Array(bytes)
  return new Uint32Array(buffer, byteOffset, Math.floor(bytes.length / 4))
}
