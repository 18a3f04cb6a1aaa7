// Our graphs and weights as ONNX models, as `export` writes them. Batch norms stay nodes of their own; runtimes fold them when they load.
import { permutedNumbers } from '../../src/formats/permuted-numbers.ts'
import { onnxModel } from '../../src/formats/write-onnx.ts'
import { graphBuilder } from '../../src/graph/builder.ts'
import type { Graph } from '../../src/graph/graph.ts'
import type { HostTensor } from '../../src/tensor/host-tensor.ts'

/** A model of one product: output [m, n] = input [m, k] · b [k, n], b known. */
export function onnxMatmul(m: number, k: number, n: number, b: Float32Array): Uint8Array {
  const net = graphBuilder()
  const rows = net.layer('tensorInput', 'rows', { shape: [k] }, [])
  const product = net.layer('linear', 'product', { outFeatures: n }, [rows])
  const weight = { shape: [n, k], data: permutedNumbers([k, n], b, [1, 0]) }
  return onnxNetwork(net.finish({ output: product, features: product }), new Map([['product.weight', weight]]), m)
}

/** A network; its input is called 'input', its output 'output'. */
export function onnxNetwork(graph: Graph, tensors: ReadonlyMap<string, HostTensor>, images: number): Uint8Array {
  return onnxModel(graph, tensors, { producerVersion: 'bench', batch: images })
}
