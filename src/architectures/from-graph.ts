// A network that came as a graph, such as an ONNX import, taken for an architecture: other sizes of pictures, other classes.
import { RegraftError } from '../errors.ts'
import { graphBuilder } from '../graph/builder.ts'
import { upTo } from '../graph/edit.ts'
import { type Graph, layerNamed } from '../graph/graph.ts'
import { channelsOf, pixelsOf } from '../ops/op.ts'
import type { Architecture } from './architecture.ts'

/** The name that stands in config.json for networks that are told by their graph. */
export const GRAPH_ARCHITECTURE = 'regraft-graph'

/**
 * @param blueprint  the network as it came; its picture size, statistics and number of classes may be built otherwise
 * @throws RegraftError 'weights' when pictures do not go in, or no vector of features comes out
 */
export function architectureOfGraph(blueprint: Graph): Architecture {
  const entry = blueprint.layers.find(({ op }) => op === 'imageInput')
  if (entry === undefined || blueprint.layers.some(({ op }) => op === 'tensorInput')) {
    throw new RegraftError('weights', 'The input of the network is no picture of three channels.')
  }
  const { shape } = layerNamed(blueprint, blueprint.features)
  if (pixelsOf(shape) !== 1) {
    throw new RegraftError(
      'weights',
      `The network gives no vector of features: '${blueprint.features}' has the shape [${shape.join(', ')}].`,
    )
  }
  const classifier = blueprint.classifier ?? freeName(blueprint)
  return {
    name: GRAPH_ARCHITECTURE,
    classifier,
    firstConvolution: blueprint.layers.find(({ op }) => op === 'conv2d')?.name ?? '',
    features: channelsOf(shape),
    build({ classes, height, width, mean, std }) {
      const own = blueprint.classifier === undefined ? 0 : channelsOf(layerNamed(blueprint, blueprint.output).shape)
      const kept = classes === own ? blueprint : upTo(blueprint, blueprint.features)
      const net = graphBuilder()
      try {
        for (const { name, op, attrs, inputs, stage, block } of kept.layers) {
          net.at(stage, block)
          if (op === 'imageInput') net.layer(op, name, { height, width, mean, std }, inputs)
          else net.layer(op, name, attrs, inputs)
        }
        const { features } = blueprint
        if (classes === 0) return net.finish({ output: features, features })
        net.at('head')
        if (classes !== own) net.layer('linear', classifier, { outFeatures: classes, bias: true }, [features])
        return net.finish({ output: classifier, features, classifier })
      } catch (cause) {
        const reason = cause instanceof Error ? cause.message : String(cause)
        throw new RegraftError('weights', `The network cannot take pictures of ${width}x${height} pixels: ${reason}.`, {
          cause,
        })
      }
    },
  }
}

function freeName(graph: Graph): string {
  const taken = new Set(graph.layers.map(({ name }) => name))
  let name = 'classifier'
  while (taken.has(name)) name = `head.${name}`
  return name
}
