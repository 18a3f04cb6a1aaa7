// One operator on its own: its record is asked for the calls of a forward and of a backward pass, and every place gets memory of its own.
import { makeLayer } from '../../src/graph/builder.ts'
import { type Graph, parametersOf } from '../../src/graph/graph.ts'
import type { Engine } from '../../src/kernels/engine.ts'
import { type Argument, type Call, call } from '../../src/kernels/program.ts'
import { type AttributesOf, type OpName, ops } from '../../src/ops/index.ts'
import {
  type BackwardRecorder,
  type Block,
  channelsOf,
  type ForwardRecorder,
  type Op,
  type Place,
  paddedChannels,
  pixelsOf,
} from '../../src/ops/op.ts'
import { createParameters, type ParameterStore } from '../../src/runtime/parameters.ts'
import type { HostTensor } from '../../src/tensor/host-tensor.ts'
import type { Shape } from '../../src/tensor/shape.ts'

export interface OneOpOptions<K extends OpName> {
  readonly op: K
  readonly attrs: AttributesOf<K>
  readonly inputShape: Shape
  readonly images: number
  readonly batchStatistics: boolean
  /** What backward gives besides the gradients of parameters; absent: there is no backward. */
  readonly backward?: 'input gradient' | 'no input gradient'
}

export interface OneOp {
  readonly store: ParameterStore
  readonly outputShape: Shape
  /** To be run once, after the parameters were written. */
  readonly prepare: readonly Call[]
  readonly forward: readonly Call[]
  /** Needs what forward left. Gradients of parameters are added to. */
  readonly backward: readonly Call[]
  /** Values without padding, [N, …shape]. */
  write(which: 'input' | 'output gradient', values: Float32Array): void
  read(which: 'output' | 'input gradient'): Float32Array
  /** Gradient of a parameter, in the layout of weight files. */
  gradient(parameter: string): HostTensor
}

/** The graph of one operator 'op' on an input. */
export function graphOf<K extends OpName>(op: K, attrs: AttributesOf<K>, inputShape: Shape): Graph {
  const input = makeLayer('tensorInput', 'input', { shape: inputShape }, [], new Map(), { stage: 'stem' })
  const layer = makeLayer(op, 'op', attrs, ['input'], new Map([['input', input]]), { stage: 'stem' })
  return { layers: [input, layer], output: 'op', features: 'op' }
}

export function oneOp<K extends OpName>(engine: Engine, options: OneOpOptions<K>): OneOp {
  const { op, attrs, inputShape, images } = options
  const graph = graphOf(op, attrs, inputShape)
  const layer = graph.layers[1]
  if (!layer) throw new Error('the graph has two layers')
  const store = createParameters(engine, graph)
  const addresses = new Map<Block, number>(store.parameters.map(({ place, address }) => [place.block, address]))
  const known = new Map<string, Place>()
  const place = (name: string, bytes: number): Place => {
    const existing = known.get(name)
    if (existing) return existing
    const made: Place = { block: { name, fixedBytes: bytes, bytesPerImage: 0 }, offsetBytes: 0 }
    addresses.set(made.block, engine.arena.allocate(bytes, name))
    known.set(name, made)
    return made
  }
  const addressOf = ({ block, offsetBytes }: Place): number => {
    const address = addresses.get(block)
    if (address === undefined) throw new Error(`block '${block.name}' has no place`)
    return address + offsetBytes
  }
  const bytesOf = (shape: Shape) => images * pixelsOf(shape) * paddedChannels(channelsOf(shape)) * 4
  const value = (name: string, shape: Shape) => ({ place: place(name, bytesOf(shape)), shape })

  const input = value('input', inputShape)
  const output = value('output', layer.shape)
  const dOutput = () => value('output gradient', layer.shape)
  const dInput = () => value('input gradient', inputShape)
  const parameter = (name: string): Place => store.get(`op.${name}`).place
  const gradientPlace = (name: string): Place =>
    place(`gradient of ${name}`, Math.ceil(store.get(`op.${name}`).length / 16) * 64)
  const calls: Record<'prepare' | 'forward' | 'backward', Call[]> = { prepare: [], forward: [], backward: [] }
  const recordTo =
    (list: Call[]): ForwardRecorder['call'] =>
    (kernel, args, units, grain) => {
      const { args: places, ...rest } = call<typeof kernel, Place>(kernel, args, units, grain)
      list.push({ ...rest, args: places.map((argument) => resolved(argument)) })
    }
  const resolved = (argument: Argument<Place>): Argument<number> =>
    typeof argument === 'object' && 'block' in argument ? addressOf(argument) : argument
  const memory = (name: string, bytes: number, fixed?: 'fixed') => place(name, fixed ? bytes : bytes * images)
  const shared = {
    inputs: [input],
    output,
    parameter,
    // Weights are known beforehand: what is done to them alone is no part of the time.
    parametersFixed: true,
    batchStatistics: options.batchStatistics,
    table(integers: readonly number[]) {
      const table = place(`table ${integers.join(' ')}`, integers.length * 4)
      engine.integers(addressOf(table), integers.length).set(integers)
      return table
    },
    temporary: memory,
    kept: memory,
    constant: place,
  }
  const outputsOf = (name: string, otherwise: number) => store.get(`op.${name}`).spec.shape[0] ?? otherwise
  const innerOf = (name: string) =>
    store
      .get(`op.${name}`)
      .spec.shape.slice(1)
      .reduce((product, size) => product * size, 1)
  const record = ops[op] as unknown as Op<AttributesOf<K>>
  const prepareCall = recordTo(calls.prepare)
  record.forward(attrs, {
    ...shared,
    call: recordTo(calls.forward),
    constantCall: prepareCall,
    packed(name, rows, columns) {
      const packed = place(`${name} packed`, rows * columns * 4)
      prepareCall('packB', [parameter(name), columns, packed, rows, outputsOf(name, columns)], Math.ceil(columns / 8))
      return packed
    },
    bias: parametersOf(layer).some(({ kind }) => kind === 'bias') ? parameter('bias') : 0,
    residual: 0,
    activation: 'none',
  } satisfies ForwardRecorder)
  const toInput = () =>
    options.backward === 'input gradient' ? ({ place: dInput().place, accumulate: 0 } as const) : undefined
  const backwardRecorder: BackwardRecorder = {
    ...shared,
    call: recordTo(calls.backward),
    get dOutput() {
      return dOutput().place
    },
    packedTransposed(name, rows, columns) {
      const packed = place(`${name} transposed, packed`, rows * columns * 4)
      prepareCall(
        'packBTransposed',
        [parameter(name), paddedChannels(rows), packed, rows, innerOf(name)],
        Math.ceil(columns / 8),
      )
      return packed
    },
    gradient: gradientPlace,
    dInput: toInput,
    // Not in place, or the next repetition would start from other numbers.
    dInputInPlace: toInput,
  }
  if (options.backward !== undefined) record.backward(attrs, backwardRecorder)

  const places = {
    input: () => input,
    output: () => output,
    'input gradient': dInput,
    'output gradient': dOutput,
  }
  return {
    store,
    outputShape: layer.shape,
    ...calls,
    write(which, values) {
      const { place, shape } = places[which]()
      const channels = channelsOf(shape)
      const stride = paddedChannels(channels)
      const target = engine.floats(addressOf(place), (values.length / channels) * stride)
      for (let row = 0; row * channels < values.length; row++)
        target.set(values.subarray(row * channels, (row + 1) * channels), row * stride)
    },
    read(which) {
      const { place, shape } = places[which]()
      const channels = channelsOf(shape)
      const stride = paddedChannels(channels)
      const rows = pixelsOf(shape) * images
      const values = engine.floats(addressOf(place), rows * stride)
      const result = new Float32Array(rows * channels)
      for (let row = 0; row < rows; row++)
        result.set(values.subarray(row * stride, row * stride + channels), row * channels)
      return result
    },
    gradient(name) {
      const { length } = store.get(`op.${name}`)
      return store.readAs(`op.${name}`, engine.floats(addressOf(gradientPlace(name)), length))
    },
  }
}
