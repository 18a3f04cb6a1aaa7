// The network as data: an immutable list of named layers in topological order.
import { type AttributesOf, type OpName, ops } from '../ops/index.ts'
import type { Op, ParameterSpec } from '../ops/op.ts'
import type { Shape } from '../tensor/shape.ts'

export interface LayerOf<K extends OpName> {
  /** As PyTorch (timm) names it: 'blocks.1.0.conv_pw'. */
  readonly name: string
  readonly op: K
  readonly attrs: AttributesOf<K>
  readonly inputs: readonly string[]
  /** 'stem', 'blocks.1', 'layer4', 'head' …: where features may be tapped, and the unit of `stage:` patterns. */
  readonly stage: string
  /** The block inside the stage, as the builder made it: 'blocks.1.0', 'layer4.1'; the unit of `last:N`. Absent in stem and head. */
  readonly block?: string
  /** Output shape without the batch, channels last. */
  readonly shape: Shape
  readonly inputShapes: readonly Shape[]
  /** A frozen layer is not updated, and its batch norm keeps its running statistics. */
  readonly frozen: boolean
}

/** A union told apart by `op`. */
export type Layer = { [K in OpName]: LayerOf<K> }[OpName]

export interface Graph {
  readonly layers: readonly Layer[]
  /** Name of the layer whose output is the network's. */
  readonly output: string
  /** Name of the layer that gives the feature vector, the input of the classifier. */
  readonly features: string
  /** Name of the classifier, a linear layer; absent when the network ends with its features. */
  readonly classifier?: string
}

/** The op record of a layer, with attributes and record known to fit each other. */
export function opOf(layer: Layer): Op<Layer['attrs']> {
  // Layer ties attrs to op name by name; TypeScript cannot follow that through an indexed union.
  return ops[layer.op] as unknown as Op<Layer['attrs']>
}

export function parametersOf(layer: Layer): readonly ParameterSpec[] {
  return opOf(layer).parameters(layer.attrs, layer.inputShapes)
}

/** Full name of a parameter, as in checkpoints. */
export function parameterName(layer: Layer, spec: ParameterSpec): string {
  return nameWithin(layer.name, spec.name)
}

/** Full name of what a layer calls so; a parameter without a name of its own is called as its layer. */
export function nameWithin(layer: string, parameter: string): string {
  return parameter === '' ? layer : `${layer}.${parameter}`
}

export function layerNamed(graph: Graph, name: string): Layer {
  const layer = graph.layers.find((candidate) => candidate.name === name)
  if (layer === undefined) throw new Error(`the graph has no layer '${name}'`)
  return layer
}

/** Layers that read the output of each layer. */
export function consumersOf(graph: Graph): ReadonlyMap<string, readonly Layer[]> {
  const consumers = new Map<string, Layer[]>(graph.layers.map((layer) => [layer.name, []]))
  for (const layer of graph.layers) for (const input of layer.inputs) consumers.get(input)?.push(layer)
  return consumers
}
