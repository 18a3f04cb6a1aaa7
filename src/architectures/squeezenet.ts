import { type GraphBuilder, graphBuilder } from '../graph/builder.ts'
import type { Graph } from '../graph/graph.ts'
import type { Conv2dAttributes } from '../ops/conv2d.ts'
import { evenPadding } from '../ops/window.ts'
import { type ArchitectureOptions, familyOf } from './architecture.ts'
import { refuseArguments } from './build-options.ts'

/** A pooling, or a block: channels that it squeezes to, and of each of its two expansions. */
type Step = 'pool' | readonly [squeeze: number, expand: number]

interface Variant {
  readonly kernel: number
  readonly channels: number
  readonly steps: readonly Step[]
}

// Table 1 of the paper, and its authors' version 1.1: https://github.com/forresti/SqueezeNet
const variants: Readonly<Record<string, Variant>> = {
  squeezenet1_0: {
    kernel: 7,
    channels: 96,
    steps: [
      'pool',
      [16, 64],
      [16, 64],
      [32, 128],
      'pool',
      [32, 128],
      [48, 192],
      [48, 192],
      [64, 256],
      'pool',
      [64, 256],
    ],
  },
  squeezenet1_1: {
    kernel: 3,
    channels: 64,
    steps: [
      'pool',
      [16, 64],
      [16, 64],
      'pool',
      [32, 128],
      [32, 128],
      'pool',
      [48, 192],
      [48, 192],
      [64, 256],
      [64, 256],
    ],
  },
}

export const squeezenet = familyOf(variants, (name, variant) => ({
  name,
  classifier: 'classifier.1',
  firstConvolution: 'features.0',
  features: 512,
  ownHead: true,
  build: (options) => squeezenetGraph(name, variant, options),
}))

/**
 * SqueezeNet, with torchvision's names: timm does not have it. Its classifier is a convolution with ReLU, averaged afterwards; the
 * features are the averages of what it reads.
 * @see Iandola et al. 2016, https://arxiv.org/abs/1602.07360
 */
function squeezenetGraph(name: string, { kernel, channels, steps }: Variant, options: ArchitectureOptions): Graph {
  refuseArguments(name, options.args)
  const net = graphBuilder()
  const { height, width, mean, std, classes } = options
  let x = net.layer('imageInput', 'input', { height, width, mean, std }, [])
  const window = { kernel: [kernel, kernel], stride: [2, 2], padding: evenPadding(0) } as const
  x = convolve(net, 'features.0', x, { ...window, outChannels: channels })
  let stage = 0
  for (const [at, step] of steps.entries()) {
    const layer = `features.${at + 2}`
    if (step === 'pool') {
      stage += 1
      net.at(`stage${stage}`)
      const pool = { kernel: [3, 3], stride: [2, 2], padding: evenPadding(0), ceilMode: true } as const
      x = net.layer('maxPool', layer, pool, [x])
    } else {
      net.at(`stage${stage}`, layer)
      x = fire(net, layer, x, step)
    }
  }
  net.at('head')
  const features = net.layer('globalAveragePool', 'global_pool', {}, [x])
  if (classes === 0) return net.finish({ output: features, features })
  const classifier = 'classifier.1'
  const scores = convolve(net, classifier, x, { ...pointwise, outChannels: classes })
  const output = net.layer('globalAveragePool', 'logits', {}, [scores])
  return net.finish({ output, features, classifier })
}

const pointwise = { kernel: [1, 1], stride: [1, 1], padding: evenPadding(0) } as const
const square = { kernel: [3, 3], stride: [1, 1], padding: evenPadding(1) } as const

function convolve(net: GraphBuilder, name: string, input: string, attrs: Conv2dAttributes): string {
  const convolved = net.layer('conv2d', name, { ...attrs, bias: true }, [input])
  return net.layer('activation', `${name}.act`, { kind: 'relu' }, [convolved])
}

/** Few channels, read by a 1x1 and a 3x3 convolution side by side. */
function fire(net: GraphBuilder, name: string, input: string, [squeeze, expand]: readonly [number, number]): string {
  const x = convolve(net, `${name}.squeeze`, input, { ...pointwise, outChannels: squeeze })
  const narrow = convolve(net, `${name}.expand1x1`, x, { ...pointwise, outChannels: expand })
  const wide = convolve(net, `${name}.expand3x3`, x, { ...square, outChannels: expand })
  return net.layer('concat', `${name}.concat`, {}, [narrow, wide])
}
