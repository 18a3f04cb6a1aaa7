// One operator on its own, planned as it is in a network: the calls are those that the runner hands to the engine.
import { makeLayer } from '../../src/graph/builder.ts'
import { appendLayers } from '../../src/graph/edit.ts'
import type { Graph, Layer } from '../../src/graph/graph.ts'
import type { Engine } from '../../src/kernels/engine.ts'
import type { Call } from '../../src/kernels/program.ts'
import type { AttributesOf, OpName } from '../../src/ops/index.ts'
import { channelsOf, paddedChannels, pixelsOf } from '../../src/ops/op.ts'
import { createParameters } from '../../src/runtime/parameters.ts'
import { createRunner, type Runner, type RunnerOptions } from '../../src/runtime/runner.ts'
import type { HostTensor } from '../../src/tensor/host-tensor.ts'
import type { Shape } from '../../src/tensor/shape.ts'

export interface OneOpOptions<K extends OpName> {
  readonly op: K
  readonly attrs: AttributesOf<K>
  readonly inputShape: Shape
  readonly images: number
  /** Values of the parameters, by their names after the operator's. */
  readonly parameters: ReadonlyMap<string, HostTensor>
  /** [N, …shape] without padding. */
  readonly input: Float32Array
}

/** Calls that can be repeated, and what they compute. */
export interface RepeatableCalls {
  readonly calls: readonly Call[]
  /** Puts in place what the calls start from. They may write over it, so repetitions compute something else in the same time. */
  restore(): Promise<void>
  read(): Readonly<Record<string, Float32Array>>
}

/** The graph of one operator 'op' on an input. */
export function graphOf<K extends OpName>(op: K, attrs: AttributesOf<K>, inputShape: Shape): Graph {
  const input = makeLayer('tensorInput', 'input', { shape: inputShape }, [], new Map(), { stage: 'stem' })
  const layer = makeLayer(op, 'op', attrs, ['input'], new Map([['input', input]]), { stage: 'stem' })
  return { layers: [input, layer], output: 'op', features: 'op' }
}

/** Forward in inference. */
export async function forwardCalls<K extends OpName>(
  engine: Engine,
  options: OneOpOptions<K>,
): Promise<RepeatableCalls> {
  const { op, attrs, inputShape, images } = options
  const graph = graphOf(op, attrs, inputShape)
  const { runner, calls } = await planned(engine, graph, options.parameters, { images, input: 'floats' })
  return {
    calls,
    restore: async () => runner.writeFloats(options.input),
    read: () => ({ output: runner.read('op', images) }),
  }
}

export interface TrainingOptions<K extends OpName> extends OneOpOptions<K> {
  readonly pass: 'forward' | 'backward'
  /** Whether backward gives the gradient of the input. */
  readonly inputGradient: boolean
  /** [N, …shape] without padding; what backward starts from. */
  readonly outputGradient: Float32Array
}

// The operator's calls are told from those around it by these: no operator of the benchmark has kernels of both names.
const BEFORE = /^depthwise/
const AFTER = /^adaptivePool/

/**
 * Forward or backward of an operator whose parameters train; batch norms use the statistics of the batch. In front of it a depthwise
 * convolution by 1 makes its input's gradient wanted, behind it a mean and a classifier make a loss.
 */
export async function trainingCalls<K extends OpName>(
  engine: Engine,
  options: TrainingOptions<K>,
): Promise<RepeatableCalls> {
  const { op, attrs, inputShape, images, pass, inputGradient } = options
  const before = inputGradient ? beforeOp(inputShape) : graphOf(op, attrs, inputShape)
  const whole = appendLayers(before, (add) => {
    const output = inputGradient ? add(op, 'op', attrs, ['before']) : 'op'
    return add('linear', 'classifier', { outFeatures: 4 }, [add('globalAveragePool', 'mean', {}, [output])])
  })
  const layer = whole.layers.find(({ name }) => name === 'op')
  if (!layer) throw new Error('the graph has the operator')
  const trainable = new Set(
    [...options.parameters.keys()].filter((name) => !/running/.test(name)).map((name) => `op.${name}`),
  )
  if (inputGradient) trainable.add('before.weight')
  const parameters = new Map(options.parameters)
  const { runner, calls } = await planned(engine, whole, parameters, {
    images,
    input: 'floats',
    training: { trainable, batchStatistics: new Set(op === 'batchNorm' ? ['op'] : []) },
  })
  const index = (test: (kernel: string) => boolean, from = 0) =>
    calls.findIndex(({ kernel }, at) => at >= from && test(kernel))
  const afterForward = index((kernel) => AFTER.test(kernel))
  const afterBackward = index((kernel) => AFTER.test(kernel), afterForward + 1)
  const beforeBackward = index((kernel) => BEFORE.test(kernel), afterBackward)
  const mean = calls[afterBackward]
  if (!mean || (inputGradient && beforeBackward < 0))
    throw new Error('the plan has calls that tell the operator from the rest')
  const restoreBy = (first: number) => {
    const program = engine.register(calls.slice(0, first))
    return async () => {
      runner.writeFloats(options.input)
      await engine.run([program, ...(runner.zeroGradients ? [runner.zeroGradients] : [])], images)
      // adaptivePoolBackward(dy, dx, …) gives the gradient of the operator's output.
      if (pass === 'backward') write(engine, Number(mean.args[1]), layer, options.outputGradient)
    }
  }
  if (pass === 'forward') {
    const first = inputGradient ? index((kernel) => BEFORE.test(kernel)) + 1 : 0
    // adaptivePoolForward(x, y, …) reads its output.
    const address = Number(calls[afterForward]?.args[0])
    return {
      calls: calls.slice(first, afterForward),
      restore: restoreBy(first),
      read: () => ({ output: read(engine, address, layer.shape, images) }),
    }
  }
  return {
    calls: calls.slice(afterBackward + 1, inputGradient ? beforeBackward : calls.length),
    restore: restoreBy(afterBackward + 1),
    read: () => ({
      ...Object.fromEntries(
        [...trainable]
          .filter((name) => name.startsWith('op.'))
          .map((name) => [`gradient of ${name.slice('op.'.length)}`, runner.gradient(name).data]),
      ),
      // depthwiseBackwardWeight(x, scaleShift, activation, dy, …) reads what backward gave.
      ...(inputGradient
        ? { 'input gradient': read(engine, Number(calls[beforeBackward]?.args[3]), inputShape, images) }
        : {}),
    }),
  }
}

function beforeOp(inputShape: Shape): Graph {
  const input = makeLayer('tensorInput', 'input', { shape: inputShape }, [], new Map(), { stage: 'stem' })
  const attrs = { kernel: [1, 1], stride: [1, 1], padding: [0, 0, 0, 0] } as const
  const before = makeLayer('depthwiseConv2d', 'before', attrs, ['input'], new Map([['input', input]]), {
    stage: 'stem',
  })
  return { layers: [input, before], output: 'before', features: 'before' }
}

/** A runner that is ready, and the calls of a run. */
async function planned(
  engine: Engine,
  graph: Graph,
  parameters: ReadonlyMap<string, HostTensor>,
  options: RunnerOptions,
): Promise<{ runner: Runner; calls: readonly Call[] }> {
  const store = createParameters(engine, graph)
  for (const { name, spec } of store.parameters) {
    const tensor = parameters.get(name.slice('op.'.length))
    const ones = () => ({ shape: spec.shape, data: new Float32Array(spec.shape.reduce((a, b) => a * b, 1)).fill(1) })
    store.write(name, name.startsWith('op.') && tensor ? tensor : ones())
  }
  const programs: (readonly Call[])[] = []
  const listening: Engine = {
    ...engine,
    register(calls) {
      programs.push(calls.flatMap((step) => ('calls' in step ? step.calls : [step])))
      return engine.register(calls)
    },
  }
  const runner = createRunner(listening, graph, store, options)
  await runner.prepare()
  // The first is what runs once, the second what runs each time.
  const [, calls] = programs
  if (!calls) throw new Error('a runner registers its preparation and its run')
  return { runner, calls }
}

function write(engine: Engine, address: number, { shape }: Layer, values: Float32Array): void {
  const channels = channelsOf(shape)
  const stride = paddedChannels(channels)
  const target = engine.floats(address, (values.length / channels) * stride)
  for (let row = 0; row * channels < values.length; row++)
    target.set(values.subarray(row * channels, (row + 1) * channels), row * stride)
}

function read(engine: Engine, address: number, shape: Shape, images: number): Float32Array {
  const channels = channelsOf(shape)
  const stride = paddedChannels(channels)
  const rows = pixelsOf(shape) * images
  const values = engine.floats(address, rows * stride)
  const result = new Float32Array(rows * channels)
  for (let row = 0; row < rows; row++)
    result.set(values.subarray(row * stride, row * stride + channels), row * channels)
  return result
}
