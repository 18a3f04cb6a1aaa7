// A residual network for small pictures: the network that comes with the package.
import { type GraphBuilder, graphBuilder } from '../graph/builder.ts'
import type { Graph } from '../graph/graph.ts'
import { evenPadding } from '../ops/window.ts'
import { type ArchitectureOptions, familyOf } from './architecture.ts'
import { type NetworkArguments, networkArguments, paddingFor } from './build-options.ts'

export interface ThumbnailShape {
  readonly stem: number
  /** Channels and blocks of each stage; each but the first begins with a stride of two. */
  readonly stages: readonly { readonly channels: number; readonly blocks: number }[]
  /** Length of the feature vector. */
  readonly features: number
}

export const thumbnailShapes = {
  regraft_resnet14: {
    stem: 32,
    stages: [
      { channels: 32, blocks: 1 },
      { channels: 64, blocks: 2 },
      { channels: 128, blocks: 2 },
      { channels: 224, blocks: 1 },
    ],
    features: 768,
  },
} as const satisfies Readonly<Record<string, ThumbnailShape>>

export const thumbnailResnet = familyOf<ThumbnailShape>(thumbnailShapes, (name, shape) => ({
  name,
  classifier: 'classifier',
  firstConvolution: 'conv_stem',
  features: shape.features,
  build: (options) => thumbnailGraph(name, shape, options),
}))

/**
 * A ResNet whose stem is a 5x5 convolution of stride two with no pooling after it, whose shortcuts average before they convolve (ResNet-D),
 * and which ends with a wide pointwise convolution before the global average, because what comes out is what others build on. Of 3x3
 * convolutions, which Winograd's algorithm computes at twice the speed of networks of depthwise convolutions with as much accuracy.
 * @see He et al. 2015, https://arxiv.org/abs/1512.03385; He et al. 2018, https://arxiv.org/abs/1812.01187
 */
export function thumbnailGraph(
  name: string,
  { stem, stages, features: width }: ThumbnailShape,
  { height, width: across, mean, std, classes, args }: ArchitectureOptions,
): Graph {
  const settings = networkArguments(name, args)
  const net = graphBuilder()
  let x = net.layer('imageInput', 'input', { height, width: across, mean, std }, [])
  x = convolution(net, 'conv_stem', x, { channels: stem, kernel: 5, stride: 2, activation: 'relu', settings })
  for (const [stage, { channels, blocks }] of stages.entries())
    for (let index = 0; index < blocks; index++) {
      const block = `blocks.${stage}.${index}`
      net.at(`blocks.${stage}`, block)
      x = residual(net, x, { block, channels, stride: stage > 0 && index === 0 ? 2 : 1, settings })
    }
  net.at('head')
  x = convolution(net, 'conv_head', x, { channels: width, kernel: 1, stride: 1, activation: 'relu', settings })
  const features = net.layer('globalAveragePool', 'global_pool', {}, [x])
  if (classes === 0) return net.finish({ output: features, features })
  const classifier = net.layer('linear', 'classifier', { outFeatures: classes, bias: true }, [features])
  return net.finish({ output: classifier, features, classifier })
}

interface Convolution {
  readonly channels: number
  readonly kernel: number
  readonly stride: number
  readonly activation?: 'relu'
  readonly settings: NetworkArguments
}

function convolution(net: GraphBuilder, name: string, input: string, what: Convolution): string {
  const { channels: outChannels, kernel, stride, activation, settings } = what
  const { padType, epsilon, momentum } = settings
  const padding = paddingFor(padType, kernel, stride)
  const attrs = { outChannels, kernel: [kernel, kernel], stride: [stride, stride], padding } as const
  const convolved = net.layer('conv2d', name, attrs, [input])
  return net.layer('batchNorm', `${name}_bn`, { epsilon, momentum, ...(activation && { activation }) }, [convolved])
}

interface Block {
  readonly block: string
  readonly channels: number
  readonly stride: number
  readonly settings: NetworkArguments
}

function residual(net: GraphBuilder, entry: string, { block, channels, stride, settings }: Block): string {
  let shortcut = entry
  if (stride > 1) {
    const window = { kernel: [2, 2], stride: [2, 2], padding: evenPadding(0) } as const
    shortcut = net.layer('averagePool', `${block}.pool`, { ...window, ceilMode: true, countIncludePad: false }, [entry])
  }
  if (net.shapeOf(entry).at(-1) !== channels)
    shortcut = convolution(net, `${block}.shortcut`, shortcut, { channels, kernel: 1, stride: 1, settings })
  const first = convolution(net, `${block}.conv1`, entry, { channels, kernel: 3, stride, activation: 'relu', settings })
  const second = convolution(net, `${block}.conv2`, first, { channels, kernel: 3, stride: 1, settings })
  return net.layer('add', `${block}.add`, { activation: 'relu' }, [shortcut, second])
}
