import { expect, test } from 'vitest'
import { allFinite } from '../../src/tensor/all-finite.ts'

test('what is finite is so at the edges of the range, too', () => {
  const largest = 3.4028234663852886e38
  expect(allFinite(Float32Array.of(largest, -largest, 1e-45, -0, 0, 1))).toBe(true)
  expect(allFinite(new Float32Array())).toBe(true)
})

test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
  '%d is found wherever it stands',
  (value) => {
    for (const at of [0, 1, 2, 3, 500, 998, 1001, 1002]) {
      const values = new Float32Array(1003).fill(-3)
      values[at] = value
      expect(allFinite(values)).toBe(false)
    }
    expect(allFinite(Float32Array.of(Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY))).toBe(false)
  },
)
