// ONNX files for tests, field by field as onnx.proto numbers them.

export interface TestNode {
  readonly op: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly name?: string
  /** A number with a point is a float: `{ float: 1 }`. */
  readonly attributes?: Readonly<Record<string, number | readonly number[] | string | { readonly float: number }>>
}

export interface TestModel {
  readonly opset?: number
  readonly input: readonly (number | string)[]
  readonly nodes: readonly TestNode[]
  readonly initialisers?: Readonly<
    Record<string, { readonly shape: readonly number[]; readonly data: Float32Array | BigInt64Array }>
  >
  readonly outputs?: readonly string[]
}

/** The bytes of a model whose input is 'x' and whose output is 'y', unless others are named. */
export function onnxFile(model: TestModel): Buffer {
  const { nodes, initialisers = {}, outputs = ['y'] } = model
  const graph = Buffer.concat([
    ...nodes.map((node) => message(1, nodeOf(node))),
    message(2, Buffer.from('graph')),
    ...Object.entries(initialisers).map(([name, { shape, data }]) =>
      message(
        5,
        Buffer.concat([
          ...shape.map((size) => number(1, size)),
          number(2, data instanceof Float32Array ? 1 : 7),
          message(8, Buffer.from(name)),
          message(9, Buffer.from(data.buffer, data.byteOffset, data.byteLength)),
        ]),
      ),
    ),
    message(11, valueInfo('x', model.input)),
    ...outputs.map((name) => message(12, valueInfo(name, ['N']))),
  ])
  return Buffer.concat([
    number(1, 8),
    message(2, Buffer.from('test')),
    message(7, graph),
    message(8, number(2, model.opset ?? 17)),
  ])
}

function nodeOf({ op, inputs, outputs, name = '', attributes = {} }: TestNode): Buffer {
  return Buffer.concat([
    ...inputs.map((input) => message(1, Buffer.from(input))),
    ...outputs.map((output) => message(2, Buffer.from(output))),
    message(3, Buffer.from(name)),
    message(4, Buffer.from(op)),
    ...Object.entries(attributes).map(([key, value]) => message(5, attributeOf(key, value))),
  ])
}

function attributeOf(key: string, value: number | readonly number[] | string | { readonly float: number }): Buffer {
  const head = message(1, Buffer.from(key))
  if (typeof value === 'number') return Buffer.concat([head, number(3, value), number(20, 2)])
  if (typeof value === 'string') return Buffer.concat([head, message(4, Buffer.from(value)), number(20, 3)])
  if ('float' in value) {
    const bytes = Buffer.alloc(5)
    bytes[0] = (2 << 3) | 5
    bytes.writeFloatLE(value.float, 1)
    return Buffer.concat([head, bytes, number(20, 1)])
  }
  return Buffer.concat([head, ...value.map((item) => number(8, item)), number(20, 7)])
}

function valueInfo(name: string, shape: readonly (number | string)[]): Buffer {
  const sizes = shape.map((size) =>
    message(1, typeof size === 'number' ? number(1, size) : message(2, Buffer.from(size))),
  )
  const tensor = Buffer.concat([number(1, 1), message(2, Buffer.concat(sizes))])
  return Buffer.concat([message(1, Buffer.from(name)), message(2, message(1, tensor))])
}

function message(field: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([varint((field << 3) | 2), varint(bytes.length), bytes])
}

function number(field: number, value: number): Buffer {
  return Buffer.concat([varint(field << 3), varint(value)])
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = BigInt.asUintN(64, BigInt(value))
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128)
  bytes.push(Number(rest))
  return Buffer.from(bytes)
}
