// A network and its weights as a layers model of TensorFlow.js: model.json and weights.bin.
import type { Graph } from '../graph/graph.ts'
import type { HostTensor } from '../tensor/host-tensor.ts'
import { elementCount } from '../tensor/shape.ts'
import { kerasLayers, type OutgoingWeight } from './tfjs-layers.ts'

export const TFJS_WEIGHTS = 'weights.bin'

export interface TfjsModel {
  /** What model.json holds. */
  readonly json: unknown
  /** weights.bin: float32, little-endian. */
  readonly bytes: number
  pieces(): Iterable<Uint8Array>
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
  const weights: readonly OutgoingWeight[] = layers.flatMap((layer) => layer.weights)
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
  return {
    json: {
      format: 'layers-model',
      generatedBy: `regraft ${producerVersion}`,
      convertedBy: null,
      modelTopology: {
        keras_version: '2.15.0',
        backend: 'tensorflow',
        model_config: { class_name: 'Functional', config },
      },
      weightsManifest: [
        { paths: [TFJS_WEIGHTS], weights: weights.map(({ name, shape }) => ({ name, shape, dtype: 'float32' })) },
      ],
      userDefinedMetadata: metadata,
    },
    bytes: weights.reduce((sum, { shape }) => sum + 4 * elementCount(shape), 0),
    *pieces() {
      for (const { values } of weights) {
        const { buffer, byteOffset, byteLength } = values()
        yield new Uint8Array(buffer, byteOffset, byteLength)
      }
    },
  }
}
