import { expect, test } from 'vitest'
import { averagePool } from '../../src/ops/pooling.ts'

test('averaging over lopsided padding is refused unless the padding is left out of the divisor', () => {
  const window = { kernel: [3, 3], stride: [2, 2], padding: 'same' } as const
  expect(() => averagePool.shape(window, [[8, 8, 4]])).toThrow('countIncludePad: false')
  expect(averagePool.shape({ ...window, countIncludePad: false }, [[8, 8, 4]])).toEqual([4, 4, 4])
})
