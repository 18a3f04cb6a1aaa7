// What training leaves out at random, as the options say.
import { RegraftError } from '../errors.ts'
import { branchesOf, type Dropping, headLayers } from '../graph/dropping.ts'
import { blocksOf } from '../graph/freeze.ts'
import { type Graph, parametersOf } from '../graph/graph.ts'
import { inertName } from '../inert-text.ts'
import type { Model } from '../model/model.ts'
import type { TrainConfig } from './train-defaults.ts'

/** What is left out of a head that trains alone. */
export function headDroppingOf({ dropout, dropconnect }: TrainConfig): Dropping {
  return { dropout, dropConnect: dropconnect, paths: new Map() }
}

/**
 * What is left out of a network that trains.
 * @param graph  with the layers marked that are frozen
 * @throws RegraftError 'usage' when there are no weights or no residual branch to leave out
 */
export function droppingOf(model: Pick<Model, 'architecture'>, graph: Graph, config: TrainConfig): Dropping {
  if (config.dropconnect > 0 && headLayers(graph).every(({ frozen }) => frozen))
    throw new RegraftError(
      'usage',
      '--dropconnect leaves out weights of the head, and none of it trains. Leave it out, or take the head out of --freeze.',
    )
  const paths = config.dropPath > 0 ? pathsOf(model, graph, config.dropPath) : new Map()
  return { ...headDroppingOf(config), paths }
}

/** Whether pictures are mixed with others, so that each step needs all of its pictures together. */
export function mixesPictures({ mixup, cutmix }: Pick<TrainConfig, 'mixup' | 'cutmix'>): boolean {
  return mixup > 0 || cutmix > 0
}

/** The same configuration, but nothing is left out or mixed: what a network can do at all shows without that. */
export function withoutRegularisers(config: TrainConfig): TrainConfig {
  return { ...config, dropout: 0, dropconnect: 0, dropPath: 0, mixup: 0, cutmix: 0 }
}

/** Residual branches that train, or lie behind something that does, with shares that grow with depth. */
function pathsOf({ architecture }: Pick<Model, 'architecture'>, graph: Graph, most: number): Dropping['paths'] {
  const branches = branchesOf(graph)
  if (branches.size === 0)
    throw new RegraftError(
      'usage',
      `--drop-path leaves out residual branches, and ${inertName(architecture)} has none. Leave it out, or take a network that has some, such as resnet18 or mobilenetv2_100.`,
    )
  const moving = new Set<string>()
  for (const layer of graph.layers) {
    const trains = !layer.frozen && parametersOf(layer).length > 0
    if (trains || layer.inputs.some((name) => moving.has(name))) moving.add(layer.name)
  }
  const blocks = blocksOf(graph)
  const sums = [...branches.keys()]
  const paths = new Map<string, { branch: string; rate: number }>()
  for (const layer of graph.layers) {
    const branch = branches.get(layer.name)
    if (branch === undefined || !moving.has(branch)) continue
    const [at, count] =
      layer.block === undefined ? [sums.indexOf(layer.name), sums.length] : [blocks.indexOf(layer.block), blocks.length]
    // timm's rules: in a ResNet the last block has the whole share, in others the one that would follow it.
    const rate = (most * at) / Math.max(1, architecture.startsWith('resnet') ? count - 1 : count)
    if (rate > 0) paths.set(layer.name, { branch, rate })
  }
  if (paths.size === 0)
    throw new RegraftError(
      'usage',
      '--drop-path leaves out residual branches of blocks that train, and there are none among them. Leave it out, or unfreeze more with --unfreeze.',
    )
  return paths
}
