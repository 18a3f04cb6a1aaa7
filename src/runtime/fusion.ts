// Which layers are computed together in one kernel call: convolution, frozen batch norm, activation and residual.
import { consumersOf, type Graph, type Layer } from '../graph/graph.ts'
import { isFused } from '../ops/activation.ts'
import type { FusedActivation } from '../ops/op.ts'

/** Layers computed by one call, at the place of the last of them. */
export interface Fusion {
  readonly head: Layer
  /** Its batch norm, folded into its weights. */
  readonly norm?: Layer
  /** The addition at the end of a residual block, done in the store. */
  readonly residual?: { readonly layer: Layer; readonly other: string }
  readonly activation: FusedActivation
  /** The layer whose output this gives. */
  readonly tail: Layer
}

/**
 * @param mayFuse   layers that run exactly as in inference: nothing about them is kept, no parameter of theirs changes
 * @param visible   outputs that must exist by themselves
 * @returns         fusions by the name of their tail, and the layers that vanish into them
 */
export function planFusions(
  graph: Graph,
  mayFuse: (layer: Layer) => boolean,
  visible: ReadonlySet<string>,
): { byTail: ReadonlyMap<string, Fusion>; absorbed: ReadonlySet<string> } {
  const consumers = consumersOf(graph)
  const order = new Map(graph.layers.map((layer, at) => [layer.name, at]))
  const onlyConsumer = (layer: Layer): Layer | undefined => {
    const readers = consumers.get(layer.name) ?? []
    const [reader] = readers
    return readers.length === 1 && reader && !visible.has(layer.name) && mayFuse(reader) ? reader : undefined
  }
  const byTail = new Map<string, Fusion>()
  const absorbed = new Set<string>()
  for (const head of graph.layers) {
    if ((head.op !== 'conv2d' && head.op !== 'depthwiseConv2d' && head.op !== 'linear') || !mayFuse(head)) continue
    let tail: Layer = head
    let activation: FusedActivation = 'none'
    let norm: Layer | undefined
    let residual: { layer: Layer; other: string } | undefined

    const afterHead = onlyConsumer(tail)
    if (afterHead?.op === 'batchNorm') {
      norm = afterHead
      tail = afterHead
      activation = afterHead.attrs.activation ?? 'none'
    }
    const addition = activation === 'none' && head.op !== 'depthwiseConv2d' ? onlyConsumer(tail) : undefined
    if (addition?.op === 'add') {
      const tailName = tail.name
      const other = addition.inputs.find((input) => input !== tailName)
      // Of two branches only the one that is computed last can take the other as its residual.
      if (other !== undefined && (order.get(other) ?? 0) < (order.get(tailName) ?? 0)) {
        residual = { layer: addition, other }
        tail = addition
        activation = addition.attrs.activation ?? 'none'
      }
    }
    const alone = activation === 'none' ? onlyConsumer(tail) : undefined
    if (alone?.op === 'activation' && isFused(alone.attrs.kind)) {
      activation = alone.attrs.kind
      tail = alone
    }
    if (tail === head) continue
    for (const layer of [head, norm, residual?.layer]) if (layer && layer !== tail) absorbed.add(layer.name)
    byTail.set(tail.name, { head, tail, activation, ...(norm ? { norm } : {}), ...(residual ? { residual } : {}) })
  }
  return { byTail, absorbed }
}
