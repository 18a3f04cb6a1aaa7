import { type GraphBuilder, graphBuilder } from '../graph/builder.ts'
import type { Graph } from '../graph/graph.ts'
import { evenPadding } from '../ops/window.ts'
import { type ArchitectureOptions, familyOf } from './architecture.ts'
import { type NetworkArguments, networkArguments } from './build-options.ts'
import { convolve, finishWithClassifier } from './convolutions.ts'

const REPEATS = [4, 8, 4] as const
const STEM = 24

/** Channels of the three stages, and of the last convolution: table 5 of the paper. */
const variants: Readonly<Record<string, readonly [number, number, number, number]>> = {
  shufflenet_v2_x0_5: [48, 96, 192, 1024],
  shufflenet_v2_x1_0: [116, 232, 464, 1024],
  shufflenet_v2_x1_5: [176, 352, 704, 1024],
  shufflenet_v2_x2_0: [244, 488, 976, 2048],
}

export const shufflenetV2 = familyOf(variants, (name, widths) => ({
  name,
  classifier: 'fc',
  firstConvolution: 'conv1.0',
  features: widths[3],
  build: (options) => shufflenetV2Graph(name, widths, options),
}))

/**
 * ShuffleNetV2, with torchvision's names: timm does not have it.
 * @see Ma et al. 2018, https://arxiv.org/abs/1807.11164
 */
function shufflenetV2Graph(
  name: string,
  widths: readonly [number, number, number, number],
  options: ArchitectureOptions,
): Graph {
  const settings = networkArguments(name, options.args)
  const net = graphBuilder()
  const { height, width, mean, std, classes } = options
  let x = net.layer('imageInput', 'input', { height, width, mean, std }, [])
  const stem = { names: ['conv1.0', 'conv1.1'], outChannels: STEM, kernel: 3, stride: 2, activation: 'relu' } as const
  x = convolve(net, x, stem, settings)
  x = net.layer('maxPool', 'maxpool', { kernel: [3, 3], stride: [2, 2], padding: evenPadding(1) }, [x])
  for (const [at, repeats] of REPEATS.entries()) {
    const stage = `stage${at + 2}`
    for (let index = 0; index < repeats; index++) {
      net.at(stage, `${stage}.${index}`)
      x = block(net, x, { name: `${stage}.${index}`, channels: widths[at] ?? 0, first: index === 0 }, settings)
    }
  }
  net.at('head')
  x = convolve(net, x, { names: ['conv5.0', 'conv5.1'], outChannels: widths[3], activation: 'relu' }, settings)
  return finishWithClassifier(net, x, 'fc', classes)
}

interface Block {
  readonly name: string
  readonly channels: number
  /** The first of a stage halves the picture and works on all channels twice; others work on half of them. */
  readonly first: boolean
}

function block(net: GraphBuilder, input: string, { name, channels, first }: Block, settings: NetworkArguments): string {
  const half = channels / 2
  const stride = first ? 2 : 1
  const names = (branch: string, at: number) => [`${name}.${branch}.${at}`, `${name}.${branch}.${at + 1}`] as const
  const pointwise = { outChannels: half, activation: 'relu' } as const
  let left: string
  let x = input
  if (first) {
    left = convolve(net, input, { names: names('branch1', 0), kernel: 3, stride }, settings)
    left = convolve(net, left, { names: names('branch1', 2), ...pointwise }, settings)
  } else {
    left = net.layer('slice', `${name}.left`, { from: 0, channels: half }, [input])
    x = net.layer('slice', `${name}.right`, { from: half, channels: half }, [input])
  }
  x = convolve(net, x, { names: names('branch2', 0), ...pointwise }, settings)
  x = convolve(net, x, { names: names('branch2', 3), kernel: 3, stride }, settings)
  x = convolve(net, x, { names: names('branch2', 5), ...pointwise }, settings)
  x = net.layer('concat', `${name}.concat`, {}, [left, x])
  return net.layer('channelShuffle', `${name}.shuffle`, { groups: 2 }, [x])
}
