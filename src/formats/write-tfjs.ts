// A network and its weights as a layers model of TensorFlow.js: model.json and the weights beside it, in files of four megabytes.
import type { Graph } from '../graph/graph.ts'
import type { HostTensor } from '../tensor/host-tensor.ts'
import { elementCount } from '../tensor/shape.ts'
import { littleEndian } from './little-endian.ts'
import { kerasLayers, type OutgoingWeight } from './tfjs-layers.ts'

/** So many bytes of weights are in one file, as browsers like to keep them. */
const SHARD_BYTES = 4 * 2 ** 20

export interface TfjsModel {
  /** What model.json holds. */
  readonly json: unknown
  /** The files beside it by name: the weights one after the other, float32, little-endian. */
  readonly shards: ReadonlyMap<string, Iterable<Uint8Array>>
}

/**
 * The model takes normalised pictures, [N, H, W, 3], and gives logits, [N, classes].
 * @param tensors   the network's parameters, in file layout
 * @param metadata  travels with the model as `userDefinedMetadata`
 * @throws UnsupportedNetworkError naming every layer that tfjs-layers does not have
 */
export function tfjsModel(
  graph: Graph,
  tensors: ReadonlyMap<string, HostTensor>,
  {
    producerVersion,
    metadata,
  }: { readonly producerVersion: string; readonly metadata: Readonly<Record<string, unknown>> },
): TfjsModel {
  const { layers, output } = kerasLayers(graph, tensors)
  const weights = layers.flatMap((layer) => layer.weights)
  const shards = shardsOf(weights)
  const [input] = layers
  const end = (name: string | undefined) => [[name, 0, 0]]
  const config = {
    name: 'regraft',
    trainable: true,
    layers: layers.map(({ kind, name, config, inputs }) => ({
      class_name: kind,
      name,
      config,
      inbound_nodes: inputs.length === 0 ? [] : [inputs.map((from) => [from, 0, 0, {}])],
    })),
    input_layers: end(input?.name),
    output_layers: end(output),
  }
  const json = {
    format: 'layers-model',
    generatedBy: `regraft ${producerVersion}`,
    convertedBy: null,
    modelTopology: {
      keras_version: '2.15.0',
      backend: 'tensorflow',
      model_config: { class_name: 'Functional', config },
    },
    weightsManifest: [
      { paths: [...shards.keys()], weights: weights.map(({ name, shape }) => ({ name, shape, dtype: 'float32' })) },
    ],
    userDefinedMetadata: metadata,
  }
  return { json, shards }
}

/** Named as the converter of TensorFlow.js names them. */
function shardsOf(weights: readonly OutgoingWeight[]): ReadonlyMap<string, Iterable<Uint8Array>> {
  const total = weights.reduce((sum, { shape }) => sum + 4 * elementCount(shape), 0)
  const count = Math.max(1, Math.ceil(total / SHARD_BYTES))
  return new Map(
    Array.from({ length: count }, (_, index) => [
      `group1-shard${index + 1}of${count}.bin`,
      { [Symbol.iterator]: () => bytesBetween(weights, index * SHARD_BYTES, (index + 1) * SHARD_BYTES) },
    ]),
  )
}

function* bytesBetween(weights: readonly OutgoingWeight[], from: number, to: number): Generator<Uint8Array> {
  let at = 0
  for (const { shape, values } of weights) {
    const end = at + 4 * elementCount(shape)
    const [first, last] = [Math.max(from, at), Math.min(to, end)]
    if (first < last) yield littleEndian(values()).subarray(first - at, last - at)
    at = end
  }
}
