import { describe, expect, test } from 'vitest'
import { graphBuilder } from '../../src/graph/builder.ts'
import type { Engine } from '../../src/kernels/engine.ts'
import { createWeightAverage, decayAt } from '../../src/optim/weight-average.ts'
import { createParameters } from '../../src/runtime/parameters.ts'
import { withEngine } from '../runtime/small-networks.ts'
import { excess, noise } from '../support/values.ts'

const DECAY = 0.6
const weightsAt = (step: number) => noise(15, 10 + step)

function open(engine: Engine) {
  const net = graphBuilder()
  const input = net.layer('tensorInput', 'input', { shape: [5] }, [])
  const output = net.layer('linear', 'layer', { outFeatures: 3 }, [input])
  const store = createParameters(engine, net.finish({ output, features: input }))
  const put = (data: Float32Array) => store.write('layer.weight', { shape: [3, 5], data })
  put(weightsAt(0))
  return { store, put, average: createWeightAverage(engine, store, store.parameters, DECAY) }
}

test('little of the average is kept at first, and never more than the decay', () => {
  expect(decayAt(0, 0.999)).toBe(0)
  expect(decayAt(1, 0.999)).toBeCloseTo(1 - 2 ** (-2 / 3), 12)
  expect(decayAt(7, 0.999)).toBeCloseTo(0.75, 12)
  expect(decayAt(1e6, 0.999)).toBe(0.999)
  expect(decayAt(7, 0.5)).toBe(0.5)
})

describe('the average of weights', () => {
  test('is that of a plain loop, whatever the threads, and is exchanged with them', async () => {
    const results: Float32Array[] = []
    for (const threads of [1, 3]) {
      await withEngine({ threads, simd: 'baseline' }, async (engine) => {
        const { store, put, average } = open(engine)
        average.begin()
        let expected = Float64Array.from(weightsAt(0))
        for (let step = 0; step < 6; step++) {
          const weights = weightsAt(step + 1)
          put(weights)
          average.setStep(step)
          await engine.run([average.program], 1)
          const decay = decayAt(step, DECAY)
          expected = expected.map((value, at) => decay * value + (1 - decay) * (weights[at] ?? 0))
        }
        average.swap()
        const averaged = store.read('layer.weight').data
        expect(excess(averaged, expected)).toBeLessThan(1e-6)
        average.swap()
        expect(store.read('layer.weight').data).toEqual(weightsAt(6))
        results.push(averaged)
        average.close()
        store.free()
      })
    }
    expect(results[1]).toEqual(results[0])
  })

  test('is kept and put back to the last bit', async () => {
    await withEngine({ threads: 1, simd: 'baseline' }, async (engine) => {
      const { put, average } = open(engine)
      average.begin()
      put(weightsAt(1))
      average.setStep(3)
      await engine.run([average.program], 1)
      const state = await average.state()
      expect([...state.keys()]).toEqual(['layer.weight.average'])
      average.begin()
      expect(await average.state()).not.toEqual(state)
      await average.restore(state)
      expect(await average.state()).toEqual(state)
      await expect(average.restore(new Map())).rejects.toThrow(/'layer\.weight' is missing/)
    })
  })
})
