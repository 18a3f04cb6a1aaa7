// A model: which network, its weights in file order, how pictures become its input, and what its outputs are called.
import type { Architecture } from '../architectures/architecture.ts'
import { architectureOfGraph } from '../architectures/from-graph.ts'
import { architectureNamed } from '../architectures/index.ts'
import type { Preprocessing } from '../data/preprocessing.ts'
import type { ArchitectureFamily } from '../formats/rename.ts'
import { graphBuilder } from '../graph/builder.ts'
import { appendLayers } from '../graph/edit.ts'
import type { Graph } from '../graph/graph.ts'
import type { HostTensor } from '../tensor/host-tensor.ts'

/** The layers on top of the feature vector. A linear head is the architecture's own classifier. */
export type Head =
  | { readonly kind: 'linear' }
  | { readonly kind: 'mlp'; readonly width: number; readonly depth: number }
  | NeighbourHead
  | { readonly kind: 'none' }

/** Remembers vectors; those nearest by cosine vote. It has no layers: the network ends with its features. */
export interface NeighbourHead {
  readonly kind: 'knn'
  /** How many vote. */
  readonly neighbours: number
  /** Vectors that are remembered. */
  readonly rows: number
  /** Values of each. */
  readonly width: number
  /** They are principal components of the features. */
  readonly projected: boolean
}

/** Whether a head lies in a file of its own, since timm has nothing like it. */
export function isApart({ kind }: Head): boolean {
  return kind === 'mlp' || kind === 'knn'
}

/** Names and shapes of the tensors of a head of neighbours. @param features  values of a feature vector */
export function neighbourTensors(head: NeighbourHead, features: number): ReadonlyMap<string, readonly number[]> {
  return new Map([
    ['head.mean', [features]],
    ['head.scale', [features]],
    ...(head.projected
      ? ([
          ['head.components.mean', [features]],
          ['head.components.weight', [head.width, features]],
        ] as const)
      : []),
    ['head.vectors', [head.rows, head.width]],
    ['head.labels', [head.rows]],
  ])
}

export interface Model {
  /** timm's name, or 'regraft-graph'. */
  readonly architecture: string
  /** The network itself, as it came, where no architecture here builds it. */
  readonly graph?: Graph
  /** timm's model_args. */
  readonly args: Readonly<Record<string, unknown>>
  readonly head: Head
  /** Names of the outputs; empty when the model has no head. */
  readonly labels: readonly string[]
  readonly preprocessing: Preprocessing
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

/** Whose foreign names for the tensors are understood. MobileNetV1 is not in torchvision, and ResNet has the same names there. */
export function familyOf(architecture: string): ArchitectureFamily {
  return architecture.startsWith('mobilenetv2') ? 'mobilenetv2' : 'resnet'
}

/** What builds the network of a model. @throws RegraftError 'weights' */
export function architectureOf({ architecture, graph }: Pick<Model, 'architecture' | 'graph'>): Architecture {
  return graph === undefined ? architectureNamed(architecture) : architectureOfGraph(graph)
}

/** The network of a model at its input size, with the head it has. */
export function graphOf(
  model: Pick<Model, 'architecture' | 'graph' | 'args' | 'head' | 'labels' | 'preprocessing'>,
): Graph {
  const architecture = architectureOf(model)
  const { height, width, mean, std } = model.preprocessing
  const classes = model.head.kind === 'linear' ? model.labels.length : 0
  const graph = architecture.build({ classes, height, width, mean, std, args: model.args })
  return model.head.kind === 'mlp' ? withMlp(graph, model.labels.length, model.head) : graph
}

/** Hidden layers of `width` with ReLU, then the classifier, all named `head.…`. */
export function withMlp(
  graph: Graph,
  classes: number,
  head: { readonly width: number; readonly depth: number },
): Graph {
  let input = graph.output
  return appendLayers(graph, (add) => {
    for (let index = 0; index < head.depth; index++) {
      input = add('linear', `head.hidden.${index}`, { outFeatures: head.width, bias: true }, [input])
      input = add('activation', `head.hidden.${index}.activation`, { kind: 'relu' }, [input])
    }
    return add('linear', 'head.classifier', { outFeatures: classes, bias: true }, [input])
  })
}

/** A head alone, fed with feature vectors: what is trained on features that were computed once. */
export function headGraph(features: number, classes: number, head: Head, classifier: string): Graph {
  const net = graphBuilder()
  net.at('head')
  const input = net.layer('tensorInput', 'features', { shape: [features] }, [])
  if (head.kind === 'mlp') return withMlp(net.finish({ output: input, features: input }), classes, head)
  const output = net.layer('linear', classifier, { outFeatures: classes, bias: true }, [input])
  return net.finish({ output, features: input, classifier: output })
}
