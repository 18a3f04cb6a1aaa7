import { expect, test } from 'vitest'
import { batchSizes } from './batch-size.ts'

test('small steps are noisy and soon there, a step of all pictures is smooth and slow', async () => {
  const [one, some, all] = await batchSizes()
  if (!one || !some || !all) throw new Error('three sizes')
  expect(one.noise).toBeGreaterThan(2 * some.noise)
  expect(some.noise).toBeGreaterThan(2 * all.noise)
  // With all pictures every step is one downhill.
  const falls = all.training.stepLosses.slice(1).map((loss, at) => loss < (all.training.stepLosses[at] ?? 0))
  expect(falls.every(Boolean)).toBe(true)
  const last = ({ training }: typeof one) => training.history.at(-1)?.validationLoss ?? Number.NaN
  expect(last(some)).toBeLessThan(0.7 * last(all))
  expect(last(one)).toBeLessThan(0.7 * last(all))
})
