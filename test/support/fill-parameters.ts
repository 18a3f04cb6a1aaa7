// Weights for small test networks: random, of a size that keeps activations near one, and the same on every machine.

import type { Graph, Layer } from '../../src/graph/graph.ts'
import { parameterName, parametersOf } from '../../src/graph/graph.ts'
import type { ParameterSpec } from '../../src/ops/op.ts'
import type { ParameterStore } from '../../src/runtime/parameters.ts'
import type { HostTensor } from '../../src/tensor/host-tensor.ts'
import { noise } from './values.ts'

/** Values for all parameters and running statistics of a graph, by full name, in file layout. */
export function randomParameters(graph: Graph, seed: number): Map<string, HostTensor> {
  const tensors = new Map<string, HostTensor>()
  for (const [at, layer] of graph.layers.entries()) {
    for (const [index, spec] of parametersOf(layer).entries()) {
      tensors.set(parameterName(layer, spec), randomTensor(layer, spec, seed * 10_007 + at * 16 + index))
    }
  }
  return tensors
}

function randomTensor(layer: Layer, spec: ParameterSpec, seed: number): HostTensor {
  const { shape, kind, name } = spec
  const values = noise(
    shape.reduce((product, size) => product * size, 1),
    seed,
  )
  if (kind === 'weight') {
    const summed = shape.slice(1).reduce((product, size) => product * size, 1)
    const bound = Math.sqrt((layer.op === 'linear' ? 3 : 6) / summed)
    return { shape, data: values.map((value) => value * bound) }
  }
  // Scales and variances around one, shifts and means around zero.
  const centre = name === 'running_var' || (kind === 'norm' && name !== 'bias') ? 1 : 0
  return { shape, data: values.map((value) => centre + value * 0.3) }
}

export function writeParameters(store: ParameterStore, tensors: ReadonlyMap<string, HostTensor>): void {
  for (const [name, tensor] of tensors) store.write(name, tensor)
}
