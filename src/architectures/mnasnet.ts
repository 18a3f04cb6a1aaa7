import { graphBuilder } from '../graph/builder.ts'
import type { Graph } from '../graph/graph.ts'
import type { ArchitectureOptions, Family } from './architecture.ts'
import { networkArguments, roundChannels } from './build-options.ts'
import { convolve, finishWithClassifier } from './convolutions.ts'
import { type MobileBlock, mobileBlocks } from './mobile-blocks.ts'
import { everyWidth } from './widths.ts'

// Repeats, expansion, kernel, stride of the first, channels at multiplier 1: figure 7 of the paper, without its gates (B1).
const STAGES = [
  [1, 1, 3, 1, 16],
  [3, 3, 3, 2, 24],
  [3, 3, 5, 2, 40],
  [3, 6, 5, 2, 80],
  [2, 6, 3, 1, 96],
  [4, 6, 5, 2, 192],
  [1, 6, 3, 1, 320],
] as const

/** torchvision's layers 8 to 13 are the stages with inverted residuals. */
const torchvisionNames: ReadonlyMap<string, string> = new Map([
  ...[
    ['conv_stem', 'bn1'],
    ['blocks.0.0.conv_dw', 'blocks.0.0.bn1'],
    ['blocks.0.0.conv_pw', 'blocks.0.0.bn2'],
  ].flatMap((pair, at) => pair.map((ours, part) => [`layers.${3 * at + part}`, ours] as const)),
  ...STAGES.slice(1).flatMap(([repeats], at) =>
    Array.from({ length: repeats }, (_, index) => index).flatMap((index) =>
      Object.entries({ 0: 'conv_pw', 1: 'bn1', 3: 'conv_dw', 4: 'bn2', 6: 'conv_pwl', 7: 'bn3' }).map(
        ([theirs, ours]) =>
          [`layers.${8 + at}.${index}.layers.${theirs}`, `blocks.${at + 1}.${index}.${ours}`] as const,
      ),
    ),
  ),
  ['layers.14', 'conv_head'],
  ['layers.15', 'bn2'],
  ['classifier.1', 'classifier'],
])

export const mnasnet: Family = everyWidth(
  'mnasnet',
  ['050', '075', '100', '140'],
  (name, multiplier) => ({
    name,
    classifier: 'classifier',
    firstConvolution: 'conv_stem',
    features: 1280,
    build: (options) => mnasnetGraph(name, multiplier, options),
    torchvision: { names: torchvisionNames, args: { bn_momentum: 0.0003 } },
  }),
  { mnasnet0_5: 'mnasnet_050', mnasnet0_75: 'mnasnet_075', mnasnet1_0: 'mnasnet_100' },
)

/**
 * MNASNet-B1.
 * @see Tan et al. 2018, https://arxiv.org/abs/1807.11626
 */
function mnasnetGraph(name: string, multiplier: number, options: ArchitectureOptions): Graph {
  const settings = networkArguments(name, options.args)
  const net = graphBuilder()
  const { height, width, mean, std, classes } = options
  let x = net.layer('imageInput', 'input', { height, width, mean, std }, [])
  x = convolve(
    net,
    x,
    {
      names: ['conv_stem', 'bn1'],
      outChannels: roundChannels(32, multiplier),
      kernel: 3,
      stride: 2,
      activation: 'relu',
    },
    settings,
  )
  const stages = STAGES.map(([repeats, expansion, kernel, stride, channels]) =>
    Array.from(
      { length: repeats },
      (_, index): MobileBlock => ({
        kind: expansion === 1 ? 'separable' : 'inverted',
        kernel,
        stride: index === 0 ? stride : 1,
        channels: roundChannels(channels, multiplier),
        expansion,
        activation: 'relu',
        noSkip: repeats === 1,
      }),
    ),
  )
  x = mobileBlocks(net, x, stages, settings)
  net.at('head')
  x = convolve(net, x, { names: ['conv_head', 'bn2'], outChannels: 1280, activation: 'relu' }, settings)
  return finishWithClassifier(net, x, 'classifier', classes)
}
