// A network as it is trained: with layers that leave something out at random. The network that is validated, used and saved has none.
import type { DroppingAttributes } from '../ops/dropping.ts'
import { randomStream } from '../random.ts'
import { makeLayer } from './builder.ts'
import type { Graph, Layer } from './graph.ts'

/** Shares of what is left out. */
export interface Dropping {
  /** Of the values that enter the classifier, and each hidden layer of the head but the first. */
  readonly dropout: number
}

/** Adds to a network what is left out in training. Names of other layers, and of parameters, stay. */
export function withDropping(graph: Graph, { dropout }: Dropping): Graph {
  const layers = new Map<string, Layer>()
  const add = (layer: Layer) => layers.set(layer.name, layer)
  const [first, ...further] = headLayers(graph)
  const dropsBefore = new Set((further.length > 0 ? further : first ? [first] : []).map(({ name }) => name))
  for (const layer of graph.layers) {
    const [input] = layer.inputs
    if (dropout > 0 && input !== undefined && dropsBefore.has(layer.name)) {
      const name = `${layer.name}.dropout`
      add(makeLayer('dropout', name, attributes(dropout, name), [input], layers, placeOf(layer)))
      add({ ...layer, inputs: [name] })
    } else add(layer)
  }
  return { ...graph, layers: [...layers.values()] }
}

/** The same network without them. */
export function withoutDropping(graph: Graph): Graph {
  const stands = new Map<string, string>()
  const instead = (name: string): string => stands.get(name) ?? name
  const layers: Layer[] = []
  for (const layer of graph.layers) {
    const inputs = layer.inputs.map(instead)
    const [input = ''] = inputs
    if (layer.op === 'dropout') stands.set(layer.name, input)
    else layers.push(inputs.every((name, at) => name === layer.inputs[at]) ? layer : { ...layer, inputs })
  }
  return { ...graph, layers, output: instead(graph.output), features: instead(graph.features) }
}

/** The linear layers of the head, in their order. */
function headLayers({ layers, classifier }: Graph): readonly Layer[] {
  return layers.filter(({ op, name }) => op === 'linear' && (name === classifier || name.startsWith('head.')))
}

/** Where a layer belongs, for the one before it. */
function placeOf({ stage, block }: Layer): { stage: string; block?: string } {
  return { stage, ...(block === undefined ? {} : { block }) }
}

function attributes(rate: number, purpose: string): DroppingAttributes {
  return { rate, salt: randomStream({ seed: 0, purpose }).uint32() }
}
