// Named parameters in the arena: kernel layout inside, file layout at the door. Runners share them.
import { type Graph, type Layer, parameterName, parametersOf } from '../graph/graph.ts'
import type { Engine } from '../kernels/engine.ts'
import { type Block, type ParameterSpec, type Place, paddedChannels } from '../ops/op.ts'
import type { HostTensor } from '../tensor/host-tensor.ts'
import { elementCount, type Shape, shapesEqual } from '../tensor/shape.ts'

export interface Parameter {
  readonly name: string
  readonly layer: Layer
  readonly spec: ParameterSpec
  readonly place: Place
  readonly address: number
  /** f32 values as they lie in memory, padding included; a multiple of four. */
  readonly length: number
}

export interface ParameterStore {
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
    case 'linear':
      return second * paddedChannels(first)
    case 'convolution':
      return elementCount(rest) * second * paddedChannels(first)
    case 'depthwise':
      return elementCount(rest) * paddedChannels(first)
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
  // [O, I, kh, kw] in files; [kh, kw, I, O'] in memory. Linear is kh = kw = 1, depthwise is I = 1.
  const window = elementCount(rest)
  for (let o = 0; o < out; o++) {
    for (let i = 0; i < inner; i++) {
      for (let k = 0; k < window; k++) visit((o * inner + i) * window + k, (k * inner + i) * stride + o)
    }
  }
}

/** Reserves memory for the parameters of a graph, filled with zeros. */
export function createParameters(engine: Engine, graph: Graph): ParameterStore {
  const entries = graph.layers.flatMap((layer) =>
    parametersOf(layer).map((spec) => ({ layer, spec, length: storedLength(spec) })),
  )
  const total = entries.reduce((sum, entry) => sum + entry.length * 4 + 64, 0)
  const base = engine.arena.allocate(
    total,
    'The parameters of the network',
    'Raise --max-memory or choose a smaller network.',
  )
  const byName = new Map<string, Parameter>()
  let offset = 0
  for (const { layer, spec, length } of entries) {
    const name = parameterName(layer, spec)
    const address = base + offset
    const block: Block = { name, fixedBytes: length * 4, bytesPerImage: 0 }
    byName.set(name, { name, layer, spec, place: { block, offsetBytes: 0 }, address, length })
    offset += Math.ceil((length * 4) / 64) * 64
  }
  const get = (name: string): Parameter => {
    const parameter = byName.get(name)
    if (!parameter) throw new Error(`the network has no parameter '${name}'`)
    return parameter
  }
  return {
    parameters: [...byName.values()],
    get,
    has: (name) => byName.has(name),
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
