// A network that is cut where its frozen part ends gives the bits of the whole.
import { describe, expect, test } from 'vitest'
import { selectLayers } from '../../src/graph/freeze.ts'
import { layerNamed } from '../../src/graph/graph.ts'
import { cutAt, frozenBoundary } from '../../src/runtime/boundary.ts'
import { createParameters } from '../../src/runtime/parameters.ts'
import { createRunner } from '../../src/runtime/runner.ts'
import { bits } from '../support/dense-data.ts'
import { randomParameters, writeParameters } from '../support/fill-parameters.ts'
import { picture, smallNetworks, trainingOf, withEngine, writeBatch } from './small-networks.ts'

const IMAGES = 4

describe.each(smallNetworks)('$name', ({ name, graph }) => {
  // Also where the frontier lies between a convolution and its batch norm, which inference computes in one.
  const loneNorm = graph.layers.filter(({ op }) => op === 'batchNorm').at(-2)?.name ?? ''
  const loneConvolution = graph.layers.filter(({ op }) => op === 'conv2d').at(-2)?.name ?? ''
  test.each(['head', 'last:1', 'last:2', loneNorm, loneConvolution])('cut below %s', async (choice) => {
    const chosen = selectLayers(graph, `${choice},head`)
    const training = { ...trainingOf(graph, (layer) => chosen.has(layer)), batchStatistics: new Set<string>() }
    const boundary = frozenBoundary(graph, training) ?? ''
    const { lower, upper } = cutAt(graph, boundary)
    expect(lower.layers.filter((layer) => chosen.has(layer.name))).toEqual([])
    await withEngine({ threads: 2, simd: 'baseline' }, async (engine) => {
      const store = createParameters(engine, graph)
      writeParameters(store, randomParameters(graph, 3))
      const options = { images: IMAGES } as const
      const whole = createRunner(engine, graph, store, { ...options, input: 'bytes', training })
      const wholeInference = createRunner(engine, graph, store, { ...options, input: 'bytes' })
      const below = createRunner(engine, lower, store, { images: 3, input: 'bytes' })
      const above = createRunner(engine, upper, store, { ...options, input: 'floats', training })
      const aboveInference = createRunner(engine, upper, store, { ...options, input: 'floats' })
      for (const runner of [whole, wholeInference, below, above, aboveInference]) {
        await runner.prepare()
        if (runner.zeroGradients) await engine.run([runner.zeroGradients], 1)
      }
      writeBatch(whole, 0, IMAGES)
      await whole.run(IMAGES)
      for (let image = 0; image < IMAGES; image++) wholeInference.writeBytes(picture(image), image)
      await wholeInference.run(IMAGES)

      const targets = new Float32Array(IMAGES * 5)
      for (let image = 0; image < IMAGES; image++) targets[image * 5 + (image % 5)] = 1 / IMAGES
      above.writeTargets(targets)
      // One at a time and in another order: what lies below does not know of batches.
      for (const image of [2, 0, 3, 1]) {
        below.writeBytes(picture(image))
        await below.run(1)
        const values = below.read(boundary, 1)
        above.writeFloats(values, image)
        aboveInference.writeFloats(values, image)
      }
      await above.run(IMAGES)
      await aboveInference.run(IMAGES)

      expect(bits(above.read(graph.output, IMAGES))).toEqual(bits(whole.read(graph.output, IMAGES)))
      expect(bits(aboveInference.read(graph.output, IMAGES))).toEqual(bits(wholeInference.read(graph.output, IMAGES)))
      expect(above.losses(IMAGES)).toEqual(whole.losses(IMAGES))
      for (const parameter of training.trainable)
        expect(bits(above.gradient(parameter).data), parameter).toEqual(bits(whole.gradient(parameter).data))
    })
  })

  test('the cut lies as high as it can', () => {
    const below = (choice: string) => {
      const chosen = selectLayers(graph, choice)
      const training = trainingOf(graph, (layer) => chosen.has(layer))
      return frozenBoundary(graph, { ...training, batchStatistics: new Set() })
    }
    expect(below('head')).toBe(graph.features)
    const lastBlock = graph.layers.findLast(({ block }) => block !== undefined)?.block
    const first = graph.layers.findIndex(({ block }) => block === lastBlock)
    expect(below('last:1')).toBe(graph.layers[first - 1]?.name)
    expect(below('all')).toBeUndefined()
  })

  test('what learns statistics is not cut off', () => {
    const chosen = selectLayers(graph, 'last:1')
    const norms = graph.layers.filter(({ op }) => op === 'batchNorm').map((layer) => layer.name)
    const { trainable } = trainingOf(graph, (layer) => chosen.has(layer))
    expect(frozenBoundary(graph, { trainable, batchStatistics: new Set(norms) })).toBeUndefined()
    const boundary = frozenBoundary(graph, { trainable, batchStatistics: new Set(norms.slice(-3)) }) ?? ''
    const lower = new Set(cutAt(graph, boundary).lower.layers.map((layer) => layer.name))
    expect(
      norms.slice(-3).filter((norm) => lower.has(norm)),
      name,
    ).toEqual([])
    expect(layerNamed(graph, boundary).inputs.length).toBeGreaterThan(0)
  })
})
