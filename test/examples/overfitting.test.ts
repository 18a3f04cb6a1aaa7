import { expect, test } from 'vitest'
import { gapOf, overfitting } from './overfitting.ts'

test('few pictures leave a gap that regularisation and more pictures narrow; without a gap a larger network helps', async () => {
  const { few, held, many, small } = await overfitting()
  const last = ({ training }: typeof few) => {
    const epoch = training.history.at(-1)
    if (!epoch) throw new Error('no history')
    return epoch
  }
  expect(last(few).trainAccuracy).toBeGreaterThan(0.99)
  expect(gapOf(few)).toBeGreaterThan(0.1)
  expect(gapOf(many)).toBeLessThan(gapOf(few) - 0.05)
  expect(last(many).validationAccuracy).toBeGreaterThan(last(few).validationAccuracy + 0.05)
  expect(last(held).validationLoss - last(held).trainLoss).toBeLessThan(last(few).validationLoss - last(few).trainLoss)
  expect(last(held).validationLoss).toBeLessThan(last(few).validationLoss)
  expect(Math.abs(gapOf(small))).toBeLessThan(0.1)
  expect(last(small).trainAccuracy).toBeLessThan(0.8)
  expect(last(many).validationAccuracy).toBeGreaterThan(last(small).validationAccuracy + 0.1)
})
