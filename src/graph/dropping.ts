// A network as it is trained: with layers that leave something out at random. The network that is validated, used and saved has none.
import type { DroppingAttributes } from '../ops/dropping.ts'
import { randomStream } from '../random.ts'
import { makeLayer } from './builder.ts'
import type { Graph, Layer } from './graph.ts'

/** Shares of what is left out. */
export interface Dropping {
  /** Of the values that enter the classifier, and each hidden layer of the head but the first. */
  readonly dropout: number
  /** Of the weights of the head's linear layers that train. */
  readonly dropConnect: number
  /** Of the pictures that go without a residual branch, with the last layer of the branch, by the layer that adds it. */
  readonly paths: ReadonlyMap<string, { readonly branch: string; readonly rate: number }>
}

/** Adds to a network what is left out in training. Names of other layers, and of parameters, stay. */
export function withDropping(graph: Graph, { dropout, dropConnect, paths }: Dropping): Graph {
  const layers = new Map<string, Layer>()
  const add = (layer: Layer) => layers.set(layer.name, layer)
  const head = headLayers(graph)
  const [first, ...further] = head
  const dropsWeights = new Set(dropConnect > 0 ? head.filter(({ frozen }) => !frozen).map(({ name }) => name) : [])
  const dropsBefore = new Set((further.length > 0 ? further : first ? [first] : []).map(({ name }) => name))
  /** Puts a layer between a layer and one of its inputs. */
  const putBefore = (layer: Layer, op: 'dropout' | 'dropPath', name: string, input: string, rate: number) => {
    add(makeLayer(op, name, attributes(rate, name), [input], layers, placeOf(layer)))
    add({ ...layer, inputs: layer.inputs.map((each) => (each === input ? name : each)) })
  }
  for (const given of graph.layers) {
    const layer = dropsWeights.has(given.name) ? withDroppedWeights(given, dropConnect) : given
    const [input] = layer.inputs
    const path = paths.get(layer.name)
    if (dropout > 0 && input !== undefined && dropsBefore.has(layer.name))
      putBefore(layer, 'dropout', `${layer.name}.dropout`, input, dropout)
    else if (path) putBefore(layer, 'dropPath', `${layer.name}.drop_path`, path.branch, path.rate)
    else add(layer)
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
    if (layer.op === 'dropout' || layer.op === 'dropPath') stands.set(layer.name, input)
    else
      layers.push(withAllWeights(inputs.every((name, at) => name === layer.inputs[at]) ? layer : { ...layer, inputs }))
  }
  return { ...graph, layers, output: instead(graph.output), features: instead(graph.features) }
}

/** Residual branches by the layers that add them: of the two inputs the one that more layers lead to. */
export function branchesOf({ layers }: Graph): ReadonlyMap<string, string> {
  const depths = new Map<string, number>()
  const branches = new Map<string, string>()
  for (const { name, op, inputs } of layers) {
    const depth = (input: string | undefined) => depths.get(input ?? '') ?? 0
    depths.set(name, 1 + Math.max(0, ...inputs.map(depth)))
    const [a = '', b = ''] = inputs
    if (op === 'add' && depth(a) !== depth(b)) branches.set(name, depth(a) > depth(b) ? a : b)
  }
  return branches
}

/** The linear layers of the head, in their order. */
export function headLayers({ layers, classifier }: Graph): readonly Layer[] {
  return layers.filter(({ op, name }) => op === 'linear' && (name === classifier || name.startsWith('head.')))
}

function withDroppedWeights(layer: Layer, rate: number): Layer {
  if (layer.op !== 'linear') return layer
  return { ...layer, attrs: { ...layer.attrs, dropConnect: attributes(rate, `${layer.name}.weight`) } }
}

function withAllWeights(layer: Layer): Layer {
  if (layer.op !== 'linear' || !layer.attrs.dropConnect) return layer
  const { dropConnect: _, ...attrs } = layer.attrs
  return { ...layer, attrs }
}

/** Where a layer belongs, for the one before it. */
function placeOf({ stage, block }: Layer): { stage: string; block?: string } {
  return { stage, ...(block === undefined ? {} : { block }) }
}

function attributes(rate: number, purpose: string): DroppingAttributes {
  return { rate, salt: randomStream({ seed: 0, purpose }).uint32() }
}
