// Where a network that trains in part is cut: what lies below gives the same for the same picture, step after step.
import { after, upTo } from '../graph/edit.ts'
import { type Graph, type Layer, parameterName, parametersOf } from '../graph/graph.ts'
import { planFusions } from './fusion.ts'
import type { TrainingMode } from './plan.ts'

/**
 * The last layer where the network can be cut without a trace: no parameter before it trains, no batch norm before it learns
 * statistics, nothing behind it reads what lies before it, and no kernel computes it together with the layer behind it, so that the
 * parts give the bits of the whole.
 * @returns undefined when nothing can be cut off but the input
 */
export function frozenBoundary(graph: Graph, { trainable, batchStatistics }: TrainingMode): string | undefined {
  const moving = new Set<string>()
  for (const layer of graph.layers) {
    const trains = parametersOf(layer).some((spec) => trainable.has(parameterName(layer, spec)))
    if (trains || batchStatistics.has(layer.name) || layer.inputs.some((name) => moving.has(name)))
      moving.add(layer.name)
  }
  const ends = new Set([graph.output, graph.features])
  const inTraining = planFusions(graph, ({ name }) => !moving.has(name), ends).absorbed
  const inInference = planFusions(graph, () => true, ends).absorbed
  const boundary = graph.layers.findLast(
    (layer) =>
      !moving.has(layer.name) &&
      !inTraining.has(layer.name) &&
      !inInference.has(layer.name) &&
      layer.name !== graph.output &&
      isCut(graph, layer),
  )
  // To take a mean away costs less than to keep what it gives.
  return boundary === undefined || boundary.inputs.length === 0 || boundary.op === 'meanImage'
    ? undefined
    : boundary.name
}

/** Whether all paths from the input to the output lead through a layer. */
function isCut(graph: Graph, { name }: Layer): boolean {
  const below = new Set(upTo(graph, name).layers.map((layer) => layer.name))
  return graph.layers.every(
    (layer) => below.has(layer.name) || layer.inputs.every((input) => input === name || !below.has(input)),
  )
}

/** The two parts of a network. */
export function cutAt(graph: Graph, boundary: string): { readonly lower: Graph; readonly upper: Graph } {
  return { lower: upTo(graph, boundary), upper: after(graph, boundary) }
}
