// One operator in a small network, run by the kernels and by the interpreter: forward, loss, and gradients by centred differences.

import { expect } from 'vitest'
import { type GraphBuilder, graphBuilder } from '../../src/graph/builder.ts'
import { withoutDropping } from '../../src/graph/dropping.ts'
import { type Graph, layerNamed, parameterName, parametersOf } from '../../src/graph/graph.ts'
import type { Engine } from '../../src/kernels/engine.ts'
import type { ConvolutionAlgorithm } from '../../src/ops/convolution-algorithm.ts'
import { referenceOf } from '../../src/reference/interpreter.ts'
import { createParameters } from '../../src/runtime/parameters.ts'
import { createRunner } from '../../src/runtime/runner.ts'
import { randomParameters, writeParameters } from '../support/fill-parameters.ts'
import { relativeDifference } from '../support/relative-difference.ts'
import { noise } from '../support/values.ts'

/** Adds the operator on top of the layer `input`; its layers are called 'op' or 'op…'. */
export type AddOp = (net: GraphBuilder, input: string) => string

export interface OpCase {
  readonly name: string
  readonly add: AddOp
  /** What the operator reads: a picture [height, width, channels] or a vector. */
  readonly shape: readonly number[]
  /** Multiplies weights in front of the operator, so that clipped activations occur. */
  readonly gain?: number
  /** Whether batch norms of the operator use the batch's statistics. */
  readonly batchStatistics?: boolean
  /** The algorithm of its convolutions; default: that of the table. */
  readonly convolution?: ConvolutionAlgorithm
}

/**
 * - `alone`: the operator is the first to write the gradient of its input
 * - `fork`: another layer wrote it before, so the operator adds
 * - `frozen`: the operator's parameters are fixed, gradients pass through it
 */
export type Variant = 'alone' | 'fork' | 'frozen'

/** An operator without parameters has nothing to freeze. */
export function variantsFor(opCase: OpCase): readonly Variant[] {
  const { layers } = buildNetwork(opCase, 'frozen')
  const parameters = layers.filter(({ name }) => name.startsWith('op')).flatMap(parametersOf)
  return parameters.length > 0 ? ['alone', 'fork', 'frozen'] : ['alone', 'fork']
}

const CLASSES = 3
const IMAGES = 3
const INPUT_CHANNELS = 3
/** Coordinates that are tried of each tensor, spread over it at random. */
const MOST_COORDINATES = 48
const STEP = 1e-5

/** Input, a 1x1 convolution, the operator, and classifiers that see every value of it and of its input with a weight of their own. */
function buildNetwork({ add, shape }: OpCase, variant: Variant): Graph {
  const net = graphBuilder()
  const channels = shape.at(-1) ?? 1
  const isPicture = shape.length === 3
  const classifier = (name: string, input: string): string => {
    const [height = 1, width = 1, ...rest] = net.shapeOf(input)
    if (rest.length === 0) return net.layer('linear', name, { outFeatures: CLASSES, bias: true }, [input])
    const window = { kernel: [height, width], stride: [1, 1], padding: [0, 0, 0, 0] } as const
    const all = net.layer('conv2d', name, { ...window, outChannels: CLASSES, bias: true }, [input])
    return net.layer('globalAveragePool', `${name}.vector`, {}, [all])
  }
  const entry = net.layer('tensorInput', 'input', { shape: [...shape.slice(0, -1), INPUT_CHANNELS] }, [])
  const pointwise = { kernel: [1, 1], stride: [1, 1], padding: [0, 0, 0, 0] } as const
  const before = isPicture
    ? net.layer('conv2d', 'before', { ...pointwise, outChannels: channels, bias: true }, [entry])
    : net.layer('linear', 'before', { outFeatures: channels, bias: true }, [entry])
  let logits = classifier('after', add(net, before))
  // Backward goes in reverse: what is added last writes gradients first.
  if (variant === 'fork') logits = net.layer('add', 'logits', {}, [logits, classifier('side', before)])
  return net.finish({ output: logits, features: logits })
}

/** What both ways of running start from. */
function prepareCase(opCase: OpCase, variant: Variant) {
  const graph = buildNetwork(opCase, variant)
  const tensors = randomParameters(graph, 5)
  for (const name of ['before.weight', 'before.bias']) {
    const tensor = tensors.get(name)
    if (tensor) tensors.set(name, { ...tensor, data: tensor.data.map((value) => value * (opCase.gain ?? 1)) })
  }
  const isFrozen = (layer: string) => variant === 'frozen' && layer.startsWith('op')
  const trainable = graph.layers.flatMap((layer) =>
    parametersOf(layer).flatMap((spec) =>
      spec.kind === 'statistic' || isFrozen(layer.name) ? [] : [parameterName(layer, spec)],
    ),
  )
  const norms = opCase.batchStatistics ? graph.layers.filter((layer) => layer.op === 'batchNorm') : []
  const inputShape = layerNamed(graph, 'input').shape
  const input = noise(IMAGES * inputShape.reduce((a, b) => a * b, 1), 6)
  const keys = {
    pictures: Uint32Array.from(noise(2 * IMAGES, 8), (value) => value * 2 ** 31),
    step: Uint32Array.of(9, 10),
  }
  const targets = noise(IMAGES * CLASSES, 7).map((value) => (value + 1) / (2 * IMAGES))
  return {
    graph,
    tensors,
    trainable,
    batchStatistics: new Set(norms.map(({ name }) => name)),
    input,
    targets,
    keys,
    algorithm: opCase.convolution ? { convolution: opCase.convolution } : {},
  }
}

type Prepared = ReturnType<typeof prepareCase>

interface Expected {
  readonly prepared: Prepared
  readonly logits: Float64Array
  /** Of the network in inference. */
  readonly inference: Float64Array
  readonly loss: number
  readonly statistics: ReadonlyMap<string, Float64Array>
  /** Coordinates that were tried, and the slopes there. */
  readonly slopes: ReadonlyMap<string, { readonly coordinates: readonly number[]; readonly values: readonly number[] }>
  /** Of all parameters, by the interpreter's own backward pass. */
  readonly gradients: ReadonlyMap<string, Float64Array>
  /** Coordinates left out because a value crossed a kink. */
  readonly leftOut: number
  readonly tried: number
}

/** The truth, by the interpreter. */
export function expectedOf(opCase: OpCase, variant: Variant): Expected {
  const prepared = prepareCase(opCase, variant)
  const { graph, tensors, trainable, batchStatistics, input, targets, keys } = prepared
  const options = {
    parameters: new Map([...tensors].map(([name, { data }]) => [name, data])),
    input: Float64Array.from(input),
    images: IMAGES,
    keys,
  }
  const step = {
    loss: { kind: 'ce' },
    targets: { values: targets, weights: new Float64Array(IMAGES).fill(1) },
  } as const
  const reference = referenceOf(graph, { ...options, batchStatistics }, step)
  let leftOut = 0
  let tried = 0
  const slopes = new Map<string, { coordinates: number[]; values: number[] }>()
  for (const name of trainable) {
    const data = tensors.get(name)?.data ?? new Float32Array(0)
    const found = { coordinates: [] as number[], values: [] as number[] }
    for (const at of someIndices(data.length)) {
      const start = data[at] ?? Number.NaN
      tried++
      const up = reference.lossWith(name, at, start + STEP)
      const down = reference.lossWith(name, at, start - STEP)
      if (up.crossed || down.crossed) {
        leftOut++
        continue
      }
      found.coordinates.push(at)
      found.values.push((up.loss - down.loss) / (2 * STEP))
    }
    slopes.set(name, found)
  }
  return {
    prepared,
    logits: reference.output(graph.output),
    inference: referenceOf(withoutDropping(graph), options).output(graph.output),
    loss: reference.loss(),
    statistics: reference.statistics,
    slopes,
    gradients: reference.gradients(),
    leftOut,
    tried,
  }
}

/** All indices below `length`, or one of each of as many equal stretches as may be tried. */
function someIndices(length: number): number[] {
  if (length <= MOST_COORDINATES) return Array.from({ length }, (_, at) => at)
  const stretch = length / MOST_COORDINATES
  return Array.from(noise(MOST_COORDINATES, length), (value, i) => Math.floor((i + (value + 1) / 2.0001) * stretch))
}

/** Runs the network by the kernels and expects the truth. */
export async function expectTruth(engine: Engine, expected: Expected): Promise<void> {
  const { graph, tensors, trainable, batchStatistics, input, targets, keys, algorithm } = expected.prepared
  const store = createParameters(engine, graph)
  writeParameters(store, tensors)

  const inference = createRunner(engine, graph, store, { images: IMAGES, input: 'floats', ...algorithm })
  await inference.prepare()
  inference.writeFloats(input)
  await inference.run(IMAGES)
  expect(relativeDifference(inference.read(graph.output, IMAGES), expected.inference), 'inference').toBeLessThan(1e-5)
  inference.close()

  const training = { trainable: new Set(trainable), batchStatistics }
  // One more than needed: the number of pictures must come from the run.
  const runner = createRunner(engine, graph, store, { images: IMAGES + 1, input: 'floats', training, ...algorithm })
  await runner.prepare()
  runner.writeFloats(input)
  runner.writeTargets(targets)
  runner.writeKeys(keys.pictures, keys.step)
  await runner.run(IMAGES)
  expect(relativeDifference(runner.read(graph.output, IMAGES), expected.logits), 'logits').toBeLessThan(1e-5)
  const loss = runner.losses(IMAGES).reduce((a, b) => a + b, 0)
  expect(Math.abs(loss - expected.loss) / expected.loss, 'loss').toBeLessThan(1e-5)
  for (const [name, values] of expected.statistics) {
    expect(relativeDifference(store.read(name).data, values), name).toBeLessThan(1e-5)
  }

  const everything = Math.hypot(...[...expected.slopes.values()].flatMap(({ values }) => values))
  expect(everything).toBeGreaterThan(0.01)
  for (const [name, { coordinates, values }] of expected.slopes) {
    const gradient = runner.gradient(name).data
    const size = Math.hypot(...values)
    const difference = Math.hypot(...values.map((value, i) => (gradient[coordinates[i] ?? -1] ?? Number.NaN) - value))
    // A bias in front of a batch norm has no gradient; then only rounding is left.
    expect(difference / Math.max(size, everything / 100), `gradient of ${name}`).toBeLessThan(1e-4)
    const own = expected.gradients.get(name) ?? new Float64Array(0)
    const apart = Math.hypot(...values.map((value, i) => (own[coordinates[i] ?? -1] ?? Number.NaN) - value))
    expect(apart / Math.max(size, everything / 100), `the interpreter's own gradient of ${name}`).toBeLessThan(1e-7)
  }
  runner.close()
  store.free()
}
