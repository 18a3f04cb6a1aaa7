// Graphs are cut and extended without changing what stays.

import { describe, expect, test } from 'vitest'
import { resnetGraph } from '../../src/architectures/resnet.ts'
import { graphBuilder } from '../../src/graph/builder.ts'
import { after, appendLayers, upTo, withoutClassifier } from '../../src/graph/edit.ts'
import { layerNamed } from '../../src/graph/graph.ts'
import { createEngine } from '../../src/kernels/engine.ts'
import { createParameters } from '../../src/runtime/parameters.ts'
import { createRunner } from '../../src/runtime/runner.ts'
import { bits } from '../support/dense-data.ts'
import { randomParameters, writeParameters } from '../support/fill-parameters.ts'
import { noise } from '../support/values.ts'

const options = { classes: 5, height: 40, width: 32, mean: [0, 0, 0], std: [1, 1, 1] } as const
const graph = resnetGraph('resnet', { repeats: [1, 1, 1, 1] }, options, 8)

describe('cutting', () => {
  test('without the classifier the features are the output', () => {
    const trunk = withoutClassifier(graph)
    expect(trunk.output).toBe('global_pool')
    expect(trunk.classifier).toBeUndefined()
    expect(trunk.layers).toEqual(graph.layers.slice(0, -1))
  })

  test('up to a layer leaves out what it does not need', () => {
    const lower = upTo(graph, 'layer2.0.bn1')
    expect(lower.layers.map(({ name }) => name)).not.toContain('layer2.0.downsample.0')
    expect(lower.layers.at(-1)?.name).toBe('layer2.0.bn1')
    expect(() => upTo(graph, 'layer9')).toThrow("no layer 'layer9'")
  })

  test('inside a block is refused where something jumps over the cut', () => {
    expect(() => after(graph, 'layer2.0.bn1')).toThrow("cannot cut at 'layer2.0.bn1'")
  })

  test.each(['layer1.0.add', 'layer3.0.add', 'global_pool'])(
    'at %s gives two halves that do the same',
    async (name) => {
      const engine = createEngine({ threads: 2, simd: 'baseline' })
      try {
        const store = createParameters(engine, graph)
        writeParameters(store, randomParameters(graph, 1))
        const [whole, lower, upper] = [graph, upTo(graph, name), after(graph, name)].map((part) =>
          createRunner(engine, part, store, { images: 3, input: 'floats' }),
        )
        if (!whole || !lower || !upper) throw new Error('three runners')
        for (const runner of [whole, lower, upper]) await runner.prepare()
        const input = noise(3 * 40 * 32 * 3, 2)
        whole.writeFloats(input)
        await whole.run(3)
        lower.writeFloats(input)
        await lower.run(3)
        upper.writeFloats(lower.read(name, 3))
        await upper.run(3)
        expect(bits(upper.read('fc', 3))).toEqual(bits(whole.read('fc', 3)))
      } finally {
        await engine.close()
      }
    },
  )
})

test('layers are added on top as the head, and the old graph stays', () => {
  const trunk = withoutClassifier(graph)
  const larger = appendLayers(trunk, (add) => {
    const hidden = add('linear', 'head.hidden', { outFeatures: 6, bias: true }, [trunk.output])
    const activated = add('activation', 'head.relu', { kind: 'relu' }, [hidden])
    return add('linear', 'head.out', { outFeatures: 2, bias: true }, [activated])
  })
  expect(larger.output).toBe('head.out')
  expect(larger.classifier).toBe('head.out')
  expect(larger.features).toBe(graph.features)
  expect(layerNamed(larger, 'head.out')).toMatchObject({ shape: [2], stage: 'head', inputShapes: [[6]] })
  expect(trunk.output).toBe('global_pool')
})

describe('the builder', () => {
  const start = () => {
    const net = graphBuilder()
    return { net, input: net.layer('tensorInput', 'input', { shape: [4, 4, 3] }, []) }
  }
  const window = { kernel: [5, 5], stride: [1, 1], padding: [0, 0, 0, 0] } as const

  test('names the layer whose shapes do not fit', () => {
    const { net, input } = start()
    expect(() => net.layer('maxPool', 'pool', window, [input])).toThrow(
      "layer 'pool': a 5x5 window does not fit a 4x4 picture",
    )
    expect(() => net.layer('add', 'sum', {}, [input])).toThrow("layer 'sum': expected two inputs, got 1")
    const narrow = net.layer('conv2d', 'conv', { ...window, kernel: [1, 1], outChannels: 2 }, [input])
    expect(() => net.layer('add', 'sum', {}, [input, narrow])).toThrow('cannot add [4, 4, 3] and [4, 4, 2]')
  })

  test('refuses names that are taken or unknown', () => {
    const { net, input } = start()
    expect(() => net.layer('tensorInput', 'input', { shape: [1] }, [])).toThrow("two layers are called 'input'")
    expect(() => net.layer('add', 'sum', {}, [input, 'nothing'])).toThrow("layer 'sum' reads 'nothing'")
  })
})
