import { describe, expect, it } from 'vitest'
import { hostTensor } from '../../src/tensor/host-tensor.ts'
import { checkedElementCount, elementCount, formatShape, shapesEqual } from '../../src/tensor/shape.ts'

describe('shapes', () => {
  it('count their elements', () => {
    expect(elementCount([])).toBe(1)
    expect(elementCount([2, 3, 4])).toBe(24)
    expect(elementCount([5, 0, 3])).toBe(0)
  })

  it('are refused when they are no counts, or too many', () => {
    for (const shape of [[-1], [-2, -3], [1.5], [NaN], [2 ** 53], [2 ** 30, 2 ** 30], [0, 2 ** 60]]) {
      expect(checkedElementCount(shape)).toBeUndefined()
      expect(() => elementCount(shape)).toThrow(RangeError)
    }
  })

  it('compare and print', () => {
    expect(shapesEqual([1, 2], [1, 2])).toBe(true)
    expect(shapesEqual([1, 2], [1, 2, 1])).toBe(false)
    expect(shapesEqual([], [])).toBe(true)
    expect(formatShape([1000, 512])).toBe('[1000, 512]')
    expect(formatShape(new Array(1000).fill(1)).length).toBeLessThan(100)
  })

  it('must fit the values of a tensor', () => {
    expect(hostTensor([2, 2], new Float32Array(4)).shape).toEqual([2, 2])
    expect(() => hostTensor([2, 2], new Float32Array(5))).toThrow('[2, 2]')
  })
})
