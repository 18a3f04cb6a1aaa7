// The networks are the published ones: parameters, multiply-adds, names, shapes.

import { describe, expect, test } from 'vitest'
import { architectureNamed, knownArchitectures } from '../../src/architectures/index.ts'
import { RegraftError } from '../../src/errors.ts'
import { costOf } from '../../src/graph/cost.ts'
import { blocksOf, stagesOf } from '../../src/graph/freeze.ts'
import { type Graph, layerNamed, opOf, parameterName, parametersOf } from '../../src/graph/graph.ts'

function build(name: string, classes = 1000, size = 224, args: Record<string, unknown> = {}): Graph {
  return architectureNamed(name).build({ classes, height: size, width: size, mean: [0, 0, 0], std: [1, 1, 1], args })
}

/** Of convolutions and linear layers alone, as papers count. */
function multiplyAdds(graph: Graph): number {
  const counted = graph.layers.filter(({ op }) => op === 'conv2d' || op === 'depthwiseConv2d' || op === 'linear')
  return counted.reduce((sum, layer) => sum + opOf(layer).cost(layer.attrs, layer.inputShapes), 0)
}

describe('published figures', () => {
  test.each([
    { name: 'mobilenetv1_100', parameters: 4_231_976, millions: 568.74 },
    { name: 'mobilenetv1_025', parameters: 470_072, millions: undefined },
    { name: 'mobilenetv2_100', parameters: 3_504_872, millions: 300.77 },
    { name: 'resnet18', parameters: 11_689_512, millions: 1814.07 },
    { name: 'resnet34', parameters: 21_797_672, millions: 3663.76 },
    { name: 'resnet50', parameters: 25_557_032, millions: 4089.18 },
    { name: 'mobilenetv3_small_100', parameters: 2_542_856, millions: undefined },
    { name: 'mobilenetv3_large_100', parameters: 5_483_032, millions: undefined },
    { name: 'mobilenetv4_conv_small', parameters: 3_774_024, millions: undefined },
    { name: 'mnasnet_100', parameters: 4_383_312, millions: undefined },
    { name: 'efficientnet_b0', parameters: 5_288_548, millions: undefined },
    { name: 'efficientnet_lite0', parameters: 4_652_008, millions: undefined },
    { name: 'regnetx_002', parameters: 2_684_792, millions: undefined },
    { name: 'regnety_002', parameters: 3_162_996, millions: undefined },
    { name: 'convnext_atto', parameters: 3_695_520, millions: undefined },
    { name: 'convnext_tiny', parameters: 28_589_128, millions: undefined },
    { name: 'vit_tiny_patch16_224', parameters: 5_717_416, millions: undefined },
    { name: 'densenet121', parameters: 7_978_856, millions: undefined },
    { name: 'vgg11_bn', parameters: 132_868_840, millions: undefined },
    { name: 'shufflenet_v2_x1_0', parameters: 2_278_604, millions: undefined },
    { name: 'squeezenet1_0', parameters: 1_248_424, millions: undefined },
    { name: 'squeezenet1_1', parameters: 1_235_496, millions: undefined },
  ])('$name has $parameters parameters', ({ name, parameters, millions }) => {
    const graph = build(name)
    expect(costOf(graph).parameters).toBe(parameters)
    expect(costOf(graph).trainable).toBe(parameters)
    if (millions !== undefined) expect(multiplyAdds(graph) / 1e6).toBeCloseTo(millions, 2)
  })
})

interface Sizes {
  /** Rows after the first convolution and after the last block, of 75; tokens are no rows. */
  readonly first: number
  readonly last?: number
  readonly kinds?: readonly (string | undefined)[]
}

/** 75, 38, 19, 10, 5, 3 */
const usualSizes: Sizes = { first: 38, last: 3 }
/** By the beginning of the name; networks that pool without padding, or at other places. */
const otherSizes: Readonly<Record<string, Sizes>> = {
  convnext: { first: 18, last: 2, kinds: [undefined] },
  densenet: { first: 38, last: 2 },
  regraft_resnet14: { first: 38, last: 5 },
  squeezenet1_0: { first: 35, last: 4, kinds: [undefined] },
  squeezenet1_1: { first: 37, last: 4, kinds: [undefined] },
  vgg: { first: 75, last: 2 },
  vit_small_patch14: { first: 5, kinds: [undefined] },
  vit: { first: 4, kinds: [undefined] },
}

describe.each(knownArchitectures)('%s', (name) => {
  const architecture = architectureNamed(name)

  test('has the ends that it says it has', () => {
    const graph = build(name, 7, 96)
    expect(graph.classifier).toBe(architecture.classifier)
    if (!architecture.ownHead) expect(graph.output).toBe(architecture.classifier)
    expect(layerNamed(graph, graph.output).shape).toEqual([7])
    expect(layerNamed(graph, graph.features).shape).toEqual([architecture.features])
    expect(graph.layers[1]?.name).toBe(architecture.firstConvolution)
  })

  test('without classes it ends with its features', () => {
    const graph = build(name, 0, 96)
    expect(graph.output).toBe(graph.features)
    expect(graph.classifier).toBeUndefined()
    expect(build(name, 7, 96).layers.slice(0, graph.layers.length)).toEqual(graph.layers)
  })

  test('names every parameter once, and gives every layer a stage', () => {
    const graph = build(name, 7, 96)
    const names = graph.layers.flatMap((layer) => parametersOf(layer).map((spec) => parameterName(layer, spec)))
    expect(new Set(names).size).toBe(names.length)
    expect(stagesOf(graph)[0]).toBe('stem')
    expect(stagesOf(graph).at(-1)).toBe('head')
    expect(blocksOf(graph).length).toBeGreaterThanOrEqual(6)
    for (const layer of graph.layers) for (const input of layer.inputs) expect(layerNamed(graph, input)).toBeDefined()
  })

  test('takes pictures of odd sizes, in both kinds of padding', () => {
    const [, { first, last, kinds = ['', 'same'] } = usualSizes] =
      Object.entries(otherSizes).find(([family]) => name.startsWith(family)) ?? []
    for (const padType of kinds) {
      const graph = build(name, 3, 75, padType === undefined ? {} : { pad_type: padType })
      expect(layerNamed(graph, architecture.firstConvolution).shape.slice(0, 2)).toEqual([first, first])
      const lastPicture = graph.layers.findLast((layer) => layer.stage !== 'head')
      if (last !== undefined) expect(lastPicture?.shape.slice(0, 2)).toEqual([last, last])
    }
  })
})

test('narrow networks keep multiples of eight channels, and MobileNetV2 its wide last layer', () => {
  const graph = build('mobilenetv2_035', 10)
  expect(costOf(graph).parameters).toBe(408_938)
  for (const layer of graph.layers) {
    if (layer.op === 'conv2d') expect(layer.attrs.outChannels % 8, layer.name).toBe(0)
  }
  expect(layerNamed(graph, graph.features).shape).toEqual([1280])
})

test('arguments of the network reach its layers', () => {
  const graph = build('mobilenetv2_100', 10, 64, { bn_eps: 1e-3, bn_momentum: 0.01 })
  const norms = graph.layers.flatMap((layer) => (layer.op === 'batchNorm' ? [layer.attrs] : []))
  expect(norms.length).toBe(52)
  for (const { epsilon, momentum } of norms) expect([epsilon, momentum]).toEqual([1e-3, 0.01])
})

test.each([
  { name: 'resnet19', args: {}, message: /Did you mean 'resnet18'\?|Did you mean 'resnet34'\?/ },
  { name: 'mobilenetv2_000', args: {}, message: /not known/ },
  { name: 'vgg16', args: {}, message: /Known: mobilenetv1_025/ },
  { name: 'resnet18', args: { drop_rate: 0.1 }, message: /drop_rate are not supported/ },
  { name: 'resnet18', args: { pad_type: 'valid' }, message: /pad_type must be/ },
  { name: 'resnet18', args: { bn_eps: 0 }, message: /bn_eps must be a number between 0 and 1/ },
])('$name with $args is refused', ({ name, args, message }) => {
  expect(() => build(name, 10, 64, args)).toThrow(RegraftError)
  expect(() => build(name, 10, 64, args)).toThrow(message)
})
