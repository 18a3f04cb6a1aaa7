import { graphBuilder } from '../graph/builder.ts'
import type { Graph } from '../graph/graph.ts'
import { evenPadding, symmetricPadding } from '../ops/window.ts'
import { type ArchitectureOptions, type ForeignNames, familyOf } from './architecture.ts'
import { networkArguments } from './build-options.ts'

/** Convolutions before each of the five poolings: table 1 of the paper, A, B, D and E. */
const variants: Readonly<Record<string, readonly number[]>> = {
  vgg11_bn: [1, 1, 2, 2, 2],
  vgg13_bn: [2, 2, 2, 2, 2],
  vgg16_bn: [2, 2, 3, 3, 3],
  vgg19_bn: [2, 2, 4, 4, 4],
}

/** Channels of the first convolutions, and of the two layers before the classifier. */
export interface VggWidths {
  readonly first: number
  readonly features: number
}

const WIDTHS: VggWidths = { first: 64, features: 4096 }
/** Rows and columns of the picture in front of these layers. */
const WINDOW = 7

/** The two layers and the classifier have other names in torchvision, and are matrices there. */
const torchvision: ForeignNames = {
  names: new Map([
    ['classifier.0', 'pre_logits.fc1'],
    ['classifier.3', 'pre_logits.fc2'],
    ['classifier.6', 'head.fc'],
  ]),
}

export const vgg = familyOf(variants, (name, repeats) => ({
  name,
  classifier: 'head.fc',
  firstConvolution: 'features.0',
  features: WIDTHS.features,
  build: (options) => vggGraph(name, repeats, options),
  torchvision,
}))

/**
 * VGG with batch norm. The first of its two wide layers is a convolution over 7x7 pixels, to which smaller pictures are brought.
 * @see Simonyan & Zisserman 2014, https://arxiv.org/abs/1409.1556
 */
export function vggGraph(
  name: string,
  repeats: readonly number[],
  options: ArchitectureOptions,
  widths: VggWidths = WIDTHS,
): Graph {
  const { epsilon, momentum, padType } = networkArguments(name, options.args)
  const norm = { epsilon, momentum, activation: 'relu' } as const
  const net = graphBuilder()
  const { height, width, mean, std, classes } = options
  let x = net.layer('imageInput', 'input', { height, width, mean, std }, [])
  let number = 0
  for (const [stage, count] of repeats.entries()) {
    const outChannels = widths.first * Math.min(2 ** stage, 8)
    for (let index = 0; index < count; index++) {
      // The stem of others is the first convolution here.
      if (number > 0) net.at(`stage${stage + 1}`, `stage${stage + 1}.${index}`)
      const padding = padType === 'same' ? 'same' : symmetricPadding(3)
      const attrs = { outChannels, kernel: [3, 3], stride: [1, 1], padding, bias: true } as const
      x = net.layer('conv2d', `features.${number}`, attrs, [x])
      x = net.layer('batchNorm', `features.${number + 1}`, norm, [x])
      number += 3
    }
    const pool = { kernel: [2, 2], stride: [2, 2], padding: evenPadding(0) } as const
    x = net.layer('maxPool', `features.${number}`, pool, [x])
    number += 1
  }
  net.at('head')
  const [rows = 0, columns = 0] = net.shapeOf(x)
  if (rows < WINDOW || columns < WINDOW) {
    const output = [Math.max(rows, WINDOW), Math.max(columns, WINDOW)] as const
    x = net.layer('adaptiveAveragePool', 'pre_logits.pool', { output }, [x])
  }
  for (const [at, kernel] of [WINDOW, 1].entries()) {
    const layer = `pre_logits.fc${at + 1}`
    const window = { kernel: [kernel, kernel], stride: [1, 1], padding: evenPadding(0) } as const
    x = net.layer('conv2d', layer, { ...window, outChannels: widths.features, bias: true }, [x])
    x = net.layer('activation', `${layer}.act`, { kind: 'relu' }, [x])
  }
  const features = net.layer('globalAveragePool', 'global_pool', {}, [x])
  if (classes === 0) return net.finish({ output: features, features })
  const classifier = net.layer('linear', 'head.fc', { outFeatures: classes, bias: true }, [features])
  return net.finish({ output: classifier, features, classifier })
}
