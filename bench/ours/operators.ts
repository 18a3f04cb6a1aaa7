// Single operators: many calls in one run of the engine, because starting a run is not what is measured.
import { costOf } from '../../src/graph/cost.ts'
import type { Engine } from '../../src/kernels/engine.ts'
import { type Call, call } from '../../src/kernels/program.ts'
import type { OpName } from '../../src/ops/index.ts'
import type { ConvolutionTask, MatmulTask, OpTask } from '../protocol.ts'
import { type Outcome, readFloats, type Work } from '../serve.ts'
import { graphOf, type OneOp, oneOp } from './one-op.ts'

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
  const product = oneOp(engine, {
    op: 'conv2d',
    attrs: { outChannels: n, kernel: [1, 1], stride: [1, 1], padding: [0, 0, 0, 0] },
    inputShape: [m, 1, k],
    images: 1,
    batchStatistics: false,
  })
  const columns = readFloats(b)
  const weight = Float32Array.from(
    { length: n * k },
    (_, at) => columns[(at % k) * n + Math.floor(at / k)] ?? Number.NaN,
  )
  product.store.write('op.weight', { shape: [n, k, 1, 1], data: weight })
  product.write('input', readFloats(a))
  return repeated(engine, product, product.forward, m * n * k, 1, () => ({
    arrays: { output: product.read('output') },
  }))
}

export async function convolutionWork(engine: Engine, task: ConvolutionTask): Promise<Work> {
  const { images, height, width, channels, outChannels, kernel, padding } = task
  const forward = task.pass === 'forward'
  const attrs = {
    outChannels,
    kernel: [kernel, kernel],
    stride: [1, 1],
    padding: [padding, padding, padding, padding],
  } as const
  const inputShape = [height, width, channels]
  const convolution = oneOp(engine, {
    op: 'conv2d',
    attrs,
    inputShape,
    images,
    batchStatistics: false,
    ...(forward ? {} : { backward: 'no input gradient' }),
  })
  const shape = [outChannels, channels, kernel, kernel]
  convolution.store.write('op.weight', { shape, data: readFloats(task.weight) })
  convolution.write('input', readFloats(task.input))
  if (!forward) convolution.write('output gradient', readFloats(task.dOutput))
  const cost = costOf(graphOf('conv2d', attrs, inputShape)).multiplyAdds * images
  return forward
    ? repeated(engine, convolution, convolution.forward, cost, images, () => ({
        arrays: { output: convolution.read('output') },
      }))
    : repeated(engine, convolution, convolution.backward, cost, images, () => ({
        arrays: { gradient: convolution.gradient('weight').data },
      }))
}

export async function opWork<K extends OpName>(engine: Engine, task: OpTask<K>): Promise<Work> {
  const { op, attrs, inputShape, images, batchStatistics } = task
  const graph = graphOf(op, attrs, inputShape)
  const single = oneOp(engine, {
    op,
    attrs,
    inputShape,
    images,
    batchStatistics,
    ...(task.pass === 'backward' ? { backward: 'input gradient' } : {}),
  })
  for (const { name, spec } of single.store.parameters) {
    const file = task.parameters[spec.name]
    if (file === undefined) throw new Error(`the task says nothing about '${name}'`)
    single.store.write(name, { shape: spec.shape, data: readFloats(file) })
  }
  single.write('input', readFloats(task.input))
  if (task.dOutput !== null) single.write('output gradient', readFloats(task.dOutput))
  const cost = costOf(graph).multiplyAdds * images
  if (task.pass === 'forward')
    return repeated(engine, single, single.forward, cost, images, () => ({ arrays: { output: single.read('output') } }))
  const before = engine.register(single.forward)
  await engine.run([before], images)
  engine.forget(before)
  return repeated(engine, single, single.backward, cost, images, () => ({
    arrays: {
      'input gradient': single.read('input gradient'),
      ...Object.fromEntries(
        single.store.parameters
          .filter(({ spec }) => spec.kind !== 'statistic')
          .map(({ spec }) => [`gradient of ${spec.name}`, single.gradient(spec.name).data]),
      ),
    },
  }))
}

/** Prepares an operator, and runs calls of it in one program as often as fills some milliseconds. */
async function repeated(
  engine: Engine,
  { prepare }: OneOp,
  calls: readonly Call[],
  multiplyAdds: number,
  images: number,
  outcome: () => Outcome,
): Promise<Work> {
  const first = engine.register(prepare)
  await engine.run([first], images)
  engine.forget(first)
  const count = Math.max(1, Math.min(MOST_CALLS, Math.round(MULTIPLY_ADDS_OF_A_RUN / multiplyAdds)))
  const once = engine.register(calls)
  const often = engine.register(Array.from({ length: count }, () => calls).flat())
  return {
    async run() {
      await engine.run([often], images)
      return count
    },
    async check() {
      await engine.run([once], images)
      return outcome()
    },
    close() {
      engine.forget(once)
      engine.forget(often)
    },
  }
}
