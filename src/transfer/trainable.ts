import { headLayers } from '../graph/edit.ts'
import { selectLayers } from '../graph/freeze.ts'
import { type Graph, parameterName, parametersOf } from '../graph/graph.ts'
import { weightAverageBytes } from '../optim/weight-average.ts'
import type { PlannedParameters } from '../runtime/parameters.ts'
import type { TrainConfig } from './train-defaults.ts'

/** Names of the layers that train. @throws RegraftError 'usage' when a pattern matches nothing */
export function trainableLayers(graph: Graph, config: Pick<TrainConfig, 'unfreeze' | 'freeze'>): ReadonlySet<string> {
  const chosen = new Set(selectLayers(graph, config.unfreeze))
  for (const { name } of headLayers(graph)) chosen.add(name)
  if (config.freeze !== null) for (const name of selectLayers(graph, config.freeze)) chosen.delete(name)
  return chosen
}

export function trainableParameters(graph: Graph, bnAffine: TrainConfig['bnAffine']): ReadonlySet<string> {
  const names = new Set<string>()
  for (const layer of graph.layers) {
    if (layer.frozen) continue
    for (const spec of parametersOf(layer)) {
      if (spec.kind !== 'statistic' && !(spec.kind === 'norm' && bnAffine === 'frozen'))
        names.add(parameterName(layer, spec))
    }
  }
  return names
}

export function batchStatistics(graph: Graph, bn: TrainConfig['bn']): ReadonlySet<string> {
  const norms = graph.layers.filter((layer) => layer.op === 'batchNorm')
  if (bn === 'frozen' || bn === 'adapt') return new Set()
  return new Set(norms.filter((layer) => bn === 'train' || !layer.frozen).map((layer) => layer.name))
}

/** Bytes of the average of the weights, where there is one. @param changing  parameters that training changes */
export function averageBytes(changing: readonly { readonly length: number }[], { ema }: TrainConfig): number {
  return ema === null ? 0 : weightAverageBytes(changing.reduce((sum, { length }) => sum + length, 0))
}

/** How many values the trainable parameters have in memory. */
export function trainableValues(all: PlannedParameters, trainable: ReadonlySet<string>): number {
  return all.parameters.reduce((sum, { name, length }) => sum + (trainable.has(name) ? length : 0), 0)
}
