import { expect, test } from 'vitest'
import { dropout } from './dropout.ts'

test('dropout learns its own pictures more slowly, and others better', async () => {
  const [without, dropped] = (await dropout()).map(({ training }) => training.history.at(-1))
  if (!without || !dropped) throw new Error('no history')
  expect(without.trainLoss).toBeLessThan(dropped.trainLoss)
  expect(dropped.validationLoss).toBeLessThan(0.95 * without.validationLoss)
  expect(dropped.validationAccuracy).toBeGreaterThanOrEqual(without.validationAccuracy)
  // The distance between what it knows and what it should.
  expect(dropped.validationLoss - dropped.trainLoss).toBeLessThan(without.validationLoss - without.trainLoss)
})
