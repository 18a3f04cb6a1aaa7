// The layers on top of the feature vector.
import type { Architecture } from '../architectures/architecture.ts'
import { graphBuilder } from '../graph/builder.ts'
import { appendLayers } from '../graph/edit.ts'
import type { Graph } from '../graph/graph.ts'
import { type HiddenActivation, hiddenActivation, usualActivation } from './hidden-activation.ts'

/** Name of the layer of a linear head that is none of the network's own. */
export const LONE_CLASSIFIER = 'head.classifier'

/**
 * A linear head is the architecture's own classifier, unless that is no linear layer: then it is of the kind 'own', and a linear head stands
 * apart. Layers that stand apart have names that begin with `head.`, and a file of their own.
 */
export type Head =
  | { readonly kind: 'linear' }
  | { readonly kind: 'own' }
  | {
      readonly kind: 'mlp'
      readonly width: number
      readonly depth: number
      /** As `hiddenActivation` reads it; ReLU when absent. */
      readonly activation?: string
    }
  /** A hidden layer whose units are the largest of `pieces` affine ones. */
  | { readonly kind: 'maxout'; readonly width: number; readonly pieces: number }
  | NeighbourHead
  | { readonly kind: 'none' }

type HiddenHead = Extract<Head, { kind: 'mlp' | 'maxout' }>

/** Whether the head has layers that the architecture does not: they are saved beside it. */
export function hasHiddenLayers(head: Head): head is HiddenHead {
  return head.kind === 'mlp' || head.kind === 'maxout'
}

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

/** Whether a head is none of the network's own layers: it lies in a file of its own, since timm has nothing like it. */
export function standsApart(head: Head, { ownHead = false }: Pick<Architecture, 'ownHead'>): boolean {
  return hasHiddenLayers(head) || head.kind === 'knn' || (head.kind === 'linear' && ownHead)
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

/** The network with a linear classifier behind its features. */
export function withLinear(graph: Graph, classes: number): Graph {
  return appendLayers(graph, (add) =>
    add('linear', LONE_CLASSIFIER, { outFeatures: classes, bias: true }, [graph.output]),
  )
}

/** The network with hidden layers and a classifier behind its features. @throws Error for an activation that is not known */
export function withHiddenLayers(graph: Graph, classes: number, head: HiddenHead): Graph {
  let input = graph.output
  return appendLayers(graph, (add) => {
    if (head.kind === 'maxout') {
      const { width, pieces } = head
      input = add('linear', 'head.hidden.0', { outFeatures: width * pieces, bias: true }, [input])
      input = add('maxout', 'head.hidden.0.maxout', { pieces }, [input])
    } else {
      const activation = activationOf(head)
      for (let index = 0; index < head.depth; index++) {
        const name = `head.hidden.${index}`
        input = add('linear', name, { outFeatures: head.width, bias: true }, [input])
        input =
          activation.kind === 'prelu'
            ? add('prelu', `${name}.activation`, activation.shared ? { shared: true } : {}, [input])
            : add('activation', `${name}.activation`, activation, [input])
      }
    }
    return add('linear', LONE_CLASSIFIER, { outFeatures: classes, bias: true }, [input])
  })
}

function activationOf({ activation = usualActivation }: { readonly activation?: string }): HiddenActivation {
  const found = hiddenActivation(activation)
  if (found === undefined) throw new Error(`'${activation}' is no activation`)
  return found
}

/** A head alone, fed with feature vectors: what is trained on features that were computed once. */
export function headGraph(features: number, classes: number, head: Head, classifier: string): Graph {
  const net = graphBuilder()
  net.at('head')
  const input = net.layer('tensorInput', 'features', { shape: [features] }, [])
  if (hasHiddenLayers(head)) return withHiddenLayers(net.finish({ output: input, features: input }), classes, head)
  const output = net.layer('linear', classifier, { outFeatures: classes, bias: true }, [input])
  return net.finish({ output, features: input, classifier: output })
}
