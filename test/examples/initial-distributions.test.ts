import { beforeAll, describe, expect, test } from 'vitest'
import { initialDistributions, type Layer } from './initial-distributions.ts'

describe('activations of ten layers of tanh', () => {
  let layers: readonly Layer[]
  beforeAll(async () => {
    layers = await initialDistributions()
  })
  const at = (start: string, layer: number) => {
    const found = layers.find((each) => each.start === start && each.layer === layer)
    if (!found) throw new Error(`no layer ${layer} of ${start}`)
    return found
  }

  test('fade with small normal numbers, the faster the smaller', () => {
    for (const start of ['normal:0.01', 'normal:0.05'])
      for (let layer = 2; layer <= 10; layer++)
        expect(at(start, layer).statistics.deviation).toBeLessThan(at(start, layer - 1).statistics.deviation)
    expect(at('normal:0.01', 10).statistics.deviation).toBeLessThan(1e-6)
    expect(at('normal:0.01', 10).statistics.deviation).toBeLessThan(at('normal:0.05', 10).statistics.deviation / 1000)
  })

  test('saturate at once with small numbers on inputs that are not scaled', () => {
    expect(at('normal:0.05 on bytes', 1).saturated).toBeGreaterThan(0.8)
    expect(at('normal:0.05', 1).saturated).toBeLessThan(0.1)
  })

  test('saturate in all layers with the standard normal distribution', () => {
    for (let layer = 1; layer <= 10; layer++) expect(at('standard-normal', layer).saturated).toBeGreaterThan(0.7)
  })

  test('keep their size with Xavier', () => {
    for (let layer = 1; layer <= 10; layer++) {
      expect(at('xavier-normal', layer).statistics.deviation).toBeGreaterThan(0.15)
      expect(at('xavier-normal', layer).saturated).toBeLessThan(0.1)
    }
  })
})
