import { expect, test } from 'vitest'
import { findingTheRate } from './finding-the-rate.ts'

test('half of the threshold learns better than a hundredth and than ten times of it', async () => {
  const { points, found, suggested, trainings } = await findingTheRate()
  expect(found.beyond).not.toBe('nothing')
  expect(suggested).toBeGreaterThan(points[0]?.rate ?? Number.NaN)
  expect(found.halfway).toBeLessThan(2 * suggested)
  const last = (factor: number) => trainings.get(factor)?.history.at(-1)?.trainLoss ?? Number.POSITIVE_INFINITY
  expect(last(1)).toBeLessThan(0.5 * last(0.01))
  expect(last(1)).toBeLessThan(0.5 * last(10))
})
