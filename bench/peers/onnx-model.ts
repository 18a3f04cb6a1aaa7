// Our graphs and weights as ONNX models. Batch norms stay nodes of their own, as PyTorch exports them; runtimes fold them when they load.
import protobuf from 'protobufjs'
import type { Graph, Layer } from '../../src/graph/graph.ts'
import type { FusedActivation } from '../../src/ops/op.ts'
import type { Padding } from '../../src/ops/window.ts'
import type { HostTensor } from '../../src/tensor/host-tensor.ts'

/** The part of onnx.proto that these models use. */
const schema = protobuf.parse(
  `
  syntax = "proto3";
  message Model { int64 ir_version = 1; string producer_name = 2; Graph graph = 7; repeated Opset opset_import = 8; }
  message Opset { string domain = 1; int64 version = 2; }
  message Graph {
    repeated Node node = 1; string name = 2; repeated Tensor initializer = 5; repeated Value input = 11; repeated Value output = 12;
  }
  message Node {
    repeated string input = 1; repeated string output = 2; string name = 3; string op_type = 4; repeated Attribute attribute = 5;
  }
  message Attribute { string name = 1; float f = 2; int64 i = 3; repeated int64 ints = 8; int32 type = 20; }
  message Tensor { repeated int64 dims = 1; int32 data_type = 2; string name = 8; bytes raw_data = 9; }
  message Value { string name = 1; Type type = 2; }
  message Type { TensorType tensor_type = 1; }
  message TensorType { int32 elem_type = 1; Shape shape = 2; }
  message Shape { repeated Dimension dim = 1; }
  message Dimension { int64 dim_value = 1; }
`,
  { keepCase: true },
).root

const FLOAT = 1
const OPSET = 17
const IR_VERSION = 8

type Attribute = number | { readonly float: number } | readonly number[]

interface Node {
  readonly op_type: string
  readonly name: string
  readonly input: readonly string[]
  readonly output: readonly string[]
  readonly attribute: readonly object[]
}

/** A model of one product: output [m, n] = input [m, k] · b [k, n], b known. */
export function onnxMatmul(m: number, k: number, n: number, b: Float32Array): Uint8Array {
  return encode(
    [node('MatMul', 'matmul', ['input', 'b'], 'output')],
    [tensor('b', { shape: [k, n], data: b })],
    ['input', [m, k]],
    ['output', [m, n]],
  )
}

/**
 * A network; its input is called 'input', its output 'output'.
 * @param tensors  by parameter name, in the layout of weight files
 * @throws Error for layers and paddings that no network of the benchmark has
 */
export function onnxNetwork(graph: Graph, tensors: ReadonlyMap<string, HostTensor>, images: number): Uint8Array {
  const [entry] = graph.layers
  if (entry?.op !== 'imageInput') throw new Error('a network begins with pictures')
  const { height, width } = entry.attrs
  const nodes = graph.layers.flatMap((layer) => nodesOf(layer))
  const initializers = [...tensors].map(([name, values]) => tensor(name, values))
  const limits = [tensor('zero', scalar(0)), tensor('six', scalar(6))]
  nodes.push(node('Identity', 'result', [graph.output], 'output'))
  const classes = graph.layers.find(({ name }) => name === graph.output)?.shape ?? []
  return encode(
    nodes,
    [...initializers, ...limits],
    ['input', [images, 3, height, width]],
    ['output', [images, ...classes]],
  )
}

function nodesOf(layer: Layer): Node[] {
  const { name, inputs } = layer
  const weight = (...names: string[]) => names.map((each) => `${name}.${each}`)
  switch (layer.op) {
    case 'imageInput':
      return layer.name === 'input' ? [] : [node('Identity', name, ['input'], name)]
    case 'conv2d':
    case 'depthwiseConv2d': {
      const { kernel, stride, padding, dilation, bias } = layer.attrs
      const group = layer.op === 'depthwiseConv2d' ? (layer.shape.at(-1) ?? 1) : 1
      const attributes = {
        kernel_shape: kernel,
        strides: stride,
        pads: padsOf(padding),
        dilations: dilation ?? [1, 1],
        group,
      }
      return [node('Conv', name, [...inputs, ...weight('weight', ...(bias ? ['bias'] : []))], name, attributes)]
    }
    case 'batchNorm': {
      const { epsilon, activation = 'none' } = layer.attrs
      const parameters = weight('weight', 'bias', 'running_mean', 'running_var')
      return activated(name, activation, (out) =>
        node('BatchNormalization', name, [...inputs, ...parameters], out, { epsilon: { float: epsilon } }),
      )
    }
    case 'add':
      return activated(name, layer.attrs.activation ?? 'none', (out) => node('Add', name, inputs, out))
    case 'maxPool': {
      const { kernel, stride, padding } = layer.attrs
      return [node('MaxPool', name, inputs, name, { kernel_shape: kernel, strides: stride, pads: padsOf(padding) })]
    }
    case 'globalAveragePool':
      return [
        node('GlobalAveragePool', `${name}.mean`, inputs, `${name}.mean`),
        node('Flatten', name, [`${name}.mean`], name, { axis: 1 }),
      ]
    case 'linear':
      return [
        node('Gemm', name, [...inputs, ...weight('weight', ...(layer.attrs.bias ? ['bias'] : []))], name, {
          transB: 1,
        }),
      ]
    default:
      throw new Error(`the layer '${name}' (${layer.op}) is not written as ONNX`)
  }
}

/** A node and the activation after it. */
function activated(name: string, activation: FusedActivation, make: (output: string) => Node): Node[] {
  if (activation === 'none') return [make(name)]
  const before = `${name}.linear`
  const after =
    activation === 'relu'
      ? node('Relu', `${name}.relu`, [before], name)
      : node('Clip', `${name}.relu6`, [before, 'zero', 'six'], name)
  return [make(before), after]
}

function padsOf(padding: Padding): readonly number[] {
  if (padding === 'same') throw new Error("padding 'same' is not written as ONNX")
  return padding
}

function node(
  op: string,
  name: string,
  input: readonly string[],
  output: string,
  attributes: Readonly<Record<string, Attribute>> = {},
): Node {
  const attribute = Object.entries(attributes).map(([key, value]) => {
    if (typeof value === 'number') return { name: key, i: value, type: 2 }
    if ('float' in value) return { name: key, f: value.float, type: 1 }
    return { name: key, ints: value, type: 7 }
  })
  return { op_type: op, name, input, output: [output], attribute }
}

function scalar(value: number): HostTensor {
  return { shape: [], data: Float32Array.of(value) }
}

function tensor(name: string, { shape, data }: HostTensor): object {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  return { name, dims: shape, data_type: FLOAT, raw_data: bytes }
}

type Named = readonly [name: string, shape: readonly number[]]

function encode(nodes: readonly Node[], initializers: readonly object[], input: Named, output: Named): Uint8Array {
  const value = ([name, shape]: Named) => ({
    name,
    type: { tensor_type: { elem_type: FLOAT, shape: { dim: shape.map((dim_value) => ({ dim_value })) } } },
  })
  const Model = schema.lookupType('Model')
  const graph = {
    name: 'regraft',
    node: nodes,
    initializer: initializers,
    input: [value(input)],
    output: [value(output)],
  }
  const model = { ir_version: IR_VERSION, producer_name: 'regraft', opset_import: [{ version: OPSET }], graph }
  return Model.encode(Model.fromObject(model)).finish()
}
