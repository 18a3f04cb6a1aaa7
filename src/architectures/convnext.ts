import { type GraphBuilder, graphBuilder } from '../graph/builder.ts'
import type { Graph } from '../graph/graph.ts'
import { evenPadding, symmetricPadding } from '../ops/window.ts'
import { type ArchitectureOptions, type ForeignNames, familyOf } from './architecture.ts'
import { refuseArguments } from './build-options.ts'

interface Variant {
  readonly repeats: readonly number[]
  readonly widths: readonly number[]
  /** Whether the two layers of a block are 1x1 convolutions; they are linear layers otherwise. The same, but for the shape of the weights. */
  readonly convolved?: boolean
}

// Section 3 of the paper; the smaller ones are timm's.
const variants: Readonly<Record<string, Variant>> = {
  convnext_atto: { repeats: [2, 2, 6, 2], widths: [40, 80, 160, 320], convolved: true },
  convnext_femto: { repeats: [2, 2, 6, 2], widths: [48, 96, 192, 384], convolved: true },
  convnext_pico: { repeats: [2, 2, 6, 2], widths: [64, 128, 256, 512], convolved: true },
  convnext_nano: { repeats: [2, 2, 8, 2], widths: [80, 160, 320, 640], convolved: true },
  convnext_tiny: { repeats: [3, 3, 9, 3], widths: [96, 192, 384, 768] },
  convnext_small: { repeats: [3, 3, 27, 3], widths: [96, 192, 384, 768] },
}

const EXPANSION = 4
const norm = { epsilon: 1e-6 } as const
const FIRST_SCALE = 1e-6

export const convnext = familyOf(variants, (name, variant) => ({
  name,
  classifier: 'head.fc',
  firstConvolution: 'stem.0',
  features: variant.widths.at(-1) ?? 0,
  build: (options) => convnextGraph(name, variant, options),
  ...(variant.convolved ? {} : { torchvision: torchvisionNames(variant) }),
}))

/**
 * ConvNeXt: depthwise 7x7, layer norm, and two wide layers with GELU in a residual block.
 * @see Liu et al. 2022, https://arxiv.org/abs/2201.03545
 */
export function convnextGraph(name: string, variant: Variant, options: ArchitectureOptions): Graph {
  refuseArguments(name, options.args)
  const net = graphBuilder()
  const { height, width, mean, std, classes } = options
  let x = net.layer('imageInput', 'input', { height, width, mean, std }, [])
  const { repeats, widths } = variant
  x = patches(net, 'stem.0', x, 4, widths[0] ?? 0)
  x = net.layer('layerNorm', 'stem.1', norm, [x])
  for (const [stage, count] of repeats.entries()) {
    const at = `stages.${stage}`
    const channels = widths[stage] ?? 0
    if (stage > 0) {
      net.at(at)
      x = net.layer('layerNorm', `${at}.downsample.0`, norm, [x])
      x = patches(net, `${at}.downsample.1`, x, 2, channels)
    }
    for (let index = 0; index < count; index++) {
      net.at(at, `${at}.blocks.${index}`)
      x = block(net, x, `${at}.blocks.${index}`, variant.convolved ?? false)
    }
  }
  net.at('head')
  x = net.layer('globalAveragePool', 'head.global_pool', {}, [x])
  const features = net.layer('layerNorm', 'head.norm', norm, [x])
  if (classes === 0) return net.finish({ output: features, features })
  const classifier = net.layer('linear', 'head.fc', { outFeatures: classes, bias: true }, [features])
  return net.finish({ output: classifier, features, classifier })
}

/** A convolution over squares that do not overlap. */
function patches(net: GraphBuilder, name: string, input: string, size: number, outChannels: number): string {
  const window = { kernel: [size, size], stride: [size, size], padding: evenPadding(0) } as const
  return net.layer('conv2d', name, { ...window, outChannels, bias: true }, [input])
}

function block(net: GraphBuilder, input: string, name: string, convolved: boolean): string {
  const channels = net.shapeOf(input).at(-1) ?? 0
  const wide = (layer: string, outputs: number, from: string) =>
    convolved
      ? patches(net, `${name}.mlp.${layer}`, from, 1, outputs)
      : net.layer('linear', `${name}.mlp.${layer}`, { outFeatures: outputs, bias: true }, [from])
  const window = { kernel: [7, 7], stride: [1, 1], padding: symmetricPadding(7), bias: true } as const
  let x = net.layer('depthwiseConv2d', `${name}.conv_dw`, window, [input])
  x = net.layer('layerNorm', `${name}.norm`, norm, [x])
  x = wide('fc1', EXPANSION * channels, x)
  x = net.layer('activation', `${name}.mlp.act`, { kind: 'gelu' }, [x])
  x = wide('fc2', channels, x)
  x = net.layer('layerScale', `${name}.gamma`, { initial: FIRST_SCALE }, [x])
  return net.layer('add', `${name}.add`, {}, [input, x])
}

/** torchvision counts stem, stages and what lies between them through: stages are the odd numbers. */
export function torchvisionNames({ repeats }: Pick<Variant, 'repeats'>): ForeignNames {
  const names = new Map([
    ['features.0.0', 'stem.0'],
    ['features.0.1', 'stem.1'],
    ['classifier.0', 'head.norm'],
    ['classifier.2', 'head.fc'],
  ])
  for (const [stage, count] of repeats.entries()) {
    for (const part of [0, 1]) names.set(`features.${2 * stage}.${part}`, `stages.${stage}.downsample.${part}`)
    for (let index = 0; index < count; index++) {
      const theirs = `features.${2 * stage + 1}.${index}`
      const ours = `stages.${stage}.blocks.${index}`
      for (const [part, own] of Object.entries({ 0: 'conv_dw', 2: 'norm', 3: 'mlp.fc1', 5: 'mlp.fc2' }))
        names.set(`${theirs}.block.${part}`, `${ours}.${own}`)
      names.set(`${theirs}.layer_scale`, `${ours}.gamma`)
    }
  }
  names.set('features.0.0', 'stem.0').set('features.0.1', 'stem.1')
  return { names }
}
