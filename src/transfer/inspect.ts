// The verb `inspect`: what a weight file or a model holds, without computing anything with it.
import { breathing } from '../breath.ts'
import { RegraftError, throwIfAborted } from '../errors.ts'
import { sha256 } from '../files/digest.ts'
import { pathFacts } from '../files/folder.ts'
import { UnsupportedNetworkError } from '../formats/foreign-network.ts'
import { openCheckpoint, recogniseFormat } from '../formats/index.ts'
import { headLayers, headParameters } from '../graph/edit.ts'
import { blocksOf, selectLayers } from '../graph/freeze.ts'
import { type Graph, opOf, parameterName, parametersOf } from '../graph/graph.ts'
import { type FoundModel, findModel } from '../model/find-model.ts'
import { counterNames, sameValues } from '../model/fit-weights.ts'
import { standsApart } from '../model/head.ts'
import { isMeanImage } from '../model/mean-image.ts'
import { architectureOf, graphOf, usualHead } from '../model/model.ts'
import { type ModelDescription, readDescription } from '../model/read-description.ts'
import { allFinite } from '../tensor/all-finite.ts'
import type { Checkpoint } from '../tensor/checkpoint.ts'
import { bytesPerElement, type DType, toFloat32 } from '../tensor/dtype.ts'
import { elementCount, type Shape } from '../tensor/shape.ts'
import type { Listener } from '../train/events.ts'

export interface InspectOptions {
  /** SHA-256 of every tensor's values. */
  readonly digests?: boolean | undefined
  /** Which layers would train, as for `train`; the last three blocks when left out. */
  readonly unfreeze?: string | undefined
  readonly signal?: AbortSignal | undefined
  readonly listener?: Listener | undefined
  readonly offline?: boolean | undefined
}

export interface Inspection {
  /** The weight file. */
  readonly file: string
  readonly format: string
  readonly bytes: number
  /** undefined for weights whose network is not known. */
  readonly network: InspectedNetwork | undefined
  /** As they are stored, in the order of the file. */
  readonly tensors: readonly InspectedTensor[]
  /** What a person should know, in sentences. */
  readonly remarks: readonly string[]
}

export interface InspectedNetwork {
  readonly architecture: string
  readonly classes: number
  readonly width: number
  readonly height: number
  readonly parameters: number
  /** Per picture. */
  readonly multiplyAdds: number
  /** Parameters that would train. */
  readonly trainable: number
  /** The choice of layers that would train. */
  readonly unfreeze: string
  readonly layers: readonly InspectedLayer[]
}

export interface InspectedLayer {
  readonly name: string
  readonly op: string
  readonly stage: string
  /** Of the output, without the batch, channels last. */
  readonly shape: Shape
  readonly parameters: number
  readonly multiplyAdds: number
  readonly trains: boolean
}

export interface InspectedTensor {
  readonly name: string
  readonly dtype: DType
  readonly shape: Shape
  /** Of the values, little-endian, row-major, as they are stored; only with `digests`. */
  readonly sha256?: string
}

const usualUnfreeze = 3
const maxNamed = 6

/**
 * Looks at a weight file, a model folder, a run folder, or a model that comes with the package.
 * @throws RegraftError 'weights' for what cannot be read; a network that is merely not supported is a remark
 */
export async function inspect(file: string, options: InspectOptions): Promise<Inspection> {
  const found = await findModel(file, options)
  const isIndex = found.weights.endsWith('.index.json')
  const format = isIndex ? 'safetensors-index' : await recogniseFormat(found.weights)
  const checkpoint = await openCheckpoint(found.weights, { cacheRoot: found.hub?.cache })
  const remarks: string[] = []
  const network = await networkOf(found, format, options, remarks)
  if (network === undefined) remarks.push(...checkpoint.remarks)
  const tensors = await tensorsOf(checkpoint, options, remarks)
  const facts = await pathFacts(found.weights)
  return { file: found.weights, format, bytes: facts?.sizeBytes ?? 0, network, tensors, remarks }
}

async function networkOf(
  found: FoundModel,
  format: string,
  options: InspectOptions,
  remarks: string[],
): Promise<InspectedNetwork | undefined> {
  if (format === 'npy' || format === 'npz') return undefined
  let description: ModelDescription
  try {
    description = await readDescription(found)
  } catch (error) {
    if (!(error instanceof RegraftError)) throw error
    // Weights alone are in order without a network; a file that has one has to be in order with it.
    const hasNetwork = format === 'onnx' || format === 'tfjs'
    if (hasNetwork && !(error instanceof UnsupportedNetworkError)) throw error
    remarks.push(error.message)
    return undefined
  }
  const { config, saved, graph: blueprint, weights } = description
  remarks.push(...description.remarks)
  const labels = saved?.labels ?? Array.from({ length: config.classes }, (_, index) => String(index))
  const preprocessing = saved?.preprocessing ?? config.preprocessing
  const { architecture, args } = config
  const shape = { architecture, ...(blueprint === undefined ? {} : { graph: blueprint }) }
  const built = architectureOf(shape)
  const head = saved?.head ?? usualHead(config.classes, built)
  const graph = graphOf({
    ...shape,
    args,
    head,
    labels: head.kind === 'none' ? [] : labels,
    preprocessing,
  })
  const isMean = preprocessing.meanImage === undefined ? () => false : isMeanImage(graph)
  const inHead: ReadonlySet<string> = standsApart(head, built) ? headParameters(graph) : new Set()
  remarks.push(...differences(graph, weights, (name) => isMean(name) || inHead.has(name)))
  const unfreeze = options.unfreeze ?? `last:${Math.min(usualUnfreeze, blocksOf(graph).length)}`
  const layers = layersOf(graph, selectLayers(graph, unfreeze))
  const sum = (of: (layer: InspectedLayer) => number) => layers.reduce((total, layer) => total + of(layer), 0)
  return {
    architecture,
    classes: head.kind === 'none' ? 0 : labels.length,
    width: preprocessing.width,
    height: preprocessing.height,
    parameters: sum((layer) => layer.parameters),
    multiplyAdds: sum((layer) => layer.multiplyAdds),
    trainable: sum((layer) => (layer.trains ? layer.parameters : 0)),
    unfreeze,
    layers,
  }
}

function layersOf(graph: Graph, trainable: ReadonlySet<string>): readonly InspectedLayer[] {
  const head = new Set(headLayers(graph).map(({ name }) => name))
  return graph.layers.map((layer) => {
    const counted = parametersOf(layer).filter(({ kind }) => kind !== 'statistic')
    const { name, op, stage, shape } = layer
    return {
      name,
      op,
      stage,
      shape,
      parameters: counted.reduce((total, spec) => total + elementCount(spec.shape), 0),
      multiplyAdds: opOf(layer).cost(layer.attrs, layer.inputShapes),
      // The classifier is trained whatever else is.
      trains: counted.length > 0 && (trainable.has(name) || head.has(name)),
    }
  })
}

/** Where weights and network do not agree. @param isBeside  whether a parameter is in a file of its own */
function differences(graph: Graph, weights: Checkpoint, isBeside: (parameter: string) => boolean): readonly string[] {
  const left = new Set(weights.names())
  const missing: string[] = []
  const wrong: string[] = []
  for (const layer of graph.layers) {
    for (const spec of parametersOf(layer)) {
      const name = parameterName(layer, spec)
      if (isBeside(name)) continue
      if (!left.delete(name)) missing.push(name)
      else if (!sameValues(weights.shape(name), spec.shape)) wrong.push(name)
    }
  }
  for (const counter of counterNames(graph)) left.delete(counter)
  const said = (names: readonly string[], what: string) =>
    names.length === 0 ? [] : [`${names.length} ${what}: ${some(names)}.`]
  return [
    ...said(missing, 'weights of the network are missing in the file'),
    ...said(wrong, 'weights have another shape than the network needs'),
    ...said([...left], 'tensors in the file belong to no layer'),
  ]
}

function some(names: readonly string[]): string {
  const more = names.length > maxNamed ? ` and ${names.length - maxNamed} more` : ''
  return names.slice(0, maxNamed).join(', ') + more
}

async function tensorsOf(
  checkpoint: Checkpoint,
  { digests, signal }: InspectOptions,
  remarks: string[],
): Promise<readonly InspectedTensor[]> {
  const breath = breathing()
  const tensors: InspectedTensor[] = []
  const notFinite: string[] = []
  for (const name of checkpoint.names()) {
    throwIfAborted(signal)
    const tensor = { name, dtype: checkpoint.dtype(name), shape: checkpoint.shape(name) }
    if (!digests) {
      tensors.push(tensor)
      continue
    }
    const bytes = await checkpoint.readBytes(name)
    if (isFloat(tensor.dtype) && !allBytesFinite(bytes, tensor.dtype)) notFinite.push(name)
    tensors.push({ ...tensor, sha256: sha256(bytes) })
    if (breath.due()) await breath.pause()
  }
  if (notFinite.length > 0)
    remarks.push(`${notFinite.length} tensors have values that are not finite: ${some(notFinite)}.`)
  return tensors
}

function isFloat(dtype: DType): boolean {
  return dtype === 'F64' || dtype === 'F32' || dtype === 'F16' || dtype === 'BF16'
}

/** Piece by piece, so that a large tensor is not there twice. */
function allBytesFinite(bytes: Uint8Array, dtype: DType): boolean {
  const pieceBytes = bytesPerElement(dtype) * 65_536
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    if (!allFinite(toFloat32(bytes.subarray(at, at + pieceBytes), dtype))) return false
  }
  return true
}
