// Edits of a graph; each returns a new one.

import type { AttributesOf, OpName } from '../ops/index.ts'
import { makeLayer } from './builder.ts'
import { type Graph, type Layer, layerNamed, parameterName, parametersOf } from './graph.ts'

/** The network up to the feature vector, without its classifier. */
export function withoutClassifier(graph: Graph): Graph {
  return upTo(graph, graph.features)
}

/** The layers above the features: the classifier, or another head. */
export function headLayers(graph: Graph): readonly Layer[] {
  const trunk = new Set(upTo(graph, graph.features).layers.map(({ name }) => name))
  return graph.layers.filter(({ name }) => !trunk.has(name))
}

/** Full names of their parameters. */
export function headParameters(graph: Graph): ReadonlySet<string> {
  return new Set(headLayers(graph).flatMap((layer) => parametersOf(layer).map((spec) => parameterName(layer, spec))))
}

/** The layers that `name` needs, itself included, with `name` as output. */
export function upTo(graph: Graph, name: string): Graph {
  const needed = new Set([layerNamed(graph, name).name])
  for (const layer of [...graph.layers].reverse()) {
    if (needed.has(layer.name)) for (const input of layer.inputs) needed.add(input)
  }
  const layers = graph.layers.filter((layer) => needed.has(layer.name))
  const classifier =
    graph.classifier !== undefined && needed.has(graph.classifier) ? { classifier: graph.classifier } : {}
  return { layers, output: name, features: graph.features, ...classifier }
}

/**
 * The layers after `name`, reading what `name` would have given from an input of their own.
 * @throws Error when a later layer also reads something before the cut
 */
export function after(graph: Graph, name: string): Graph {
  const cut = layerNamed(graph, name)
  const below = new Set(upTo(graph, name).layers.map((layer) => layer.name))
  const upper = graph.layers.filter((layer) => !below.has(layer.name))
  for (const layer of upper) {
    for (const input of layer.inputs) {
      if (below.has(input) && input !== name)
        throw new Error(`cannot cut at '${name}': '${layer.name}' also reads '${input}'`)
    }
  }
  const entry = makeLayer('tensorInput', name, { shape: cut.shape }, [], new Map(), { stage: cut.stage })
  return { ...graph, layers: [entry, ...upper] }
}

/** Puts a layer between another one and all that read it. */
export function insertAfter<K extends OpName>(
  graph: Graph,
  before: string,
  op: K,
  name: string,
  attrs: AttributesOf<K>,
): Graph {
  const layers = new Map<string, Layer>()
  for (const layer of graph.layers) {
    const inputs = layer.inputs.map((input) => (input === before ? name : input))
    layers.set(layer.name, { ...layer, inputs })
    if (layer.name !== before) continue
    const { stage, block } = layer
    layers.set(name, makeLayer(op, name, attrs, [before], layers, { stage, ...(block === undefined ? {} : { block }) }))
  }
  return { ...graph, layers: [...layers.values()] }
}

/** Adds layers of the stage 'head' on top; `build` returns the name of the new output. */
export function appendLayers(
  graph: Graph,
  build: (
    add: <K extends OpName>(op: K, name: string, attrs: AttributesOf<K>, inputs: readonly string[]) => string,
  ) => string,
): Graph {
  const layers = new Map<string, Layer>(graph.layers.map((layer) => [layer.name, layer]))
  const output = build((op, name, attrs, inputs) => {
    layers.set(name, makeLayer(op, name, attrs, inputs, layers, { stage: 'head' }))
    return name
  })
  return { layers: [...layers.values()], output, features: graph.features, classifier: output }
}
