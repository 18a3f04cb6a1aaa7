import { type GraphBuilder, graphBuilder } from '../graph/builder.ts'
import type { Graph } from '../graph/graph.ts'
import { evenPadding, type Padding } from '../ops/window.ts'
import { type ArchitectureOptions, familyOf } from './architecture.ts'
import { type NetworkArguments, networkArguments } from './build-options.ts'

interface Variant {
  /** Blocks in each of the four stages. */
  readonly repeats: readonly number[]
  /** Three convolutions in a block, the middle one 3x3, and four times as many channels after it. */
  readonly bottleneck?: boolean
  /** ResNet-D: three 3x3 convolutions at the beginning, and shortcuts that average before they convolve. */
  readonly deep?: boolean
}

const variants: Readonly<Record<string, Variant>> = {
  resnet18: { repeats: [2, 2, 2, 2] },
  resnet34: { repeats: [3, 4, 6, 3] },
  resnet50: { repeats: [3, 4, 6, 3], bottleneck: true },
  resnet101: { repeats: [3, 4, 23, 3], bottleneck: true },
  resnet152: { repeats: [3, 8, 36, 3], bottleneck: true },
  resnet18d: { repeats: [2, 2, 2, 2], deep: true },
  resnet34d: { repeats: [3, 4, 6, 3], deep: true },
  resnet50d: { repeats: [3, 4, 6, 3], bottleneck: true, deep: true },
  resnet101d: { repeats: [3, 4, 23, 3], bottleneck: true, deep: true },
  resnet152d: { repeats: [3, 8, 36, 3], bottleneck: true, deep: true },
}

export const resnet = familyOf(variants, (name, variant) => ({
  name,
  classifier: 'fc',
  firstConvolution: variant.deep ? 'conv1.0' : 'conv1',
  features: variant.bottleneck ? 2048 : 512,
  build: (options) => resnetGraph(name, variant, options),
}))

/**
 * ResNet: residual blocks, batch norm and ReLU after each convolution.
 * @param baseWidth  channels of the first stage inside its blocks, 64 in the paper
 * @see He et al. 2015, https://arxiv.org/abs/1512.03385; the stride of a bottleneck is that of its 3x3 convolution, as in PyTorch;
 *      ResNet-D: He et al. 2018, https://arxiv.org/abs/1812.01187
 */
export function resnetGraph(name: string, variant: Variant, options: ArchitectureOptions, baseWidth = 64): Graph {
  const settings = networkArguments(name, options.args)
  const { epsilon, momentum } = settings
  const norm = { epsilon, momentum, activation: 'relu' } as const
  const net = graphBuilder()
  const { height, width, mean, std } = options
  let x = net.layer('imageInput', 'input', { height, width, mean, std }, [])
  x = stem(net, x, variant, baseWidth, settings)
  x = net.layer('batchNorm', 'bn1', norm, [x])
  x = net.layer('maxPool', 'maxpool', { kernel: [3, 3], stride: [2, 2], padding: evenPadding(1) }, [x])
  for (const [stage, count] of variant.repeats.entries()) {
    for (let index = 0; index < count; index++) {
      const block = `layer${stage + 1}.${index}`
      const stride = index === 0 && stage > 0 ? 2 : 1
      net.at(`layer${stage + 1}`, block)
      x = residual(net, x, { block, stride, channels: baseWidth * 2 ** stage, variant }, settings)
    }
  }
  net.at('head')
  const features = net.layer('globalAveragePool', 'global_pool', {}, [x])
  if (options.classes === 0) return net.finish({ output: features, features })
  const classifier = net.layer('linear', 'fc', { outFeatures: options.classes, bias: true }, [features])
  return net.finish({ output: classifier, features, classifier })
}

function padding({ padType }: NetworkArguments, zeros: number): Padding {
  return padType === 'same' ? 'same' : evenPadding(zeros)
}

/** Up to the batch norm that all have in common. */
function stem(
  net: GraphBuilder,
  input: string,
  { deep }: Variant,
  baseWidth: number,
  settings: NetworkArguments,
): string {
  if (!deep) {
    const attrs = { outChannels: baseWidth, kernel: [7, 7], stride: [2, 2], padding: padding(settings, 3) } as const
    return net.layer('conv2d', 'conv1', attrs, [input])
  }
  const { epsilon, momentum } = settings
  let x = input
  for (const [at, outChannels] of [baseWidth / 2, baseWidth / 2, baseWidth].entries()) {
    const step = at === 0 ? 2 : 1
    const attrs = { outChannels, kernel: [3, 3], stride: [step, step], padding: padding(settings, 1) } as const
    x = net.layer('conv2d', `conv1.${3 * at}`, attrs, [x])
    if (at < 2) x = net.layer('batchNorm', `conv1.${3 * at + 1}`, { epsilon, momentum, activation: 'relu' }, [x])
  }
  return x
}

interface Block {
  readonly block: string
  readonly stride: number
  /** Inside the block. */
  readonly channels: number
  readonly variant: Variant
}

function residual(net: GraphBuilder, entry: string, what: Block, settings: NetworkArguments): string {
  const { block, stride, channels, variant } = what
  const { epsilon, momentum } = settings
  const linearNorm = { epsilon, momentum } as const
  const norm = { ...linearNorm, activation: 'relu' } as const
  const pointwise = { kernel: [1, 1], stride: [1, 1], padding: evenPadding(0) } as const
  const square = { kernel: [3, 3], padding: padding(settings, 1) } as const
  const outChannels = variant.bottleneck ? 4 * channels : channels
  let shortcut = entry
  if (stride !== 1 || net.shapeOf(entry).at(-1) !== outChannels) {
    let strides = [stride, stride] as const
    if (variant.deep && stride !== 1) {
      const window = { kernel: strides, stride: strides, padding: evenPadding(0), ceilMode: true } as const
      shortcut = net.layer('averagePool', `${block}.downsample.0`, { ...window, countIncludePad: false }, [shortcut])
      strides = [1, 1]
    }
    const [convolution, after] = variant.deep ? [1, 2] : [0, 1]
    const attrs = { ...pointwise, outChannels, stride: strides }
    shortcut = net.layer('conv2d', `${block}.downsample.${convolution}`, attrs, [shortcut])
    shortcut = net.layer('batchNorm', `${block}.downsample.${after}`, linearNorm, [shortcut])
  }
  const steps = variant.bottleneck
    ? [
        { ...pointwise, outChannels: channels },
        { ...square, outChannels: channels, stride: [stride, stride] as const },
        { ...pointwise, outChannels },
      ]
    : [
        { ...square, outChannels, stride: [stride, stride] as const },
        { ...square, outChannels, stride: [1, 1] as const },
      ]
  let x = entry
  for (const [at, attrs] of steps.entries()) {
    x = net.layer('conv2d', `${block}.conv${at + 1}`, attrs, [x])
    x = net.layer('batchNorm', `${block}.bn${at + 1}`, at < steps.length - 1 ? norm : linearNorm, [x])
  }
  return net.layer('add', `${block}.add`, { activation: 'relu' }, [shortcut, x])
}
