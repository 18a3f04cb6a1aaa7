// An ONNX model as a network of ours: its nodes become layers, its initialisers parameters that can be trained.
import { RegraftError } from '../errors.ts'
import type { Graph } from '../graph/graph.ts'
import { inertName } from '../inert-text.ts'
import type { Checkpoint } from '../tensor/checkpoint.ts'
import { checkedElementCount, type Shape } from '../tensor/shape.ts'
import { type ForeignNetwork, UnsupportedNetworkError } from './foreign-network.ts'
import { Unsupported } from './network-draft.ts'
import { type OnnxFile, type OnnxNode, type OnnxValueInfo, readOnnxFile } from './onnx-file.ts'
import { isKnownOperator, translateNode } from './onnx-operators.ts'
import { Translation } from './onnx-translation.ts'
import { constantOfTensor, type NetworkValue, networkValue } from './onnx-values.ts'
import { weightsError } from './stored-tensors.ts'

/** What an ONNX file does not say of its pictures. */
export interface OnnxInputOptions {
  readonly mean: readonly [number, number, number]
  readonly std: readonly [number, number, number]
  /** Height and width where the model leaves them open. */
  readonly size: number
}

export interface OnnxNetwork {
  readonly graph: Graph
  /** Its parameters by our names, as 32-bit floats. */
  readonly checkpoint: Checkpoint
  readonly input: OnnxEnd
  readonly outputs: readonly OnnxEnd[]
}

/** An input or output of the model, as its layer has it. */
export interface OnnxEnd extends NetworkValue {
  readonly name: string
}

const opsets = { from: 9, to: 21 }
const maxShown = 40

/** An ONNX model as a network. @throws RegraftError `weights` */
export async function openOnnxNetwork(file: string, options: OnnxInputOptions): Promise<ForeignNetwork> {
  const { graph, checkpoint, outputs } = await importOnnx(file, options)
  const [first, ...more] = outputs
  const remarks =
    more.length > 0
      ? [`Of its ${outputs.length} outputs the first is taken, '${inertName(first?.name ?? '', 100)}'.`]
      : []
  return { graph, checkpoint, labels: undefined, pictures: undefined, remarks }
}

/**
 * Reads an ONNX model of operator sets 9 to 21 with one input and any number of outputs.
 * @throws RegraftError `weights`; operators that have no layer here are all listed in one error
 */
export async function importOnnx(file: string, options: OnnxInputOptions): Promise<OnnxNetwork> {
  const model = await readOnnxFile(file)
  if (model.opset < opsets.from || model.opset > opsets.to) {
    const problem = `uses version ${model.opset} of the operators (opset); ${opsets.from} to ${opsets.to} are read.`
    throw weightsError(file, `the ONNX model ${problem}`)
  }
  const net = new Translation(file, model.opset, usesOf(model))
  for (const tensor of model.initialisers) net.define(tensor.name, await constantOfTensor(tensor))
  const inputs = model.inputs.filter(({ name }) => net.valueNamed(name) === undefined)
  const [info] = inputs
  if (info === undefined || inputs.length > 1) {
    throw weightsError(file, `the ONNX model has ${inputs.length} inputs, exactly one is expected.`)
  }
  const input = { ...addInput(net, info, options, file), name: info.name }
  net.define(info.name, input)
  const unsupported = await addNodes(net, model.nodes)
  if (model.outputs.length === 0) throw weightsError(file, 'the ONNX model has no output.')
  if (unsupported.size > 0) throw unsupportedError(file, unsupported)
  const outputs = model.outputs.map(({ name }): OnnxEnd => {
    const value = net.valueNamed(name)
    if (value?.kind === 'network') return { ...value, name }
    if (value?.kind === 'pending') throw unsupportedError(file, new Map([[value.said, 1]]))
    const problem = value === undefined ? 'is not produced by any node (missing)' : 'is a constant'
    throw weightsError(file, `the output '${inertName(name, 200)}' of the ONNX model ${problem}.`, name)
  })
  return { ...(await net.finish(outputs.map(({ layer }) => layer))), input, outputs }
}

function usesOf({ nodes, outputs }: OnnxFile): ReadonlyMap<string, number> {
  const uses = new Map<string, number>()
  const names = [...nodes.flatMap(({ inputs }) => inputs), ...outputs.map(({ name }) => name)]
  for (const name of names) uses.set(name, (uses.get(name) ?? 0) + 1)
  return uses
}

/** The layer where pictures, or other tensors, enter. Three dimensions are a picture, channels first unless the last one is 3. */
function addInput(net: Translation, info: OnnxValueInfo, options: OnnxInputOptions, file: string): NetworkValue {
  const fail = (problem: string) =>
    weightsError(file, `the input '${inertName(info.name, 200)}' of the ONNX model ${problem}.`)
  if (info.dtype !== 'F32') throw fail(`is of type ${info.dtype ?? 'unknown'}; F32 (float) is expected`)
  if (info.shape === undefined || info.shape.length < 2) throw fail('has no shape with a batch in front')
  const [, ...sizes] = info.shape
  const picture = sizes.length === 3
  const channelAxis = picture && sizes[2] === 3 && sizes[0] !== 3 ? 2 : 0
  const dims: Shape = sizes.map((size, axis) => {
    const open = picture && axis !== channelAxis ? options.size : 1
    const known = size ?? open
    if (known >= 1) return known
    throw fail(`has a dimension of size ${known}`)
  })
  const elements = checkedElementCount(dims)
  if (elements === undefined || elements > 2 ** 28) throw fail('is too large')
  if (!picture)
    return networkValue(
      net.layer('tensorInput', { shape: dims }, [], 'input'),
      dims,
      dims.map((_, axis) => axis),
    )
  const [a = 1, b = 1, c = 1] = dims
  const [height, width, channels] = channelAxis === 0 ? [b, c, a] : [a, b, c]
  const { mean, std } = options
  const layer =
    channels === 3
      ? net.layer('imageInput', { height, width, mean, std }, [], 'input')
      : net.layer('tensorInput', { shape: [height, width, channels] }, [], 'input')
  return networkValue(layer, dims, channelAxis === 0 ? [2, 0, 1] : [0, 1, 2])
}

/** @returns the operators that have no layer here, and how often they come */
async function addNodes(net: Translation, nodes: readonly OnnxNode[]): Promise<ReadonlyMap<string, number>> {
  const unsupported = new Map<string, number>()
  const count = (what: string) => unsupported.set(what, (unsupported.get(what) ?? 0) + 1)
  // What a node without a layer would have given; what reads it is only looked at for its own operator.
  const unknown = new Set<string>()
  for (const node of nodes) {
    const operator = node.domain === '' ? node.op : `${node.domain}.${node.op}`
    const known = node.domain === '' && isKnownOperator(node.op)
    const missing = node.inputs.find((name) => name !== '' && net.valueNamed(name) === undefined && !unknown.has(name))
    if (missing !== undefined) {
      const problem = `it reads '${inertName(missing, 200)}', which is undefined before it: the order is wrong, or there is a cycle`
      throw net.nodeError(node, problem)
    }
    const [output, ...more] = node.outputs
    if (!known) count(operator)
    if (!known || node.inputs.some((name) => unknown.has(name))) {
      for (const name of node.outputs) {
        if (net.valueNamed(name) !== undefined) throw net.duplicate(name)
        unknown.add(name)
      }
      continue
    }
    if (output === undefined) throw net.nodeError(node, 'it has no output')
    try {
      const inputs = node.inputs.map((name) => (name === '' ? undefined : net.valueNamed(name)))
      net.define(output, await translateNode(node, inputs, net))
    } catch (error) {
      if (error instanceof RegraftError || !(error instanceof Error)) throw error
      if (!(error instanceof Unsupported)) throw net.nodeError(node, error.message)
      count(error.message)
      unknown.add(output)
    }
    // Indices of pooling, masks of dropout, statistics: fine as long as nobody reads them.
    for (const name of more) {
      if (net.isRead(name)) count(`${operator} with more than one output`)
      unknown.add(name)
    }
  }
  return unsupported
}

function unsupportedError(file: string, unsupported: ReadonlyMap<string, number>): RegraftError {
  const list = [...unsupported].map(([what, times]) => `${inertName(what, 200)}${times > 1 ? ` (${times} times)` : ''}`)
  const more = list.length > maxShown ? ` and ${list.length - maxShown} more` : ''
  const shown = list.slice(0, maxShown).join(', ') + more
  const message = `${inertName(file)}: the ONNX model uses operators that are not supported: ${shown}.`
  return new UnsupportedNetworkError('weights', message, { file })
}
