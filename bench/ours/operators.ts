// Single operators: many calls in one run of the engine, because starting a run is not what is measured.
import { costOf } from '../../src/graph/cost.ts'
import { layerNamed, parametersOf } from '../../src/graph/graph.ts'
import type { Engine } from '../../src/kernels/engine.ts'
import { call } from '../../src/kernels/program.ts'
import type { OpName } from '../../src/ops/index.ts'
import type { HostTensor } from '../../src/tensor/host-tensor.ts'
import type { ConvolutionTask, MatmulTask, OpTask } from '../protocol.ts'
import { readFloats, type Work } from '../serve.ts'
import { forwardCalls, graphOf, type RepeatableCalls, trainingCalls } from './one-op.ts'

const PEAK_ITERATIONS = 200_000
/** Multiply-adds of one turn of the register loop. */
const PEAK_LANES = 4 * 12
/** FLOP of one run of the register loop. */
export const PEAK_FLOP = 2 * PEAK_LANES * PEAK_ITERATIONS
/** Multiply-adds that fill some milliseconds of one thread. */
const MULTIPLY_ADDS_OF_A_RUN = 5e7
const MOST_CALLS = 500

export async function peakWork(engine: Engine): Promise<Work> {
  const registers = engine.arena.allocate(4096, 'The register loop')
  const program = engine.register([call<'registerPeak', number>('registerPeak', [registers, PEAK_ITERATIONS], 1)])
  return {
    async run() {
      await engine.run([program], 1)
      return 1
    },
    check: () => ({}),
    close: () => engine.forget(program),
  }
}

export async function matmulWork(engine: Engine, { m, n, k, a, b }: MatmulTask): Promise<Work> {
  const columns = readFloats(b)
  const weight = Float32Array.from(
    { length: n * k },
    (_, at) => columns[(at % k) * n + Math.floor(at / k)] ?? Number.NaN,
  )
  const product = await forwardCalls(engine, {
    op: 'conv2d',
    attrs: { outChannels: n, kernel: [1, 1], stride: [1, 1], padding: [0, 0, 0, 0] },
    inputShape: [m, 1, k],
    images: 1,
    parameters: new Map([['weight', { shape: [n, k, 1, 1], data: weight }]]),
    input: readFloats(a),
  })
  return repeated(engine, product, m * n * k, 1)
}

export async function convolutionWork(engine: Engine, task: ConvolutionTask): Promise<Work> {
  const { images, height, width, channels, outChannels, kernel, padding } = task
  const options = {
    op: 'conv2d',
    attrs: {
      outChannels,
      kernel: [kernel, kernel],
      stride: [1, 1],
      padding: [padding, padding, padding, padding],
    },
    inputShape: [height, width, channels],
    images,
    parameters: new Map([
      ['weight', { shape: [outChannels, channels, kernel, kernel], data: readFloats(task.weight) }],
    ]),
    input: readFloats(task.input),
  } as const
  const cost = costOf(graphOf(options.op, options.attrs, options.inputShape)).multiplyAdds * images
  if (task.pass === 'forward') return repeated(engine, await forwardCalls(engine, options), cost, images)
  const outputGradient = readFloats(task.dOutput)
  const backward = await trainingCalls(engine, { ...options, pass: 'backward', inputGradient: false, outputGradient })
  return repeated(engine, backward, cost, images)
}

export async function opWork<K extends OpName>(engine: Engine, task: OpTask<K>): Promise<Work> {
  const { op, attrs, inputShape, images } = task
  const graph = graphOf(op, attrs, inputShape)
  const parameters = new Map<string, HostTensor>()
  for (const { name, shape } of parametersOf(layerNamed(graph, 'op'))) {
    const file = task.parameters[name]
    if (file === undefined) throw new Error(`the task says nothing about '${name}'`)
    parameters.set(name, { shape, data: readFloats(file) })
  }
  const options = { op, attrs, inputShape, images, parameters, input: readFloats(task.input) }
  const calls = task.training
    ? await trainingCalls(engine, {
        ...options,
        pass: task.training.pass,
        inputGradient: true,
        outputGradient: readFloats(task.training.outputGradient),
      })
    : await forwardCalls(engine, options)
  return repeated(engine, calls, costOf(graph).multiplyAdds * images, images)
}

/** Calls in one program as often as fills some milliseconds. */
function repeated(
  engine: Engine,
  { calls, restore, read }: RepeatableCalls,
  multiplyAdds: number,
  images: number,
): Work {
  const count = Math.max(1, Math.min(MOST_CALLS, Math.round(MULTIPLY_ADDS_OF_A_RUN / multiplyAdds)))
  const once = engine.register(calls)
  const often = engine.register(Array.from({ length: count }, () => calls).flat())
  return {
    async run() {
      await engine.run([often], images)
      return count
    },
    async check() {
      await restore()
      await engine.run([once], images)
      return { arrays: read() }
    },
    close() {
      engine.forget(once)
      engine.forget(often)
    },
  }
}
