// A model: which network, its weights in file order, how pictures become its input, and what its outputs are called.
import type { Architecture } from '../architectures/architecture.ts'
import { architectureOfGraph } from '../architectures/from-graph.ts'
import { architectureNamed } from '../architectures/index.ts'
import type { Preprocessing } from '../data/preprocessing.ts'
import type { Graph } from '../graph/graph.ts'
import { type Loss, type OutputKind, outputKindOf } from '../runtime/loss.ts'
import type { HostTensor } from '../tensor/host-tensor.ts'
import { type Head, hasHiddenLayers, LONE_CLASSIFIER, standsApart, withHiddenLayers, withLinear } from './head.ts'
import { withMeanImage } from './mean-image.ts'

export type { Head } from './head.ts'

export interface Model {
  /** timm's name, or 'regraft-graph'. */
  readonly architecture: string
  /** The network itself, as it came, where no architecture here builds it. */
  readonly graph?: Graph
  /** What builds the network, where it is none of those that are known here. */
  readonly builder?: Architecture
  /** timm's model_args. */
  readonly args: Readonly<Record<string, unknown>>
  readonly head: Head
  /** Names of the outputs; empty when the model has no head. */
  readonly labels: readonly string[]
  readonly preprocessing: Preprocessing
  /** What it was trained to make small, which says how its outputs are read; cross-entropy of softmax when absent. */
  readonly loss?: Loss
  /** Probability below which a prediction counts as unknown; nothing does when absent. */
  readonly threshold?: number
  /** Weights by name, in file layout; running statistics included. */
  readonly tensors: ReadonlyMap<string, HostTensor>
  /** `num_batches_tracked` of each batch norm. */
  readonly counters: ReadonlyMap<string, number>
  /** The other fields of timm's pretrained_cfg that are worth keeping. */
  readonly origin: ModelOrigin
}

export interface ModelOrigin {
  /** As the user named it. */
  readonly name: string
  /** SHA-256 of the weight file. */
  readonly sha256?: string
  readonly tag?: string
  readonly license?: string
}

/** How the outputs of a model are read. */
export function outputOf({ head, loss }: Pick<Model, 'head' | 'loss'>): OutputKind {
  return head.kind === 'none' ? 'identity' : outputKindOf(loss ?? { kind: 'ce' })
}

/** What builds the network of a model. @throws RegraftError 'weights' */
export function architectureOf(model: Pick<Model, 'architecture' | 'graph' | 'builder'>): Architecture {
  const { architecture, graph, builder } = model
  return builder ?? (graph === undefined ? architectureNamed(architecture) : architectureOfGraph(graph))
}

/** The network of a model at its input size, with the head it has. */
export function graphOf(
  model: Pick<Model, 'architecture' | 'graph' | 'builder' | 'args' | 'head' | 'labels' | 'preprocessing'>,
): Graph {
  const architecture = architectureOf(model)
  const { height, width, mean, std } = model.preprocessing
  const { head, labels } = model
  const apart = standsApart(head, architecture)
  const classes = apart || head.kind === 'none' ? 0 : labels.length
  const plain = architecture.build({ classes, height, width, mean, std, args: model.args })
  const graph = model.preprocessing.meanImage === undefined ? plain : withMeanImage(plain)
  if (hasHiddenLayers(head)) return withHiddenLayers(graph, labels.length, head)
  return apart && head.kind === 'linear' ? withLinear(graph, labels.length) : graph
}

/** The head of weights that come with nothing that tells it. */
export function usualHead(classes: number, { ownHead = false }: Pick<Architecture, 'ownHead'>): Head {
  if (classes === 0) return { kind: 'none' }
  return { kind: ownHead ? 'own' : 'linear' }
}

/** What a linear head is called. */
export function linearHeadName({ ownHead = false, classifier }: Architecture): string {
  return ownHead ? LONE_CLASSIFIER : classifier
}
