// A trunk and a head that was trained on its features become a model.
import { parameterName, parametersOf } from '../graph/graph.ts'
import type { HostTensor } from '../tensor/host-tensor.ts'
import { LONE_CLASSIFIER } from './head.ts'
import { architectureOf, graphOf, linearHeadName, type Model } from './model.ts'

/** The weights of a model without those of its head. */
export function trunkTensors(model: Model): Map<string, HostTensor> {
  const trunk = new Set(
    graphOf({ ...model, head: { kind: 'none' }, labels: [] }).layers.flatMap((layer) =>
      parametersOf(layer).map((spec) => parameterName(layer, spec)),
    ),
  )
  return new Map([...model.tensors].filter(([name]) => trunk.has(name)))
}

/**
 * The network of a model with another head.
 * @param tensors  of the head; those of a linear one under the name of the network's classifier, or of none
 */
export function joinHead(model: Model, parts: Pick<Model, 'head' | 'labels' | 'loss' | 'tensors'>): Model {
  const classifier = linearHeadName(architectureOf(model))
  const { threshold: _, loss: __, ...trunk } = model
  const { head, labels, loss } = parts
  const renamed = [...parts.tensors].map(([name, tensor]) => {
    const lone = parts.head.kind === 'linear' && name.startsWith(`${LONE_CLASSIFIER}.`)
    return [lone ? `${classifier}${name.slice(LONE_CLASSIFIER.length)}` : name, tensor] as const
  })
  const tensors = new Map([...trunkTensors(model), ...renamed])
  return { ...trunk, head, labels, ...(loss === undefined ? {} : { loss }), tensors }
}
