// A network in the making while a foreign graph is walked through.
import { graphBuilder } from '../graph/builder.ts'
import { type Graph, type Layer, parameterName, parametersOf } from '../graph/graph.ts'
import type { AttributesOf, OpName } from '../ops/index.ts'
import type { Checkpoint } from '../tensor/checkpoint.ts'
import { elementCount, formatShape, type Shape, shapesEqual } from '../tensor/shape.ts'
import { checkpointOf, type StoredTensor, weightsError } from './stored-tensors.ts'

/** Thrown for what has no layer here; the message names it. */
export class Unsupported extends Error {}

/** Where a parameter's values come from. */
export interface ParameterSource {
  readonly shape: Shape
  read(): Promise<Float32Array>
}

type Parameters = Readonly<Record<string, ParameterSource>>

/** A layer that may still get a bias or an activation. */
export interface Draft<K extends OpName = OpName> {
  readonly op: K
  readonly name: string
  attrs: AttributesOf<K>
  readonly inputs: readonly string[]
}

/** Values in one layer's output, per picture: 1 GiB of floats. */
const maxElements = 2 ** 28
/** The largest networks of classification have some 1000. */
const maxLayers = 5000

export class NetworkDraft {
  protected readonly file: string
  // For shapes; the graph itself is built of the drafts.
  private readonly net = graphBuilder()
  private readonly drafts = new Map<string, Draft>()
  private readonly parameters = new Map<string, ParameterSource>()

  constructor(file: string) {
    this.file = file
  }

  /** A layer that was added, if it is of one of these kinds. Whoever changes it knows that nothing else reads it as it was. */
  draftOf<K extends OpName>(layer: string, ...ops: readonly K[]): Draft<K> | undefined {
    const draft = this.drafts.get(layer)
    // The kind is compared; the type follows it.
    return draft !== undefined && ops.some((op) => op === draft.op) ? (draft as unknown as Draft<K>) : undefined
  }

  shapeOf(layer: string): Shape {
    return this.net.shapeOf(layer)
  }

  /**
   * Adds a layer.
   * @param hint        where its name is taken from: that of a node or of an initialiser
   * @param parameters  by the layer's own names for them
   * @throws Error with a plain reason when the shapes do not fit
   */
  layer<K extends OpName>(
    op: K,
    attrs: AttributesOf<K>,
    inputs: readonly string[],
    hint: string,
    parameters: Parameters = {},
  ): string {
    if (this.drafts.size >= maxLayers)
      throw new Error(`the model has more than ${maxLayers} layers, which is beyond the limit`)
    const name = this.freshName(hint)
    this.net.layer(op, name, attrs, inputs)
    const shape = this.shapeOf(name)
    if (!(elementCount(shape) <= maxElements)) throw new Error(`its output of shape ${formatShape(shape)} is too large`)
    // Attributes belong to the operator of the same draft; a Map of all of them cannot say so.
    this.drafts.set(name, { op, name, attrs, inputs } as unknown as Draft)
    this.setParameters(name, parameters)
    return name
  }

  setParameters(layer: string, parameters: Parameters): void {
    // A parameter without a name of its own has that of its layer.
    for (const [parameter, source] of Object.entries(parameters))
      this.parameters.set(parameter === '' ? layer : `${layer}.${parameter}`, source)
  }

  private freshName(hint: string): string {
    const base = layerNameFrom(hint)
    let name = base
    for (let number = 2; this.drafts.has(name); number++) name = `${base}_${number}`
    return name
  }

  /** The graph up to these outputs, and its parameters by our names. */
  async finish(outputs: readonly string[]): Promise<{ graph: Graph; checkpoint: Checkpoint }> {
    const [output] = outputs
    if (output === undefined) throw weightsError(this.file, 'the model has no output.')
    const last = this.drafts.get(output)
    const [entry] = last?.inputs ?? []
    const isClassifier = last?.op === 'linear' && entry !== undefined && isVectorShape(this.shapeOf(entry))
    const features = isClassifier ? entry : output
    const needed = this.neededFor(outputs)
    const drafts = [...this.drafts.values()].filter(({ name }) => needed.has(name))
    const net = graphBuilder()
    const blocks = blocksOf(drafts)
    let head = false
    for (const draft of drafts) {
      const { stage, block } = blocks.get(draft.name) ?? { stage: 'stem', block: undefined }
      net.at(head ? 'head' : stage, head ? undefined : block)
      net.layer(draft.op, draft.name, draft.attrs, draft.inputs)
      head ||= draft.name === features
    }
    const graph = net.finish({ output, features, ...(isClassifier ? { classifier: output } : {}) })
    await this.refuseNegativeVariance(graph)
    return {
      graph,
      checkpoint: checkpointOf(
        this.file,
        graph.layers.flatMap((layer) => this.storedParameters(layer)),
      ),
    }
  }

  private neededFor(outputs: readonly string[]): ReadonlySet<string> {
    const needed = new Set(outputs)
    for (const { name, inputs } of [...this.drafts.values()].reverse()) {
      if (needed.has(name)) for (const input of inputs) needed.add(input)
    }
    return needed
  }

  private storedParameters(layer: Layer): StoredTensor[] {
    return parametersOf(layer).map((spec) => {
      const name = parameterName(layer, spec)
      const source = this.parameters.get(name)
      if (source === undefined || !shapesEqual(source.shape, spec.shape)) throw new Error(`${name} has no values`)
      const readBytes = async () => new Uint8Array((await source.read()).slice().buffer)
      return { name, dtype: 'F32' as const, shape: spec.shape, readBytes }
    })
  }

  private async refuseNegativeVariance(graph: Graph): Promise<void> {
    for (const { op, name } of graph.layers) {
      const variance = op === 'batchNorm' ? await this.parameters.get(`${name}.running_var`)?.read() : undefined
      if (variance === undefined || variance.every((value) => value >= 0)) continue
      const problem = `the variance of the batch norm '${name}' is negative or not a number; its outputs would not be finite.`
      throw weightsError(this.file, problem, name)
    }
  }
}

function isVectorShape(shape: Shape): boolean {
  return elementCount(shape) === (shape.at(-1) ?? 1)
}

/**
 * A layer's name from an initialiser ('layer1.0.conv1.weight'), or from a node as PyTorch names it
 * ('/layer1/layer1.0/conv1/Conv'): without the last word, and with paths that repeat themselves joined.
 */
function layerNameFrom(hint: string): string {
  const words = hint
    .replace(/_output_\d+$/, '')
    .replace(/\.(weight|bias)$/, '')
    .split('/')
  const path: string[] = []
  for (const word of words.filter((word) => word !== '')) {
    const before = path.at(-1)
    if (before !== undefined && (word === before || word.startsWith(`${before}.`))) path.pop()
    path.push(word)
  }
  if (path.length > 1) path.pop()
  const name = path
    .join('.')
    .replace(/[^\w.-]+/g, '_')
    .replace(/^[._]+|[._]+$/g, '')
  return name.slice(0, 200) || 'layer'
}

/**
 * Stages and blocks, which `--unfreeze` goes by and ONNX does not have: a block ends where a single value carries on, and
 * holds at least a dense convolution, after its depthwise one if it has one; a stage ends where a block makes the picture smaller.
 */
function blocksOf(drafts: readonly Draft[]): ReadonlyMap<string, { stage: string; block: string }> {
  const lastReader = new Map<string, number>()
  for (const [at, { inputs }] of drafts.entries()) for (const input of inputs) lastReader.set(input, at)
  const blocks = new Map<string, { stage: string; block: string }>()
  const alive = new Set<string>()
  let stage = 0
  let block = 0
  let complete = false
  let depthwise = false
  for (const [at, { op, name, attrs }] of drafts.entries()) {
    for (const value of alive) if ((lastReader.get(value) ?? -1) < at) alive.delete(value)
    const weighted = op === 'conv2d' || op === 'depthwiseConv2d' || op === 'maxPool' || op === 'averagePool'
    if (weighted && complete && alive.size === 1 && !(op === 'depthwiseConv2d' && !depthwise)) {
      block += 1
      if (hasStride(attrs)) stage += 1
      complete = false
      depthwise = false
    }
    if (op === 'depthwiseConv2d') {
      depthwise = true
      complete = false
    } else if (op === 'conv2d') complete = true
    if (op !== 'imageInput' && op !== 'tensorInput')
      blocks.set(name, { stage: `stages.${stage}`, block: `blocks.${block}` })
    alive.add(name)
  }
  return blocks
}

function hasStride(attrs: object): boolean {
  return 'stride' in attrs && Array.isArray(attrs.stride) && attrs.stride.some((step) => step > 1)
}
