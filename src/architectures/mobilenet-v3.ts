import { graphBuilder } from '../graph/builder.ts'
import type { Graph } from '../graph/graph.ts'
import { type ArchitectureOptions, type ForeignNames, familyOf } from './architecture.ts'
import { networkArguments, roundChannels } from './build-options.ts'
import { convolve } from './convolutions.ts'
import { type Gates, type MobileBlock, type MobileStage, mobileBlocks } from './mobile-blocks.ts'

/** A quarter of the channels inside, to a multiple of 8. */
const gates: Gates = { channels: (wide) => roundChannels(wide, 0.25), activation: 'relu', gate: 'hard-sigmoid' }

type Nonlinearity = 'relu' | 'hard-swish'

/** Blocks that are alike but for the stride, which the first one has. */
function repeated(
  count: number,
  [expansion, kernel, stride, channels]: readonly [number, number, number, number],
  activation: Nonlinearity,
  gated: 'gated' | 'plain',
): MobileStage {
  return Array.from(
    { length: count },
    (_, index): MobileBlock => ({
      kind: expansion === 1 ? 'separable' : 'inverted',
      kernel,
      stride: index === 0 ? stride : 1,
      channels,
      expansion,
      activation,
      ...(gated === 'gated' ? { gates } : {}),
    }),
  )
}

interface Variant {
  readonly stages: readonly MobileStage[]
  /** Channels of the last convolution before the average, and of the layer behind it. */
  readonly last: number
  readonly features: number
  /** Padding and batch norm as in TensorFlow. */
  readonly tensorflow?: boolean
}

// Tables 1 and 2 of the paper, in timm's stages.
const large: Variant = {
  stages: [
    repeated(1, [1, 3, 1, 16], 'relu', 'plain'),
    [...repeated(1, [4, 3, 2, 24], 'relu', 'plain'), ...repeated(1, [3, 3, 1, 24], 'relu', 'plain')],
    repeated(3, [3, 5, 2, 40], 'relu', 'gated'),
    [
      ...repeated(1, [6, 3, 2, 80], 'hard-swish', 'plain'),
      ...repeated(1, [2.5, 3, 1, 80], 'hard-swish', 'plain'),
      ...repeated(2, [2.3, 3, 1, 80], 'hard-swish', 'plain'),
    ],
    repeated(2, [6, 3, 1, 112], 'hard-swish', 'gated'),
    repeated(3, [6, 5, 2, 160], 'hard-swish', 'gated'),
  ],
  last: 960,
  features: 1280,
}
const small: Variant = {
  stages: [
    repeated(1, [1, 3, 2, 16], 'relu', 'gated'),
    [...repeated(1, [4.5, 3, 2, 24], 'relu', 'plain'), ...repeated(1, [3.67, 3, 1, 24], 'relu', 'plain')],
    [...repeated(1, [4, 5, 2, 40], 'hard-swish', 'gated'), ...repeated(2, [6, 5, 1, 40], 'hard-swish', 'gated')],
    repeated(2, [3, 5, 1, 48], 'hard-swish', 'gated'),
    repeated(3, [6, 5, 2, 96], 'hard-swish', 'gated'),
  ],
  last: 576,
  features: 1024,
}

const variants: Readonly<Record<string, Variant>> = {
  mobilenetv3_small_100: small,
  mobilenetv3_large_100: large,
  tf_mobilenetv3_small_100: { ...small, tensorflow: true },
  tf_mobilenetv3_large_100: { ...large, tensorflow: true },
}

export const mobilenetV3 = familyOf(
  variants,
  (name, variant) => ({
    name,
    classifier: 'classifier',
    firstConvolution: 'conv_stem',
    features: variant.features,
    build: (options) => mobilenetV3Graph(name, variant, options),
    ...(variant.tensorflow ? {} : { torchvision: torchvisionNames(variant) }),
  }),
  { mobilenet_v3_small: 'mobilenetv3_small_100', mobilenet_v3_large: 'mobilenetv3_large_100' },
)

/**
 * MobileNetV3: inverted residuals, some with gates; a layer between the average and the classifier.
 * @see Howard et al. 2019, https://arxiv.org/abs/1905.02244
 */
function mobilenetV3Graph(name: string, variant: Variant, options: ArchitectureOptions): Graph {
  const usual = variant.tensorflow ? ({ padType: 'same', epsilon: 1e-3 } as const) : {}
  const settings = networkArguments(name, options.args, usual)
  const activation = 'hard-swish'
  const net = graphBuilder()
  const { height, width, mean, std, classes } = options
  let x = net.layer('imageInput', 'input', { height, width, mean, std }, [])
  const stem = { names: ['conv_stem', 'bn1'], outChannels: 16, kernel: 3, stride: 2, activation } as const
  x = convolve(net, x, stem, settings)
  const end: MobileBlock = { kind: 'plain', kernel: 1, stride: 1, channels: variant.last, activation }
  x = mobileBlocks(net, x, [...variant.stages, [end]], settings)
  net.at('head')
  x = net.layer('adaptiveAveragePool', 'global_pool', { output: [1, 1] }, [x])
  const pointwise = { kernel: [1, 1], stride: [1, 1], padding: [0, 0, 0, 0], bias: true } as const
  x = net.layer('conv2d', 'conv_head', { ...pointwise, outChannels: variant.features }, [x])
  x = net.layer('activation', 'act2', { kind: activation }, [x])
  const features = net.layer('globalAveragePool', 'flatten', {}, [x])
  if (classes === 0) return net.finish({ output: features, features })
  const classifier = net.layer('linear', 'classifier', { outFeatures: classes, bias: true }, [features])
  return net.finish({ output: classifier, features, classifier })
}

/** torchvision counts the blocks through all stages, from 1, and the layers within each. */
function torchvisionNames({ stages }: Variant): ForeignNames {
  const names = new Map([
    ['features.0.0', 'conv_stem'],
    ['features.0.1', 'bn1'],
  ])
  let number = 1
  for (const [stage, blocks] of stages.entries()) {
    for (const [index, { kind, gates: gated }] of blocks.entries()) {
      const separable = kind === 'separable'
      const pairs = [
        ...(separable ? [] : [['conv_pw', 'bn1']]),
        separable ? ['conv_dw', 'bn1'] : ['conv_dw', 'bn2'],
        ...(gated ? [['se.conv_reduce', 'se.conv_expand']] : []),
        separable ? ['conv_pw', 'bn2'] : ['conv_pwl', 'bn3'],
      ]
      for (const [at, pair] of pairs.entries()) {
        const theirs = pair[0]?.startsWith('se.') ? ['fc1', 'fc2'] : ['0', '1']
        for (const [part, ours] of pair.entries()) {
          names.set(`features.${number}.block.${at}.${theirs[part]}`, `blocks.${stage}.${index}.${ours}`)
        }
      }
      number += 1
    }
  }
  names.set(`features.${number}.0`, `blocks.${stages.length}.0.conv`)
  names.set(`features.${number}.1`, `blocks.${stages.length}.0.bn1`)
  names.set('classifier.0', 'conv_head')
  names.set('classifier.3', 'classifier')
  return { names, args: { bn_eps: 1e-3, bn_momentum: 0.01 } }
}
