// Rates that differ between the layers of a network: what lies deeper was learned from more pictures and should change less.
import { RegraftError } from '../errors.ts'
import { pow } from '../exact-math.ts'
import { headParameters } from '../graph/edit.ts'
import { freezeExcept } from '../graph/freeze.ts'
import { type Graph, parameterName, parametersOf } from '../graph/graph.ts'
import { graphOf, type Model } from '../model/model.ts'
import type { Parameter } from '../runtime/parameters.ts'
import { parseRates } from './rates.ts'
import type { TrainConfig } from './train-defaults.ts'
import { trainableLayers, trainableParameters } from './trainable.ts'

/** How the parameters of a network differ in what a step does to them. */
export interface LayerRates {
  /** Multiplies the rate. */
  readonly rateScale: (parameter: Pick<Parameter, 'name'>) => number
  /** Epochs in which it does not change yet. */
  readonly waits: (parameter: Pick<Parameter, 'name'>) => number
}

/**
 * @param graph      with its frozen layers marked
 * @param trainable  names of the parameters that train
 * @throws RegraftError 'usage' when the epochs do not suffice to thaw all of them
 */
export function layerRates(graph: Graph, trainable: ReadonlySet<string>, config: TrainConfig): LayerRates {
  const units = trainedUnits(graph, trainable)
  return { rateScale: rateScales(units, config), waits: waitingEpochs(units, config) }
}

/** @throws RegraftError as `layerRates` */
export function checkLayerRates(model: Model, config: TrainConfig): void {
  const plain = graphOf(model)
  const graph = freezeExcept(plain, trainableLayers(plain, config))
  layerRates(graph, trainableParameters(graph, config.bnAffine), config)
}

/**
 * The layers that train, as the units by which rates differ and layers are thawed: blocks, what lies beside them by its stage, and the
 * classifier; from the input on. By name of the parameter.
 */
function trainedUnits(graph: Graph, trainable: ReadonlySet<string>): ReadonlyMap<string, number> {
  const order: string[] = []
  const units = new Map<string, number>()
  const head = headParameters(graph)
  for (const layer of graph.layers) {
    for (const spec of parametersOf(layer)) {
      const name = parameterName(layer, spec)
      if (!trainable.has(name)) continue
      const unit = head.has(name) ? 'classifier' : (layer.block ?? layer.stage)
      if (!order.includes(unit)) order.push(unit)
      units.set(name, order.indexOf(unit))
    }
  }
  return units
}

/** Multiplies the rate of the head for a parameter: --lr A:B falls evenly from unit to unit, --layer-decay by its factor. */
function rateScales(
  units: ReadonlyMap<string, number>,
  { lr, layerDecay }: Pick<TrainConfig, 'lr' | 'layerDecay'>,
): (parameter: Pick<Parameter, 'name'>) => number {
  const { head, first } = parseRates(lr)
  const last = Math.max(...units.values())
  const factor = first === undefined ? (layerDecay ?? 1) : pow(first / head, 1 / Math.max(1, last))
  return ({ name }) => pow(factor, last - (units.get(name) ?? last))
}

/**
 * Epochs that a parameter waits before it trains: the units are thawed one after the other, from the head on (Howard & Ruder 2018).
 * @throws RegraftError 'usage' when the epochs do not suffice
 */
function waitingEpochs(
  units: ReadonlyMap<string, number>,
  { gradual, epochs }: Pick<TrainConfig, 'gradual' | 'epochs'>,
): (parameter: Pick<Parameter, 'name'>) => number {
  const last = Math.max(...units.values())
  const each = gradual ?? 0
  if (last * each >= epochs)
    throw new RegraftError(
      'usage',
      `--gradual ${each} would thaw the last of ${last + 1} parts of the network after ${last * each} epochs, but there are ${epochs}.\n` +
        'Give more --epochs, a smaller --gradual, or --unfreeze fewer layers.',
    )
  return ({ name }) => (last - (units.get(name) ?? last)) * each
}
