import { expect, test } from 'vitest'
import { learningRates, type Verdict } from './learning-rates.ts'

test('a low rate crawls, a good one arrives, a high one stays at a bad cost, and one far too high ends in NaN', async () => {
  const trainings = await learningRates()
  const losses = (verdict: Verdict) => trainings.get(verdict)?.history.map((epoch) => epoch.trainLoss) ?? []
  const [low, good, high] = [losses('too low'), losses('good'), losses('too high')]
  const last = (values: readonly number[]) => values.at(-1) ?? Number.NaN
  // It falls all the time, and has not come far.
  expect(low.slice(1).every((loss, at) => loss < (low[at] ?? 0))).toBe(true)
  expect(last(low)).toBeGreaterThan(0.6 * (low[0] ?? Number.NaN))
  expect(last(good)).toBeLessThan(0.1 * (good[0] ?? Number.NaN))
  expect(last(high)).toBeGreaterThan(5 * last(good))
  expect(trainings.get('far too high')?.stopped).toMatch(/(NaN|Infinity|finite)/)
  expect(losses('far too high')).toEqual([])
})
