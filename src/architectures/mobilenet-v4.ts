import { graphBuilder } from '../graph/builder.ts'
import type { Graph } from '../graph/graph.ts'
import { type ArchitectureOptions, familyOf } from './architecture.ts'
import { networkArguments } from './build-options.ts'
import { convolve } from './convolutions.ts'
import { type MobileBlock, mobileBlocks } from './mobile-blocks.ts'

const activation = 'relu'

function plain(kernel: number, stride: number, channels: number): MobileBlock {
  return { kind: 'plain', kernel, stride, channels, activation }
}

/** @param kernels  of the depthwise convolutions before the expansion and in the middle, 0 for none */
function universal(
  [firstKernel, kernel]: readonly [number, number],
  stride: number,
  expansion: number,
  channels: number,
): MobileBlock {
  return { kind: 'universal', firstKernel, kernel, stride, expansion, channels, activation }
}

// Table 11 of the paper, in timm's stages.
const STAGES: readonly (readonly MobileBlock[])[] = [
  [plain(3, 2, 32), plain(1, 1, 32)],
  [plain(3, 2, 96), plain(1, 1, 64)],
  [
    universal([5, 5], 2, 3, 96),
    universal([0, 3], 1, 2, 96),
    universal([0, 3], 1, 2, 96),
    universal([0, 3], 1, 2, 96),
    universal([0, 3], 1, 2, 96),
    universal([3, 0], 1, 4, 96),
  ],
  [
    universal([3, 3], 2, 6, 128),
    universal([5, 5], 1, 4, 128),
    universal([0, 5], 1, 4, 128),
    universal([0, 5], 1, 3, 128),
    universal([0, 3], 1, 4, 128),
    universal([0, 3], 1, 4, 128),
  ],
  [plain(1, 1, 960)],
]
const FEATURES = 1280

export const mobilenetV4 = familyOf({ mobilenetv4_conv_small: STAGES }, (name, stages) => ({
  name,
  classifier: 'classifier',
  firstConvolution: 'conv_stem',
  features: FEATURES,
  build: (options) => mobilenetV4Graph(name, stages, options),
}))

/**
 * MobileNetV4: universal inverted bottlenecks; a normalised layer between the average and the classifier.
 * @see Qin et al. 2024, https://arxiv.org/abs/2404.10518
 */
function mobilenetV4Graph(name: string, stages: typeof STAGES, options: ArchitectureOptions): Graph {
  const settings = networkArguments(name, options.args)
  const net = graphBuilder()
  const { height, width, mean, std, classes } = options
  let x = net.layer('imageInput', 'input', { height, width, mean, std }, [])
  const stem = { names: ['conv_stem', 'bn1'], outChannels: 32, kernel: 3, stride: 2, activation } as const
  x = convolve(net, x, stem, settings)
  x = mobileBlocks(net, x, stages, settings)
  net.at('head')
  x = net.layer('adaptiveAveragePool', 'global_pool', { output: [1, 1] }, [x])
  x = convolve(net, x, { names: ['conv_head', 'norm_head'], outChannels: FEATURES, activation }, settings)
  const features = net.layer('globalAveragePool', 'flatten', {}, [x])
  if (classes === 0) return net.finish({ output: features, features })
  const classifier = net.layer('linear', 'classifier', { outFeatures: classes, bias: true }, [features])
  return net.finish({ output: classifier, features, classifier })
}
