// Adds layers one by one and infers shapes at once, so that a mistake points at the line that made it.
import { type AttributesOf, type OpName, ops } from '../ops/index.ts'
import type { Op } from '../ops/op.ts'
import type { Graph, Layer, LayerOf } from './graph.ts'

export interface GraphBuilder {
  /** Layers added from here on belong to this stage and block. */
  at(stage: string, block?: string): void
  /**
   * @param inputs  names of the layers it reads
   * @returns       its name
   */
  layer<K extends OpName>(op: K, name: string, attrs: AttributesOf<K>, inputs: readonly string[]): string
  shapeOf(name: string): readonly number[]
  finish(ends: { output: string; features: string; classifier?: string }): Graph
}

export function graphBuilder(): GraphBuilder {
  const layers = new Map<string, Layer>()
  let stage = 'stem'
  let block: string | undefined
  return {
    at(nextStage, nextBlock) {
      stage = nextStage
      block = nextBlock
    },
    layer(op, name, attrs, inputs) {
      if (layers.has(name)) throw new Error(`two layers are called '${name}'`)
      layers.set(name, makeLayer(op, name, attrs, inputs, layers, { stage, ...(block === undefined ? {} : { block }) }))
      return name
    },
    shapeOf(name) {
      const layer = layers.get(name)
      if (!layer) throw new Error(`there is no layer '${name}' yet`)
      return layer.shape
    },
    finish: (ends) => ({ layers: [...layers.values()], ...ends }),
  }
}

/** One layer over layers that exist already. @throws Error naming the layer when the shapes do not fit */
export function makeLayer<K extends OpName>(
  op: K,
  name: string,
  attrs: AttributesOf<K>,
  inputs: readonly string[],
  existing: ReadonlyMap<string, Layer>,
  where: { stage: string; block?: string },
): Layer {
  const inputShapes = inputs.map((input) => {
    const layer = existing.get(input)
    if (!layer) throw new Error(`layer '${name}' reads '${input}', which does not exist`)
    return layer.shape
  })
  // The record of an op takes the attributes of that op; the table's type cannot say so for a variable name.
  const record = ops[op] as unknown as Op<AttributesOf<K>>
  let shape: readonly number[]
  try {
    shape = record.shape(attrs, inputShapes)
  } catch (cause) {
    throw new Error(`layer '${name}': ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
  const layer: LayerOf<K> = { name, op, attrs, inputs, ...where, shape, inputShapes, frozen: false }
  return layer as unknown as Layer
}
