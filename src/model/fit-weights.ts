// Fits a checkpoint to a network and says what matched.
import { breathing } from '../breath.ts'
import { RegraftError } from '../errors.ts'
import { type Graph, type Layer, layerNamed, parameterName, parametersOf } from '../graph/graph.ts'
import { allFinite } from '../tensor/all-finite.ts'
import type { Checkpoint } from '../tensor/checkpoint.ts'
import type { HostTensor } from '../tensor/host-tensor.ts'
import { formatShape, type Shape, shapesEqual } from '../tensor/shape.ts'
import { resampledPositions } from './resample-positions.ts'

export interface LoadReport {
  readonly matched: readonly string[]
  /** In the network, not in the file. */
  readonly missing: readonly string[]
  /** In the file, not in the network. */
  readonly unused: readonly string[]
  readonly wrongShape: readonly Mismatch[]
}

interface Mismatch {
  readonly name: string
  readonly found: Shape
  readonly expected: Shape
}

export interface FittedWeights {
  readonly tensors: ReadonlyMap<string, HostTensor>
  readonly counters: ReadonlyMap<string, number>
  readonly report: LoadReport
}

/** Tensors that are read at once: opening files and copying out of the system's cache go on side by side. */
const READ_AT_ONCE = 8
const COUNTER = 'num_batches_tracked'
const MAX_NAMED = 6

/** Names of the counters that PyTorch keeps beside each batch norm. */
export function counterNames(graph: Graph): readonly string[] {
  return graph.layers.filter((layer) => layer.op === 'batchNorm').map((layer) => `${layer.name}.${COUNTER}`)
}

/**
 * @param labelOffset  rows at the start of the classifier that are cut off
 * @throws RegraftError 'weights' naming all that is missing or has the wrong shape
 */
export async function fitWeights(graph: Graph, checkpoint: Checkpoint, labelOffset = 0): Promise<FittedWeights> {
  const available = new Set(checkpoint.names())
  const wanted: { name: string; read: () => Promise<HostTensor | undefined>; otherwise: Mismatch }[] = []
  const missing: string[] = []
  const wrongShape: Mismatch[] = []
  const used = new Set<string>()
  for (const layer of graph.layers) {
    for (const spec of parametersOf(layer)) {
      const name = parameterName(layer, spec)
      if (!available.has(name)) {
        missing.push(name)
        continue
      }
      used.add(name)
      const found = checkpoint.shape(name)
      const otherwise = { name, found, expected: spec.shape }
      const want = (read: () => Promise<HostTensor | undefined>) => wanted.push({ name, read, otherwise })
      if (sameValues(found, spec.shape)) {
        want(async () => ({ shape: spec.shape, data: (await checkpoint.read(name)).data }))
      } else if (layer.op === 'positions' && found.length === 3 && found[2] === spec.shape[2]) {
        want(async () => resampledPositions(await checkpoint.read(name), gridOf(graph, layer)))
      } else if (
        labelOffset > 0 &&
        layer.name === graph.classifier &&
        found[0] === (spec.shape[0] ?? 0) + labelOffset
      ) {
        want(async () => withoutFirstRows(await checkpoint.read(name), labelOffset))
      } else wrongShape.push(otherwise)
    }
  }
  const tensors = new Map<string, HostTensor>()
  const results = await readAll(wanted.map(({ read }) => read))
  for (const [index, { name, otherwise }] of wanted.entries()) {
    const tensor = results[index]
    if (tensor === undefined) wrongShape.push(otherwise)
    else tensors.set(name, tensor)
  }
  const counting = counterNames(graph)
  const counted = await readAll(
    counting.map((name) => async () => (available.has(name) ? await checkpoint.read(name) : undefined)),
  )
  const counters = new Map(counting.map((name, index) => [name, counted[index]?.data[0] ?? 0]))
  for (const name of counting) if (available.has(name)) used.add(name)
  const unused = checkpoint.names().filter((name) => !used.has(name))
  const report = { matched: [...tensors.keys()], missing, unused, wrongShape }
  if (missing.length > 0 || wrongShape.length > 0) throw doesNotFit(checkpoint.source, graph, report)
  const breath = breathing()
  const broken: string[] = []
  for (const [name, tensor] of tensors) {
    if (!allFinite(tensor.data)) broken.push(name)
    if (breath.due()) await breath.pause()
  }
  if (broken.length > 0) {
    throw new RegraftError(
      'weights',
      `${checkpoint.source}: ${some(broken)} ${broken.length === 1 ? 'has' : 'have'} values that are not finite numbers. The file is damaged or comes from a training that diverged.`,
      { file: checkpoint.source },
    )
  }
  return { tensors, counters, report }
}

/** In the order asked for; of several errors the first in that order is thrown, whichever came first. */
async function readAll(reads: readonly (() => Promise<HostTensor | undefined>)[]): Promise<(HostTensor | undefined)[]> {
  const all: (HostTensor | undefined)[] = []
  for (let at = 0; at < reads.length; at += READ_AT_ONCE) {
    const results = await Promise.allSettled(reads.slice(at, at + READ_AT_ONCE).map((read) => read()))
    for (const result of results) {
      if (result.status === 'rejected') throw result.reason
      all.push(result.value)
    }
  }
  return all
}

/**
 * Whether the values of one shape lie as those of the other: sizes of 1 aside they are equal, or one is a matrix and the other the
 * windows that its rows are.
 */
export function sameValues(a: Shape, b: Shape): boolean {
  const [long, short] = [a, b].map((shape) => shape.filter((size) => size !== 1)).sort((x, y) => y.length - x.length)
  if (long === undefined || short === undefined) return false
  if (shapesEqual(long, short)) return true
  const isMatrix = a.length === 2 || b.length === 2
  const [rows = 1, ...window] = long
  return isMatrix && shapesEqual(short, [rows, window.reduce((product, size) => product * size, 1)])
}

/** Rows and columns of the picture whose pixels get positions. */
function gridOf(graph: Graph, layer: Layer): readonly [number, number] {
  const [before = ''] = layer.inputs
  const [rows = 1, columns = 1] = layerNamed(graph, before).inputShapes[0] ?? []
  return [rows, columns]
}

function withoutFirstRows(tensor: HostTensor, rows: number): HostTensor {
  const [first = 0, ...rest] = tensor.shape
  return { shape: [first - rows, ...rest], data: tensor.data.slice((tensor.data.length / first) * rows) }
}

function some(names: readonly string[]): string {
  return (
    names.slice(0, MAX_NAMED).join(', ') + (names.length > MAX_NAMED ? ` and ${names.length - MAX_NAMED} more` : '')
  )
}

function doesNotFit(file: string, graph: Graph, report: LoadReport): RegraftError {
  const { missing, unused, wrongShape, matched } = report
  const lines = [`${file} does not fit the network: ${matched.length} weights matched.`]
  if (missing.length > 0) lines.push(`${missing.length} missing: ${some(missing)}.`)
  if (wrongShape.length > 0) {
    lines.push(
      `${wrongShape.length} of the wrong shape: ${some(wrongShape.map(({ name, found, expected }) => `${name} ${formatShape(found)}, expected ${formatShape(expected)}`))}.`,
    )
  }
  if (unused.length > 0) lines.push(`${unused.length} not used: ${some(unused)}.`)
  const { classifier } = graph
  const head =
    classifier !== undefined &&
    [...missing, ...wrongShape.map(({ name }) => name)].every((name) => name.startsWith(`${classifier}.`))
  lines.push(
    head
      ? `Only the classifier '${classifier}' (${formatShape(layerNamed(graph, classifier).shape)}) differs: correct num_classes in config.json.`
      : 'Is the architecture in config.json the one that these weights belong to?',
  )
  return new RegraftError('weights', lines.join('\n'), { file })
}
