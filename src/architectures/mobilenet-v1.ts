import { type GraphBuilder, graphBuilder } from '../graph/builder.ts'
import type { Graph } from '../graph/graph.ts'
import type { ArchitectureOptions, Family } from './architecture.ts'
import { networkArguments, paddingFor, roundChannels } from './build-options.ts'
import { everyWidth } from './widths.ts'

// Repeats, stride of the first, width at multiplier 1: timm's `_gen_mobilenet_v1`.
const STAGES = [
  [1, 1, 64],
  [2, 2, 128],
  [2, 2, 256],
  [6, 2, 512],
  [2, 2, 1024],
] as const

export const mobilenetV1: Family = everyWidth(
  'mobilenetv1',
  ['025', '050', '075', '100', '125'],
  (name, multiplier) => ({
    name,
    classifier: 'classifier',
    firstConvolution: 'conv_stem',
    features: roundChannels(1024, multiplier),
    build: (options) => mobilenetV1Graph(name, multiplier, options),
  }),
)

/**
 * MobileNetV1: depthwise and pointwise convolutions, each with batch norm and ReLU6.
 * @see Howard et al. 2017, https://arxiv.org/abs/1704.04861
 */
export function mobilenetV1Graph(name: string, multiplier: number, options: ArchitectureOptions): Graph {
  const { padType, epsilon, momentum } = networkArguments(name, options.args)
  const norm = { epsilon, momentum, activation: 'relu6' } as const
  const net: GraphBuilder = graphBuilder()
  const { height, width, mean, std } = options
  const input = net.layer('imageInput', 'input', { height, width, mean, std }, [])
  const stem = net.layer(
    'conv2d',
    'conv_stem',
    { outChannels: roundChannels(32, multiplier), kernel: [3, 3], stride: [2, 2], padding: paddingFor(padType, 3, 2) },
    [input],
  )
  let x = net.layer('batchNorm', 'bn1', norm, [stem])
  for (const [stage, [repeats, firstStride, channels]] of STAGES.entries()) {
    for (let index = 0; index < repeats; index++) {
      const block = `blocks.${stage}.${index}`
      const stride = index === 0 ? firstStride : 1
      net.at(`blocks.${stage}`, block)
      x = net.layer(
        'depthwiseConv2d',
        `${block}.conv_dw`,
        { kernel: [3, 3], stride: [stride, stride], padding: paddingFor(padType, 3, stride) },
        [x],
      )
      x = net.layer('batchNorm', `${block}.bn1`, norm, [x])
      x = net.layer(
        'conv2d',
        `${block}.conv_pw`,
        { outChannels: roundChannels(channels, multiplier), kernel: [1, 1], stride: [1, 1], padding: [0, 0, 0, 0] },
        [x],
      )
      x = net.layer('batchNorm', `${block}.bn2`, norm, [x])
    }
  }
  net.at('head')
  const features = net.layer('globalAveragePool', 'global_pool', {}, [x])
  if (options.classes === 0) return net.finish({ output: features, features })
  const classifier = net.layer('linear', 'classifier', { outFeatures: options.classes, bias: true }, [features])
  return net.finish({ output: classifier, features, classifier })
}
