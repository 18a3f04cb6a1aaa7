// A network and its weights as the bytes of an ONNX model: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import { type Graph, layerNamed } from '../graph/graph.ts'
import type { HostTensor } from '../tensor/host-tensor.ts'
import { elementCount } from '../tensor/shape.ts'
import { littleEndian } from './little-endian.ts'
import { onnxNodes } from './onnx-nodes.ts'
import type { OnnxAttribute, OutgoingConstant, OutgoingNode } from './onnx-parts.ts'

const FLOAT = 1
const INT64 = 7
/** Read by every runtime since 2022. */
const OPSET = 17
const IR_VERSION = 8

/** Numbers of fields, by message. */
const FIELD = {
  model: { irVersion: 1, producer: 2, producerVersion: 3, graph: 7, opset: 8, metadata: 14 },
  opset: { domain: 1, version: 2 },
  pair: { key: 1, value: 2 },
  graph: { node: 1, name: 2, initializer: 5, input: 11, output: 12 },
  node: { input: 1, output: 2, name: 3, op: 4, attribute: 5 },
  attribute: { name: 1, float: 2, integer: 3, integers: 8, type: 20 },
  tensor: { dims: 1, type: 2, name: 8, raw: 9 },
  value: { name: 1, type: 2 },
  type: { tensor: 1 },
  tensorType: { element: 1, shape: 2 },
  shape: { dimension: 1 },
  dimension: { value: 1, name: 2 },
} as const

const ATTRIBUTE_TYPE = { float: 1, integer: 2, integers: 7 } as const

/** A size, or the name of one that is open. */
type Size = number | string

export interface OnnxOptions {
  readonly producerVersion: string
  /** Pictures of a run; open when left out. */
  readonly batch?: number
  /** Texts that travel with the model. */
  readonly metadata?: ReadonlyMap<string, string>
}

/**
 * The input is called 'input', [N, 3, H, W], normalised; the output 'output', [N, classes], as the network ends: logits.
 * @param tensors  the network's parameters, in file layout
 * @throws UnsupportedNetworkError naming every layer that ONNX gets no node for
 */
export function onnxModel(graph: Graph, tensors: ReadonlyMap<string, HostTensor>, options: OnnxOptions): Uint8Array {
  const [entry] = graph.layers
  if (entry === undefined) throw new Error('a network has layers')
  const batch = options.batch ?? 'N'
  const { output } = graph
  const made = onnxNodes(graph, tensors)
  const names = new Map([
    [entry.name, 'input'],
    [made.output, 'output'],
  ])
  const writer = new BinaryWriter()
  integer(writer, FIELD.model.irVersion, IR_VERSION)
  text(writer, FIELD.model.producer, 'regraft')
  text(writer, FIELD.model.producerVersion, options.producerVersion)
  message(writer, FIELD.model.graph, () => {
    for (const node of renamed(made.parts.nodes, names)) writeNode(writer, node)
    text(writer, FIELD.graph.name, 'regraft')
    for (const [name, constant] of made.parts.constants) writeTensor(writer, name, constant)
    writeValue(writer, FIELD.graph.input, 'input', [batch, ...channelsFirst(entry.shape)])
    writeValue(writer, FIELD.graph.output, 'output', [batch, ...channelsFirst(layerNamed(graph, output).shape)])
  })
  message(writer, FIELD.model.opset, () => {
    text(writer, FIELD.opset.domain, '')
    integer(writer, FIELD.opset.version, OPSET)
  })
  for (const [key, value] of options.metadata ?? []) {
    message(writer, FIELD.model.metadata, () => {
      text(writer, FIELD.pair.key, key)
      text(writer, FIELD.pair.value, value)
    })
  }
  return writer.finish()
}

/** A vector, or channels before rows and columns. */
function channelsFirst(shape: readonly number[]): readonly number[] {
  const [height, width, channels] = shape
  if (elementCount(shape) === shape.at(-1)) return shape.slice(-1)
  return channels === undefined || height === undefined || width === undefined ? shape : [channels, height, width]
}

function renamed(nodes: readonly OutgoingNode[], names: ReadonlyMap<string, string>): readonly OutgoingNode[] {
  const called = (name: string) => names.get(name) ?? name
  return nodes.map((node) => ({ ...node, inputs: node.inputs.map(called), output: called(node.output) }))
}

function writeNode(writer: BinaryWriter, { op, name, inputs, output, attributes }: OutgoingNode): void {
  message(writer, FIELD.graph.node, () => {
    for (const input of inputs) text(writer, FIELD.node.input, input)
    text(writer, FIELD.node.output, output)
    text(writer, FIELD.node.name, name)
    text(writer, FIELD.node.op, op)
    for (const [key, value] of Object.entries(attributes))
      message(writer, FIELD.node.attribute, () => writeAttribute(writer, key, value))
  })
}

function writeAttribute(writer: BinaryWriter, key: string, value: OnnxAttribute): void {
  const { attribute } = FIELD
  text(writer, attribute.name, key)
  if (typeof value === 'number') {
    integer(writer, attribute.integer, value)
    integer(writer, attribute.type, ATTRIBUTE_TYPE.integer)
  } else if ('float' in value) {
    writer.tag(attribute.float, WireType.Bit32).float(value.float)
    integer(writer, attribute.type, ATTRIBUTE_TYPE.float)
  } else {
    integers(writer, attribute.integers, value)
    integer(writer, attribute.type, ATTRIBUTE_TYPE.integers)
  }
}

function writeTensor(writer: BinaryWriter, name: string, constant: OutgoingConstant): void {
  message(writer, FIELD.graph.initializer, () => {
    integers(writer, FIELD.tensor.dims, constant.shape)
    integer(writer, FIELD.tensor.type, constant.kind === 'floats' ? FLOAT : INT64)
    text(writer, FIELD.tensor.name, name)
    writer.tag(FIELD.tensor.raw, WireType.LengthDelimited).bytes(bytesOf(constant))
  })
}

function bytesOf(constant: OutgoingConstant): Uint8Array {
  if (constant.kind === 'floats') return littleEndian(constant.values())
  const bytes = new Uint8Array(8 * constant.values.length)
  const view = new DataView(bytes.buffer)
  for (const [at, value] of constant.values.entries()) view.setBigInt64(8 * at, BigInt(value), true)
  return bytes
}

function writeValue(writer: BinaryWriter, field: number, name: string, shape: readonly Size[]): void {
  message(writer, field, () => {
    text(writer, FIELD.value.name, name)
    message(writer, FIELD.value.type, () =>
      message(writer, FIELD.type.tensor, () => {
        integer(writer, FIELD.tensorType.element, FLOAT)
        message(writer, FIELD.tensorType.shape, () => {
          for (const size of shape) {
            message(writer, FIELD.shape.dimension, () => {
              if (typeof size === 'number') integer(writer, FIELD.dimension.value, size)
              else text(writer, FIELD.dimension.name, size)
            })
          }
        })
      }),
    )
  })
}

function message(writer: BinaryWriter, field: number, fill: () => void): void {
  writer.tag(field, WireType.LengthDelimited).fork()
  fill()
  writer.join()
}

function text(writer: BinaryWriter, field: number, value: string): void {
  writer.tag(field, WireType.LengthDelimited).string(value)
}

function integer(writer: BinaryWriter, field: number, value: number): void {
  writer.tag(field, WireType.Varint).int64(value)
}

function integers(writer: BinaryWriter, field: number, values: readonly number[]): void {
  writer.tag(field, WireType.LengthDelimited).fork()
  for (const value of values) writer.int64(value)
  writer.join()
}
