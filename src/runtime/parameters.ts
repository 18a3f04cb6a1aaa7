// Named parameters in the arena: kernel layout inside, file layout at the door. Runners share them.
import { type Graph, type Layer, parameterName, parametersOf } from '../graph/graph.ts'
import type { Engine } from '../kernels/engine.ts'
import { type Block, type ParameterSpec, type Place, paddedChannels } from '../ops/op.ts'
import type { HostTensor } from '../tensor/host-tensor.ts'
import { elementCount, type Shape, shapesEqual } from '../tensor/shape.ts'

/** A parameter before it has an address: what planning needs to know of it. */
export interface PlannedParameter {
  readonly name: string
  readonly layer: Layer
  readonly spec: ParameterSpec
  readonly place: Place
  /** f32 values as they lie in memory, padding included; a multiple of four. */
  readonly length: number
}

export interface PlannedParameters {
  /** Bytes that they take in memory together. */
  readonly bytes: number
  readonly parameters: readonly PlannedParameter[]
  get(name: string): PlannedParameter
  has(name: string): boolean
}

export interface Parameter extends PlannedParameter {
  readonly address: number
}

export interface ParameterStore extends PlannedParameters {
  readonly parameters: readonly Parameter[]
  get(name: string): Parameter
  has(name: string): boolean
  /** Puts file-ordered values in place. */
  write(name: string, tensor: HostTensor): void
  /** File-ordered copy. */
  read(name: string): HostTensor
  /** File-ordered copy of values that lie as this parameter does: its gradient, say. */
  readAs(name: string, stored: Float32Array): HostTensor
  /** The way back: file-ordered values into a view that lies as this parameter does. */
  writeAs(name: string, tensor: HostTensor, stored: Float32Array): void
  free(): void
}

/** Number of f32 values a parameter takes in kernel layout. */
function storedLength(spec: ParameterSpec): number {
  const [first = 1, second = 1, ...rest] = spec.shape
  switch (spec.layout) {
    case 'vector':
      return paddedChannels(first)
    case 'rows':
      return elementCount(spec.shape.slice(0, -1)) * paddedChannels(spec.shape.at(-1) ?? 1)
    case 'linear':
      return second * paddedChannels(first)
    case 'convolution':
      return elementCount(rest) * second * paddedChannels(first)
    case 'depthwise':
      return elementCount(rest) * paddedChannels(first)
    case 'image':
      return second * elementCount(rest) * paddedChannels(first)
  }
}

function named<P extends PlannedParameter>(parameters: readonly P[]) {
  const byName = new Map(parameters.map((parameter) => [parameter.name, parameter]))
  return {
    get(name: string): P {
      const parameter = byName.get(name)
      if (!parameter) throw new Error(`the network has no parameter '${name}'`)
      return parameter
    },
    has: (name: string) => byName.has(name),
  }
}

/** Calls `visit(fileIndex, storedIndex)` for every value of a parameter. */
function forEachValue(
  shape: Shape,
  layout: ParameterSpec['layout'],
  visit: (inFile: number, stored: number) => void,
): void {
  const [out = 1, inner = 1, ...rest] = shape
  const stride = paddedChannels(out)
  if (layout === 'vector') {
    for (let o = 0; o < out; o++) visit(o, o)
    return
  }
  if (layout === 'rows') {
    const width = shape.at(-1) ?? 1
    const padded = paddedChannels(width)
    const count = elementCount(shape)
    for (let at = 0; at < count; at++) visit(at, Math.floor(at / width) * padded + (at % width))
    return
  }
  // [O, I, kh, kw] in files; [kh, kw, I, O'] in memory. Linear is kh = kw = 1, depthwise is I = 1. An image is [C, H, W] in files and
  // [H, W, C'] in memory, which is the same with I = 1.
  if (layout === 'image') {
    forEachValue([out, 1, inner, ...rest], 'convolution', visit)
    return
  }
  const window = elementCount(rest)
  for (let o = 0; o < out; o++) {
    for (let i = 0; i < inner; i++) {
      for (let k = 0; k < window; k++) visit((o * inner + i) * window + k, (k * inner + i) * stride + o)
    }
  }
}

/** The parameters of a graph, without memory for them. */
export function planParameters(graph: Graph): PlannedParameters {
  const parameters = graph.layers.flatMap((layer) =>
    parametersOf(layer).map((spec): PlannedParameter => {
      const name = parameterName(layer, spec)
      const length = storedLength(spec)
      const block: Block = { name, fixedBytes: length * 4, bytesPerImage: 0 }
      return { name, layer, spec, place: { block, offsetBytes: 0 }, length }
    }),
  )
  const bytes = parameters.reduce((sum, { length }) => sum + length * 4 + 64, 0)
  return { ...named(parameters), bytes, parameters }
}

/** Reserves memory for the parameters of a graph, filled with zeros. */
export function createParameters(engine: Engine, graph: Graph): ParameterStore {
  const planned = planParameters(graph)
  const base = engine.arena.allocate(
    planned.bytes,
    'The parameters of the network',
    'Raise --max-memory or choose a smaller network.',
  )
  let next = base
  const parameters = planned.parameters.map((parameter): Parameter => {
    const address = next
    next += Math.ceil((parameter.length * 4) / 64) * 64
    return { ...parameter, address }
  })
  const { get, has } = named(parameters)
  return {
    bytes: planned.bytes,
    parameters,
    get,
    has,
    write(name, tensor) {
      const { address, length } = get(name)
      this.writeAs(name, tensor, engine.floats(address, length))
    },
    writeAs(name, tensor, stored) {
      const { spec } = get(name)
      if (!shapesEqual(spec.shape, tensor.shape)) {
        throw new Error(`parameter '${name}' has shape [${spec.shape.join(', ')}], not [${tensor.shape.join(', ')}]`)
      }
      stored.fill(0)
      const { data } = tensor
      forEachValue(spec.shape, spec.layout, (inFile, place) => {
        stored[place] = data[inFile] ?? 0
      })
    },
    read(name) {
      const { address, length } = get(name)
      return this.readAs(name, engine.floats(address, length))
    },
    readAs(name, values) {
      const { spec } = get(name)
      const data = new Float32Array(elementCount(spec.shape))
      forEachValue(spec.shape, spec.layout, (inFile, stored) => {
        data[inFile] = values[stored] ?? 0
      })
      return { shape: spec.shape, data }
    },
    free: () => engine.arena.free(base),
  }
}
