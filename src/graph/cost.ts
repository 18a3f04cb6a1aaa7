import { type Graph, opOf, parametersOf } from './graph.ts'

export interface Cost {
  /** Per picture. */
  readonly multiplyAdds: number
  readonly parameters: number
  readonly trainable: number
}

/** Multiply-adds and parameters, of everything and of what trains. Running statistics do not count. */
export function costOf(graph: Graph): Cost {
  let multiplyAdds = 0
  let parameters = 0
  let trainable = 0
  for (const layer of graph.layers) {
    multiplyAdds += opOf(layer).cost(layer.attrs, layer.inputShapes)
    for (const spec of parametersOf(layer)) {
      if (spec.kind === 'statistic') continue
      const count = spec.shape.reduce((product, size) => product * size, 1)
      parameters += count
      if (!layer.frozen) trainable += count
    }
  }
  return { multiplyAdds, parameters, trainable }
}
