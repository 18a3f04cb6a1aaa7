// The gradient check itself: it is content with right gradients, and each planted error shows.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { graphBuilder } from '../../src/graph/builder.ts'
import { type Graph, parameterName, parametersOf } from '../../src/graph/graph.ts'
import { createEngine, type Engine } from '../../src/kernels/engine.ts'
import type { Call, Step } from '../../src/kernels/program.ts'
import type { Loss } from '../../src/runtime/loss.ts'
import { createParameters } from '../../src/runtime/parameters.ts'
import { type CheckedGradients, checkGradients } from '../../src/transfer/check-gradients.ts'
import { isGood } from '../../src/transfer/gradient-verdict.ts'
import { randomParameters, writeParameters } from '../support/fill-parameters.ts'
import { noise } from '../support/values.ts'

const SIZE = 12
const IMAGES = 3
const CLASSES = 4

/** Something of everything: strides, depthwise, batch norm with activations, a fork, PReLU, max pooling, biases. */
function network(): Graph {
  const net = graphBuilder()
  const pointwise = { kernel: [1, 1], stride: [1, 1], padding: [0, 0, 0, 0] } as const
  const three = { kernel: [3, 3], stride: [1, 1], padding: [1, 1, 1, 1] } as const
  const norm = { epsilon: 1e-3, momentum: 0.1 } as const
  const entry = { height: SIZE, width: SIZE, mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.4] } as const
  let x = net.layer('imageInput', 'input', entry, [])
  x = net.layer('conv2d', 'stem', { ...three, stride: [2, 2], outChannels: 8, bias: true }, [x])
  const fork = net.layer('prelu', 'slopes', {}, [x])
  x = net.layer('conv2d', 'expand', { ...pointwise, outChannels: 8 }, [fork])
  x = net.layer('batchNorm', 'norm1', { ...norm, activation: 'relu6' }, [x])
  x = net.layer('depthwiseConv2d', 'depthwise', { ...three, bias: true }, [x])
  x = net.layer('batchNorm', 'norm2', norm, [x])
  x = net.layer('add', 'sum', { activation: 'relu' }, [fork, x])
  x = net.layer('maxPool', 'pool', { kernel: [2, 2], stride: [2, 2], padding: [0, 0, 0, 0] }, [x])
  x = net.layer('conv2d', 'wide', { ...three, stride: [2, 2], outChannels: 12, bias: true }, [x])
  x = net.layer('activation', 'curve', { kind: 'tanh' }, [x])
  const features = net.layer('globalAveragePool', 'features', {}, [x])
  const output = net.layer('linear', 'classifier', { outFeatures: CLASSES, bias: true }, [features])
  return net.finish({ output, features, classifier: output })
}

const graph = network()
const trainableOf = ({ layers }: Graph) =>
  new Set(
    layers.flatMap((layer) =>
      parametersOf(layer).flatMap((spec) => (spec.kind === 'statistic' ? [] : [parameterName(layer, spec)])),
    ),
  )
const trainable = trainableOf(graph)
const everyNorm = new Set(graph.layers.flatMap(({ op, name }) => (op === 'batchNorm' ? [name] : [])))

let engine: Engine
beforeAll(() => {
  engine = createEngine({ threads: 1, simd: 'baseline' })
})
afterAll(() => engine.close())

interface Case {
  readonly of?: Graph
  readonly batchStatistics?: boolean
  readonly loss?: Loss
  readonly step?: number
  readonly plant?: Plant
}
/** What a call becomes: itself changed, or with another one after it. Undefined for calls that are left alone. */
type Plant = (call: Call) => { readonly instead?: Call; readonly after?: Call } | undefined

async function check({
  of = graph,
  batchStatistics = false,
  loss = { kind: 'ce' },
  step = 1e-6,
  plant,
}: Case = {}): Promise<CheckedGradients> {
  const used = plant ? planted(plant) : engine
  const store = createParameters(used, of)
  try {
    writeParameters(store, randomParameters(of, 3))
    return await checkGradients({
      engine: used,
      graph: of,
      store,
      pictures: Uint8Array.from(noise(IMAGES * SIZE * SIZE * 3, 9), (value) => Math.floor((value + 1) * 127.9)),
      labels: Int32Array.of(0, 1, 2),
      training: { trainable: trainableOf(of), batchStatistics: batchStatistics ? everyNorm : new Set(), loss },
      smoothing: 0.1,
      penalty: { l2: 0.3, l1: 0.1 },
      coordinates: 8,
      step,
      seed: 1,
    })
  } finally {
    store.free()
  }
}

/** The engine with an error in what it runs. */
function planted(plant: Plant): Engine {
  const withErrors = (step: Call | Step): (Call | Step)[] => {
    const calls = 'calls' in step ? step.calls : [step]
    const found = calls.map(plant)
    const changed = calls.map((call, at) => found[at]?.instead ?? call)
    const after = found.flatMap((each) => (each?.after ? [each.after] : []))
    return ['calls' in step ? { ...step, calls: changed } : (changed[0] ?? step), ...after]
  }
  return Object.assign(Object.create(engine), {
    register: (steps: readonly (Call | Step)[]) => engine.register(steps.flatMap(withErrors)),
  })
}

const number = (call: Call, at: number): number => {
  const value = call.args[at]
  return typeof value === 'number' ? value : Number.NaN
}
const withArgument = (call: Call, at: number, value: number): Call => ({
  ...call,
  args: call.args.map((argument, index) => (index === at ? value : argument)),
})
/** Multiplies values by a factor: the penalty of values on themselves. */
const scaled = (address: number, length: number, factor: number): Call => ({
  kernel: 'penaltyGradient',
  args: [address, address, factor - 1, 0],
  units: length / 4,
  grain: 1,
})
/** A table of a window with one of its numbers changed, in memory of its own. */
const otherTable = (address: number, at: number, value: number): number => {
  const copy = engine.arena.allocate(64, 'a planted table')
  engine.integers(copy, 15).set(engine.integers(address, 15))
  engine.integers(copy, 15)[at] = value
  return copy
}
const [STRIDE_HEIGHT, PAD_TOP] = [9, 11]

const errors: readonly { readonly name: string; readonly batchStatistics?: boolean; readonly plant: Plant }[] = [
  {
    name: 'the sign of a gradient',
    plant: (call) =>
      call.kernel === 'depthwiseBackwardWeight' ? { after: scaled(number(call, 4), 72, -1) } : undefined,
  },
  {
    name: 'a gradient one hundredth too large',
    plant: (call) =>
      call.kernel === 'matmulTransposed' && number(call, 1) === 12
        ? { after: scaled(number(call, 6), 48, 1.01) }
        : undefined,
  },
  {
    name: 'a missing term where two ways meet',
    plant: (call) =>
      call.kernel === 'matmul' && number(call, 8) === number(call, 3)
        ? { instead: withArgument(call, 8, 0) }
        : undefined,
  },
  {
    name: 'a wrong stride',
    plant: (call) =>
      call.kernel === 'convolutionBackwardWeight' && engine.integers(number(call, 4), 1)[0] === SIZE
        ? { instead: withArgument(call, 4, otherTable(number(call, 4), STRIDE_HEIGHT, 1)) }
        : undefined,
  },
  {
    name: 'a weight that is transposed once too often',
    plant: (call) =>
      call.kernel === 'packBTransposed' && number(call, 3) === 8
        ? { instead: { ...call, kernel: 'packB' } }
        : undefined,
  },
  {
    name: 'a forgotten bias',
    plant: (call) =>
      call.kernel === 'sumRows' && number(call, 1) === 8
        ? { instead: { kernel: 'fill', args: [number(call, 3), 0], units: 2, grain: 1 } }
        : undefined,
  },
  {
    name: 'a rectifier that lets everything back',
    plant: (call) =>
      call.kernel === 'batchNormBackwardInput' && number(call, 5) === 2
        ? { instead: withArgument(call, 5, 0) }
        : undefined,
  },
  {
    name: 'the slopes of other channels',
    plant: (call) =>
      call.kernel === 'preluBackwardInput' ? { instead: withArgument(call, 1, number(call, 1) + 16) } : undefined,
  },
  {
    name: 'a pooling that is one pixel off',
    plant: (call) =>
      call.kernel === 'maxPoolBackward'
        ? { instead: withArgument(call, 3, otherTable(number(call, 3), PAD_TOP, 1)) }
        : undefined,
  },
  {
    name: 'a batch norm that takes its statistics for constants',
    batchStatistics: true,
    plant: (call) => (call.kernel === 'batchNormBackwardFinish' ? { instead: withArgument(call, 9, 0) } : undefined),
  },
  {
    name: 'a loss that is a sum in the place of a mean',
    plant: (call) => (call.kernel === 'softmaxCrossEntropy' ? { instead: withArgument(call, 2, 0) } : undefined),
  },
  {
    name: 'half of the squared weights',
    plant: (call) =>
      call.kernel === 'penaltyGradient' ? { instead: withArgument(call, 2, number(call, 2) / 2) } : undefined,
  },
  {
    name: 'the absolute weights left out',
    plant: (call) => (call.kernel === 'penaltyGradient' ? { instead: withArgument(call, 3, 0) } : undefined),
  },
]

const losses: readonly Loss[] = [
  { kind: 'ce' },
  { kind: 'bce' },
  { kind: 'quadratic' },
  { kind: 'mse' },
  { kind: 'hinge', margin: 1, power: 1 },
  { kind: 'focal', gamma: 2 },
  { kind: 'l1' },
  { kind: 'smooth-l1', beta: 0.5 },
  { kind: 'huber', delta: 0.7 },
  { kind: 'sigmoid-focal', gamma: 2, alpha: 0.25 },
]

describe.each([false, true])('with statistics of the batch: %s', (batchStatistics) => {
  test.each(losses)('gradients of $kind that are right are found right', async (loss) => {
    const checked = await check({ batchStatistics, loss })
    expect(checked.good).toBe(true)
    expect(checked.apart).toBe(0)
    expect(checked.leftOut).toBeLessThan(checked.tried * 0.2)
    expect(checked.tensors.map(({ name }) => name).sort()).toEqual([...trainable].sort())
    for (const { name, error, verdict } of [...checked.tensors, ...(checked.penalty?.tensors ?? [])]) {
      // A bias in front of a batch norm that uses the batch's mean has none.
      const none = batchStatistics && name === 'depthwise.bias'
      expect(verdict, name).toMatch(none ? /no gradient/ : /excellent|acceptable/)
      if (!none) expect(error, name).toBeLessThan(1e-5)
    }
  })
})

test.each(errors)('$name is found', async ({ plant, batchStatistics }) => {
  let planted = 0
  const checked = await check({
    ...(batchStatistics ? { batchStatistics } : {}),
    plant(call) {
      const change = plant(call)
      if (change) planted++
      return change
    },
  })
  expect(planted).toBeGreaterThan(0)
  expect(checked.good).toBe(false)
  const bad = [...checked.tensors, ...(checked.penalty?.tensors ?? [])].filter(({ verdict }) => !isGood(verdict))
  expect(bad.length).toBeGreaterThan(0)
})

test('the same errors are found where the statistics of the batch are used', async () => {
  for (const { name, plant } of errors) {
    const checked = await check({ batchStatistics: true, plant })
    expect(checked.good, name).toBe(false)
  }
})

test('coordinates at which a value crosses a kink are left out, and more of them with a larger step', async () => {
  const wide = await check({ step: 0.05 })
  expect(wide.leftOut).toBeGreaterThan((await check()).leftOut)
  // What remains is judged by what remains.
  expect(wide.tensors.every(({ tried, leftOut, error }) => (error === null) === (tried === leftOut))).toBe(true)
})

test('the error of the differences falls with the square of the step', async () => {
  const net = graphBuilder()
  const entry = { height: SIZE, width: SIZE, mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.4] } as const
  const input = net.layer('imageInput', 'input', entry, [])
  const features = net.layer('globalAveragePool', 'features', {}, [input])
  const sum = net.layer('linear', 'hidden', { outFeatures: 6, bias: true }, [features])
  const curve = net.layer('activation', 'curve', { kind: 'tanh' }, [sum])
  const output = net.layer('linear', 'classifier', { outFeatures: CLASSES, bias: true }, [curve])
  const smooth = net.finish({ output, features, classifier: output })
  const errorsAt = async (step: number) => {
    const { tensors, leftOut } = await check({ of: smooth, step })
    expect(leftOut).toBe(0)
    return tensors.map(({ error }) => error ?? Number.NaN)
  }
  const [fine, coarse] = [await errorsAt(0.05), await errorsAt(0.2)]
  // Four times the step, sixteen times the error.
  for (const [at, error] of coarse.entries()) {
    const ratio = error / (fine[at] ?? Number.NaN)
    expect(ratio).toBeGreaterThan(14)
    expect(ratio).toBeLessThan(18)
  }
})
