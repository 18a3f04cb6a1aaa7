import { graphBuilder } from '../graph/builder.ts'
import type { Graph } from '../graph/graph.ts'
import { type ArchitectureOptions, familyOf } from './architecture.ts'
import { networkArguments } from './build-options.ts'
import { convolve, finishWithClassifier, type PlainActivation } from './convolutions.ts'
import { type Gates, type MobileBlock, mobileBlocks } from './mobile-blocks.ts'

// Repeats, expansion, kernel, stride of the first, channels: table 1 of the paper.
const STAGES = [
  [1, 1, 3, 1, 16],
  [2, 6, 3, 2, 24],
  [2, 6, 5, 2, 40],
  [3, 6, 3, 2, 80],
  [3, 6, 5, 1, 112],
  [4, 6, 5, 2, 192],
  [1, 6, 3, 1, 320],
] as const

interface Variant {
  /** Lite: ReLU6 and no gates. */
  readonly lite?: boolean
  /** Padding and batch norm as in TensorFlow. */
  readonly tensorflow?: boolean
}

const variants: Readonly<Record<string, Variant>> = {
  efficientnet_b0: {},
  efficientnet_lite0: { lite: true },
  tf_efficientnet_b0: { tensorflow: true },
  tf_efficientnet_lite0: { lite: true, tensorflow: true },
}

/** A quarter of what enters the block. */
const gates: Gates = { channels: (_wide, entry) => Math.round(entry / 4), activation: 'silu', gate: 'sigmoid' }

export const efficientnet = familyOf(variants, (name, variant) => ({
  name,
  classifier: 'classifier',
  firstConvolution: 'conv_stem',
  features: 1280,
  build: (options) => efficientnetGraph(name, variant, options),
  ...(variant.lite || variant.tensorflow ? {} : { torchvision: { names: torchvisionNames } }),
}))

/**
 * EfficientNet-B0 and Lite0: inverted residuals, in B0 with gates.
 * @see Tan & Le 2019, https://arxiv.org/abs/1905.11946
 */
function efficientnetGraph(name: string, variant: Variant, options: ArchitectureOptions): Graph {
  const usual = variant.tensorflow ? ({ padType: 'same', epsilon: 1e-3 } as const) : {}
  const settings = networkArguments(name, options.args, usual)
  const activation: PlainActivation = variant.lite ? 'relu6' : 'silu'
  const net = graphBuilder()
  const { height, width, mean, std, classes } = options
  let x = net.layer('imageInput', 'input', { height, width, mean, std }, [])
  x = convolve(net, x, { names: ['conv_stem', 'bn1'], outChannels: 32, kernel: 3, stride: 2, activation }, settings)
  const stages = STAGES.map(([repeats, expansion, kernel, stride, channels]) =>
    Array.from(
      { length: repeats },
      (_, index): MobileBlock => ({
        kind: expansion === 1 ? 'separable' : 'inverted',
        kernel,
        stride: index === 0 ? stride : 1,
        channels,
        expansion,
        activation,
        ...(variant.lite ? {} : { gates }),
      }),
    ),
  )
  x = mobileBlocks(net, x, stages, settings)
  net.at('head')
  x = convolve(net, x, { names: ['conv_head', 'bn2'], outChannels: 1280, activation }, settings)
  return finishWithClassifier(net, x, 'classifier', classes)
}

const torchvisionNames: ReadonlyMap<string, string> = new Map([
  ['features.0.0', 'conv_stem'],
  ['features.0.1', 'bn1'],
  ...STAGES.flatMap(([repeats, expansion], stage) => {
    const layers =
      expansion === 1
        ? ['conv_dw', 'bn1', 'se.conv_reduce', 'se.conv_expand', 'conv_pw', 'bn2']
        : ['conv_pw', 'bn1', 'conv_dw', 'bn2', 'se.conv_reduce', 'se.conv_expand', 'conv_pwl', 'bn3']
    const theirs =
      expansion === 1
        ? ['0.0', '0.1', '1.fc1', '1.fc2', '2.0', '2.1']
        : ['0.0', '0.1', '1.0', '1.1', '2.fc1', '2.fc2', '3.0', '3.1']
    return Array.from({ length: repeats }, (_, index) => index).flatMap((index) =>
      theirs.map(
        (part, at) =>
          [`features.${stage + 1}.${index}.block.${part}`, `blocks.${stage}.${index}.${layers[at]}`] as const,
      ),
    )
  }),
  ['features.8.0', 'conv_head'],
  ['features.8.1', 'bn2'],
  ['classifier.1', 'classifier'],
])
