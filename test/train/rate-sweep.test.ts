import { describe, expect, test } from 'vitest'
import { type SweepPoint, suggestedRate, thresholdOf } from '../../src/train/rate-sweep.ts'
import { noise } from '../support/values.ts'

/** Losses over rates from 1e-6, twenty to each power of ten, with the noise of batches. */
function curve(steps: number, lossAt: (rate: number) => number): readonly SweepPoint[] {
  const wobble = noise(steps, 4)
  return Array.from({ length: steps }, (_, at) => {
    const rate = 1e-6 * 10 ** (at / 20)
    return { rate, loss: lossAt(rate) + 0.02 * (wobble[at] ?? 0) }
  })
}

describe('the threshold of the rate', () => {
  test('is where the cost explodes, and halfway lies where it falls', () => {
    const points = curve(120, (rate) => 1 + 1.3 / (1 + rate / 1e-3) + (rate / 0.1) ** 3)
    const { threshold, halfway, beyond, smoothed } = thresholdOf(points)
    expect(beyond).toBe('explodes')
    expect(threshold).toBeGreaterThan(0.03)
    expect(threshold).toBeLessThan(0.1)
    expect(halfway).toBeGreaterThan(5e-4)
    expect(halfway).toBeLessThan(2e-3)
    expect(smoothed).toHaveLength(points.length)
  })

  test('is where the cost rises again and stays below its beginning', () => {
    const points = curve(120, (rate) => 1 + 1.3 / (1 + rate / 1e-3) + (rate > 0.03 ? 0.6 : 0))
    expect(thresholdOf(points)).toMatchObject({ beyond: 'oscillates' })
    expect(thresholdOf(points).threshold).toBeGreaterThan(0.02)
  })

  test('is found where the cost never falls, and noise is not taken for it', () => {
    const points = curve(90, (rate) => 0.8 + (rate / 1e-3) ** 2)
    const { threshold, halfway } = thresholdOf(points)
    expect(halfway).toBeUndefined()
    expect(threshold).toBeGreaterThan(1e-4)
    expect(threshold).toBeLessThan(1e-3)
  })

  test('does not exist where nothing happens', () => {
    const still = { beyond: 'nothing', threshold: undefined, halfway: undefined }
    expect(thresholdOf(curve(60, () => 2))).toMatchObject(still)
  })

  test('is found before a loss that is no number', () => {
    const points = [...curve(80, () => 2), { rate: 0.02, loss: Number.NaN }]
    expect(thresholdOf(points)).toMatchObject({ beyond: 'explodes' })
    expect(thresholdOf(points).threshold).toBeGreaterThan(1e-3)
  })
})

describe('the suggested rate', () => {
  const points = curve(120, (rate) => 1 + 1.3 / (1 + rate / 1e-3) + (rate / 0.1) ** 3)
  const way = points.reduce((sum, { rate }) => (rate <= 1e-3 ? sum + rate : sum), 0)
  const limits = { threshold: 0.05, halfway: 1e-3 }

  test('takes a training of any length as far as any other', () => {
    for (const steps of [500, 1000])
      expect(((suggestedRate(points, limits, steps) ?? 0) / 2) * steps).toBeCloseTo(50 * way, 9)
  })

  test('stays between a tenth of halfway and half of the threshold', () => {
    expect(suggestedRate(points, limits, 1)).toBe(0.025)
    expect(suggestedRate(points, limits, 1e6)).toBeCloseTo(1e-4, 12)
    expect(suggestedRate(points, { ...limits, threshold: undefined }, 1000)).toBeGreaterThan(1e-4)
  })

  test('is half of the threshold where the cost never fell, and none where nothing happened', () => {
    expect(suggestedRate(points, { ...limits, halfway: undefined }, 100)).toBe(0.025)
    expect(suggestedRate(points, { threshold: undefined, halfway: undefined }, 100)).toBeUndefined()
  })
})
