import { expect, test } from 'vitest'
import { zeroInitialisation } from './zero-initialisation.ts'

test('from zeros all hidden units stay alike and nearly nothing is learnt, from random weights they part and learn', async () => {
  const [zeros, random] = await zeroInitialisation()
  const accuracy = (start: typeof zeros) => start?.training.history.at(-1)?.validationAccuracy ?? Number.NaN
  // To the last bit.
  expect(zeros?.apart).toBe(0)
  expect(accuracy(zeros)).toBeLessThan(0.3)
  expect(random?.apart).toBeGreaterThan(0.1)
  expect(accuracy(random)).toBeGreaterThan(0.8)
})
