// The network: residual blocks of 3x3 convolutions, which the kernels compute by Winograd's algorithm at twice the speed of networks of
// depthwise convolutions with as much accuracy, and a wide last layer, because its outputs are the features that others build on.
import { type GraphBuilder, graphBuilder } from '../../src/graph/builder.ts'
import type { Graph } from '../../src/graph/graph.ts'
import { evenPadding } from '../../src/ops/window.ts'

export interface NetworkShape {
  readonly stem: number
  /** Channels and blocks of each stage; each but the first begins with a stride of two. */
  readonly stages: readonly { readonly channels: number; readonly blocks: number }[]
  /** Length of the feature vector. */
  readonly features: number
}

const norm = { epsilon: 1e-5, momentum: 0.1 } as const

/**
 * A ResNet for small pictures: 5x5 stem of stride two and no pooling after it, shortcuts that average before they convolve (ResNet-D), a
 * pointwise convolution before the global average.
 * @param size  pixels of a side of the input
 */
export function residualNetwork(
  { stem, stages, features: width }: NetworkShape,
  size: number,
  { mean, std }: PixelStatistics,
  classes: number,
): Graph {
  const net = graphBuilder()
  let x = net.layer('imageInput', 'input', { height: size, width: size, mean, std }, [])
  x = convolution(net, 'conv_stem', x, { channels: stem, kernel: 5, stride: 2, activation: 'relu' })
  for (const [stage, { channels, blocks }] of stages.entries())
    for (let index = 0; index < blocks; index++) {
      const block = `blocks.${stage}.${index}`
      net.at(`blocks.${stage}`, block)
      x = residual(net, block, x, channels, stage > 0 && index === 0 ? 2 : 1)
    }
  net.at('head')
  x = convolution(net, 'conv_head', x, { channels: width, kernel: 1, stride: 1, activation: 'relu' })
  const features = net.layer('globalAveragePool', 'global_pool', {}, [x])
  const classifier = net.layer('linear', 'classifier', { outFeatures: classes, bias: true }, [features])
  return net.finish({ output: classifier, features, classifier })
}

export interface PixelStatistics {
  readonly mean: readonly [number, number, number]
  readonly std: readonly [number, number, number]
}

interface Convolution {
  readonly channels: number
  readonly kernel: number
  readonly stride: number
  readonly activation?: 'relu'
}

function convolution(net: GraphBuilder, name: string, input: string, what: Convolution): string {
  const { channels: outChannels, kernel, stride, activation } = what
  const padding = evenPadding((kernel - 1) / 2)
  const attrs = { outChannels, kernel: [kernel, kernel], stride: [stride, stride], padding } as const
  const convolved = net.layer('conv2d', name, attrs, [input])
  return net.layer('batchNorm', `${name}_bn`, { ...norm, ...(activation && { activation }) }, [convolved])
}

function residual(net: GraphBuilder, block: string, entry: string, channels: number, stride: number): string {
  let shortcut = entry
  if (stride > 1) {
    const window = { kernel: [2, 2], stride: [2, 2], padding: evenPadding(0) } as const
    shortcut = net.layer('averagePool', `${block}.pool`, { ...window, ceilMode: true, countIncludePad: false }, [entry])
  }
  if (net.shapeOf(entry).at(-1) !== channels)
    shortcut = convolution(net, `${block}.shortcut`, shortcut, { channels, kernel: 1, stride: 1 })
  const first = convolution(net, `${block}.conv1`, entry, { channels, kernel: 3, stride, activation: 'relu' })
  const second = convolution(net, `${block}.conv2`, first, { channels, kernel: 3, stride: 1 })
  return net.layer('add', `${block}.add`, { activation: 'relu' }, [shortcut, second])
}
