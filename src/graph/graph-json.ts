// A graph as plain data, for networks that no architecture here builds, and back, checked field by field.
import { activationKinds } from '../ops/activation.ts'
import { type AttributesOf, type OpName, ops } from '../ops/index.ts'
import { ACTIVATION_CODES } from '../ops/op.ts'
import { type GraphBuilder, graphBuilder } from './builder.ts'
import type { Graph } from './graph.ts'

/** What `graphFromJson` reads; shapes follow from it. */
export interface GraphJson {
  readonly layers: readonly {
    readonly name: string
    readonly op: string
    readonly inputs: readonly string[]
    readonly attrs: unknown
    readonly stage: string
    readonly block?: string
  }[]
  readonly output: string
  readonly features: string
  readonly classifier?: string
}

export function graphToJson(graph: Graph): GraphJson {
  const layers = graph.layers.map(({ name, op, inputs, attrs, stage, block }) => ({
    name,
    op,
    inputs,
    attrs,
    stage,
    ...(block === undefined ? {} : { block }),
  }))
  const { output, features, classifier } = graph
  return { layers, output, features, ...(classifier === undefined ? {} : { classifier }) }
}

const maxLayers = 10_000
const maxNameLength = 300

/**
 * @param value  as JSON was read; nothing about it is trusted
 * @throws Error with a plain reason
 */
export function graphFromJson(value: unknown): Graph {
  const { layers, output, features, classifier } = record(value, 'the graph')
  if (!Array.isArray(layers) || layers.length === 0 || layers.length > maxLayers) {
    throw new Error(`the graph has no list of 1 to ${maxLayers} layers`)
  }
  const net = graphBuilder()
  const names = new Set<string>()
  for (const item of layers) {
    const { name: given, op, inputs, attrs, stage, block } = record(item, 'a layer')
    const name = text(given, 'the name of a layer')
    if (names.has(name)) throw new Error(`two layers are called '${name}'`)
    if (!Array.isArray(inputs)) throw new Error(`layer '${name}' has no list of inputs`)
    const reads = inputs.map((input) => text(input, `an input of layer '${name}'`))
    const missing = reads.find((input) => !names.has(input))
    if (missing !== undefined) throw new Error(`layer '${name}' reads '${missing}', which does not come before it`)
    net.at(
      text(stage, `the stage of layer '${name}'`),
      block === undefined ? undefined : text(block, `the block of layer '${name}'`),
    )
    addLayer(net, text(op, `the operator of layer '${name}'`), name, attrs, reads)
    names.add(name)
  }
  const end = (given: unknown, what: string): string => {
    const name = text(given, what)
    if (!names.has(name)) throw new Error(`${what} '${name}' is no layer`)
    return name
  }
  return net.finish({
    output: end(output, 'the output'),
    features: end(features, 'the layer of the features'),
    ...(classifier === undefined ? {} : { classifier: end(classifier, 'the classifier') }),
  })
}

function addLayer(net: GraphBuilder, op: string, name: string, attrs: unknown, inputs: readonly string[]): void {
  if (!isOpName(op)) throw new Error(`layer '${name}' has the unknown operator '${op}'`)
  const checks = attributeChecks[op]
  const given = record(attrs, `the attributes of layer '${name}'`)
  const unknown = Object.keys(given).find((key) => !Object.hasOwn(checks, key))
  if (unknown !== undefined) throw new Error(`layer '${name}' has the unknown attribute '${unknown}'`)
  for (const [key, check] of Object.entries(checks)) {
    if (!check(given[key])) throw new Error(`layer '${name}' has no valid '${key}'`)
  }
  // Every attribute was checked against what the operator declares.
  net.layer(op, name, { ...given } as AttributesOf<typeof op>, inputs)
}

function isOpName(op: string): op is OpName {
  return Object.hasOwn(ops, op)
}

type Check = (value: unknown) => boolean

const maxSize = 1_000_000
const isCount: Check = (value) => typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= maxSize
const isSize: Check = (value) => isCount(value) && value !== 0
const isNumber: Check = (value) => typeof value === 'number' && Number.isFinite(value)
const isBoolean: Check = (value) => typeof value === 'boolean'
const isList =
  (check: Check, length?: number): Check =>
  (value) =>
    Array.isArray(value) && value.length <= 8 && (length === undefined || value.length === length) && value.every(check)
const isPair = isList(isSize, 2)
const isOneOf =
  (names: readonly unknown[]): Check =>
  (value) =>
    names.includes(value)
const isFused = isOneOf(Object.keys(ACTIVATION_CODES))
const orAbsent =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value)

const window = {
  kernel: isPair,
  stride: isPair,
  padding: (value: unknown) => value === 'same' || isList(isCount, 4)(value),
  dilation: orAbsent(isPair),
  ceilMode: orAbsent(isBoolean),
}
const dropping = {
  rate: (value: unknown) => isNumber(value) && Number(value) >= 0 && Number(value) < 1,
  salt: (value: unknown) => Number.isInteger(value) && Number(value) >= 0 && Number(value) < 2 ** 32,
}
const normalisation = { mean: isList(isNumber, 3), std: isList(isNumber, 3) }

/** The fields of all alternatives. */
type FieldsOf<A> = A extends unknown ? keyof A : never

const attributeChecks: { readonly [K in OpName]: Readonly<Record<FieldsOf<AttributesOf<K>>, Check>> } = {
  imageInput: { height: isSize, width: isSize, ...normalisation },
  tensorInput: { shape: isList(isSize) },
  meanImage: {},
  conv2d: { ...window, outChannels: isSize, groups: orAbsent(isSize), bias: orAbsent(isBoolean) },
  depthwiseConv2d: { ...window, bias: orAbsent(isBoolean) },
  batchNorm: { epsilon: isNumber, momentum: isNumber, activation: orAbsent(isFused) },
  activation: {
    kind: isOneOf(activationKinds),
    slope: orAbsent(isNumber),
    alpha: orAbsent(isNumber),
    beta: orAbsent(isNumber),
  },
  prelu: { shared: orAbsent(isBoolean) },
  maxout: { pieces: isSize },
  softmax: {},
  logSoftmax: {},
  add: { activation: orAbsent(isFused) },
  concat: {},
  slice: { from: isCount, channels: isSize },
  channelShuffle: { groups: isSize },
  scale: {},
  layerScale: { initial: isNumber },
  layerNorm: { epsilon: isNumber },
  classToken: {},
  positions: {},
  attention: { heads: isSize },
  firstToken: {},
  dropout: dropping,
  dropPath: dropping,
  linear: { outFeatures: isSize, bias: orAbsent(isBoolean), dropConnect: (value) => value === undefined },
  maxPool: window,
  averagePool: { ...window, countIncludePad: orAbsent(isBoolean) },
  adaptiveAveragePool: { output: isPair },
  globalAveragePool: {},
}

function record(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value }
  throw new Error(`${what} is not a table of fields`)
}

function text(value: unknown, what: string): string {
  if (typeof value === 'string' && value !== '' && value.length <= maxNameLength) return value
  throw new Error(`${what} is not a text`)
}
