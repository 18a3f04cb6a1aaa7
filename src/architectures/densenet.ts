import { type GraphBuilder, graphBuilder } from '../graph/builder.ts'
import type { Graph } from '../graph/graph.ts'
import { evenPadding } from '../ops/window.ts'
import { type ArchitectureOptions, familyOf } from './architecture.ts'
import { type NetworkArguments, networkArguments, paddingFor } from './build-options.ts'
import { convolve, finishWithClassifier } from './convolutions.ts'

interface Variant {
  readonly repeats: readonly number[]
  /** Channels that each layer adds. */
  readonly growth: number
  readonly stem: number
  /** Channels of a layer between its convolutions, as a multiple of the growth: 4 in the paper. */
  readonly bottleneck?: number
}

// Table 1 of the paper.
const variants: Readonly<Record<string, Variant>> = {
  densenet121: { repeats: [6, 12, 24, 16], growth: 32, stem: 64 },
  densenet161: { repeats: [6, 12, 36, 24], growth: 48, stem: 96 },
  densenet169: { repeats: [6, 12, 32, 32], growth: 32, stem: 64 },
  densenet201: { repeats: [6, 12, 48, 32], growth: 32, stem: 64 },
}

export const densenet = familyOf(variants, (name, variant) => ({
  name,
  classifier: 'classifier',
  firstConvolution: 'features.conv0',
  features: featuresOf(variant),
  build: (options) => densenetGraph(name, variant, options),
}))

function featuresOf({ repeats, growth, stem }: Variant): number {
  return repeats.reduce(
    (channels, count, at) => (at === 0 ? channels : Math.floor(channels / 2)) + count * growth,
    stem,
  )
}

/**
 * DenseNet: each layer reads the outputs of all before it in its block.
 * @see Huang et al. 2016, https://arxiv.org/abs/1608.06993
 */
export function densenetGraph(name: string, variant: Variant, options: ArchitectureOptions): Graph {
  const { repeats, growth, stem, bottleneck = 4 } = variant
  const settings = networkArguments(name, options.args)
  const { epsilon, momentum } = settings
  const norm = { epsilon, momentum, activation: 'relu' } as const
  const net = graphBuilder()
  const { height, width, mean, std, classes } = options
  let x = net.layer('imageInput', 'input', { height, width, mean, std }, [])
  const names = ['features.conv0', 'features.norm0'] as const
  x = convolve(net, x, { names, outChannels: stem, kernel: 7, stride: 2, activation: 'relu' }, settings)
  x = net.layer('maxPool', 'features.pool0', { kernel: [3, 3], stride: [2, 2], padding: evenPadding(1) }, [x])
  for (const [at, count] of repeats.entries()) {
    const stage = `features.denseblock${at + 1}`
    for (let index = 0; index < count; index++) {
      const block = `${stage}.denselayer${index + 1}`
      net.at(stage, block)
      x = denseLayer(net, x, { block, growth, bottleneck }, settings)
    }
    if (at === repeats.length - 1) continue
    const transition = `features.transition${at + 1}`
    net.at(transition, transition)
    x = net.layer('batchNorm', `${transition}.norm`, norm, [x])
    const outChannels = Math.floor((net.shapeOf(x).at(-1) ?? 0) / 2)
    const pointwise = { kernel: [1, 1], stride: [1, 1], padding: evenPadding(0), outChannels } as const
    x = net.layer('conv2d', `${transition}.conv`, pointwise, [x])
    x = net.layer('averagePool', `${transition}.pool`, { kernel: [2, 2], stride: [2, 2], padding: evenPadding(0) }, [x])
  }
  net.at('head')
  x = net.layer('batchNorm', 'features.norm5', norm, [x])
  return finishWithClassifier(net, x, 'classifier', classes)
}

function denseLayer(
  net: GraphBuilder,
  input: string,
  { block, growth, bottleneck }: { block: string; growth: number; bottleneck: number },
  settings: NetworkArguments,
): string {
  const { epsilon, momentum, padType } = settings
  let x = net.layer('batchNorm', `${block}.norm1`, { epsilon, momentum, activation: 'relu' }, [input])
  const names = [`${block}.conv1`, `${block}.norm2`] as const
  x = convolve(net, x, { names, outChannels: bottleneck * growth, activation: 'relu' }, settings)
  const square = { kernel: [3, 3], stride: [1, 1], padding: paddingFor(padType, 3, 1), outChannels: growth } as const
  x = net.layer('conv2d', `${block}.conv2`, square, [x])
  return net.layer('concat', `${block}.concat`, {}, [input, x])
}
