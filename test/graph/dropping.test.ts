import { expect, test } from 'vitest'
import { architectureNamed } from '../../src/architectures/index.ts'
import { branchesOf, withDropping, withoutDropping } from '../../src/graph/dropping.ts'
import type { Graph } from '../../src/graph/graph.ts'
import { headGraph, withHiddenLayers } from '../../src/model/head.ts'

const size = { height: 32, width: 32, mean: [0, 0, 0], std: [1, 1, 1] } as const
const network = (name: string, classes: number): Graph => architectureNamed(name).build({ classes, ...size })

const half = { dropout: 0.5, dropConnect: 0, paths: new Map() }

/** What each layer reads, by name. */
const wires = ({ layers }: Graph) => Object.fromEntries(layers.map(({ name, inputs }) => [name, inputs]))

test('dropout stands before the classifier of a linear head', () => {
  for (const graph of [network('mobilenetv1_025', 3), headGraph(8, 3, { kind: 'linear' }, 'classifier')]) {
    const dropped = withDropping(graph, half)
    const expected = wires(graph)
    const [input = ''] = expected['classifier'] ?? []
    expect(wires(dropped)).toEqual({ ...expected, 'classifier.dropout': [input], classifier: ['classifier.dropout'] })
    expect(dropped).toMatchObject({ output: 'classifier', features: graph.features, classifier: 'classifier' })
    expect(dropped.layers.find(({ op }) => op === 'dropout')?.attrs).toMatchObject({ rate: 0.5 })
  }
})

test('and between the layers of a head that has hidden ones, never before the first', () => {
  const graph = withHiddenLayers(network('mobilenetv1_025', 0), 3, {
    kind: 'mlp',
    width: 8,
    depth: 2,
    activation: 'relu',
  })
  const dropped = withDropping(graph, half)
  const droppedBefore = dropped.layers.filter(({ inputs }) => inputs.some((name) => name.endsWith('.dropout')))
  expect(droppedBefore.map(({ name }) => name)).toEqual(['head.hidden.1', 'head.classifier'])
  const salts = dropped.layers.flatMap((layer) => (layer.op === 'dropout' ? [layer.attrs.salt] : []))
  expect(new Set(salts).size).toBe(2)
})

test('a share of 0 changes nothing, and what was added is taken out again', () => {
  for (const graph of [
    network('mobilenetv1_025', 3),
    withHiddenLayers(network('resnet18', 0), 3, { kind: 'mlp', width: 8, depth: 2, activation: 'relu' }),
  ]) {
    expect(withDropping(graph, { ...half, dropout: 0 })).toEqual(graph)
    expect(withoutDropping(withDropping(graph, half))).toEqual(graph)
    expect(withoutDropping(graph)).toEqual(graph)
  }
})

test('of what an addition reads, the branch is what more layers lead to', () => {
  const resnet = branchesOf(network('resnet18', 3))
  expect(resnet.size).toBe(8)
  expect([...resnet]).toEqual([...resnet].map(([name]) => [name, name.replace(/add$/, 'bn2')]))
  const mobile = branchesOf(network('mobilenetv2_035', 3))
  expect(mobile.size).toBe(10)
  expect([...mobile]).toEqual([...mobile].map(([name]) => [name, name.replace(/add$/, 'bn3')]))
  expect(branchesOf(network('mobilenetv1_025', 3)).size).toBe(0)
})

test('stochastic depth stands between a branch and its addition, and is taken out again', () => {
  const graph = network('resnet18', 3)
  const paths = new Map([['layer2.0.add', { branch: 'layer2.0.bn2', rate: 0.2 }]])
  const dropped = withDropping(graph, { dropout: 0, dropConnect: 0, paths })
  expect(wires(dropped)).toEqual({
    ...wires(graph),
    'layer2.0.add.drop_path': ['layer2.0.bn2'],
    'layer2.0.add': ['layer2.0.downsample.1', 'layer2.0.add.drop_path'],
  })
  expect(dropped.layers.find(({ op }) => op === 'dropPath')).toMatchObject({ block: 'layer2.0', attrs: { rate: 0.2 } })
  expect(withoutDropping(dropped)).toEqual(graph)
})

test('weights are left out of the layers of the head that train', () => {
  const graph = withHiddenLayers(network('mobilenetv1_025', 0), 3, {
    kind: 'mlp',
    width: 8,
    depth: 2,
    activation: 'relu',
  })
  const layers = graph.layers.map((layer) => ({ ...layer, frozen: layer.name === 'head.hidden.0' }))
  const dropped = withDropping({ ...graph, layers }, { dropout: 0, dropConnect: 0.3, paths: new Map() })
  const rates = dropped.layers.flatMap((layer) =>
    layer.op === 'linear' ? [[layer.name, layer.attrs.dropConnect?.rate]] : [],
  )
  expect(rates).toEqual([
    ['head.hidden.0', undefined],
    ['head.hidden.1', 0.3],
    ['head.classifier', 0.3],
  ])
  expect(withoutDropping(dropped)).toEqual({ ...graph, layers })
})
