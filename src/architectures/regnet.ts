import { type GraphBuilder, graphBuilder } from '../graph/builder.ts'
import type { Graph } from '../graph/graph.ts'
import { type ArchitectureOptions, type ForeignNames, familyOf } from './architecture.ts'
import { type NetworkArguments, networkArguments } from './build-options.ts'
import { convolve, finishWithClassifier, squeezeExcite } from './convolutions.ts'

interface Variant {
  /** Width of the first block, and how much wider each next one is, before they are put into stages. */
  readonly initial: number
  readonly slope: number
  /** How much wider each stage is than the one before. */
  readonly factor: number
  readonly depth: number
  /** Channels of a group. */
  readonly group: number
  /** RegNetY: with gates. */
  readonly gated?: boolean
  /** Widths halfway between two multiples of the group go up, as in torchvision; others go to the even multiple. */
  readonly halvesUp?: boolean
}

const STEM = 32

// Table 5 of the appendix of the paper.
const variants: Readonly<Record<string, Variant>> = {
  regnetx_002: { initial: 24, slope: 36.44, factor: 2.49, depth: 13, group: 8 },
  regnetx_004: { initial: 24, slope: 24.48, factor: 2.54, depth: 22, group: 16 },
  regnetx_004_tv: { initial: 24, slope: 24.48, factor: 2.54, depth: 22, group: 16, halvesUp: true },
  regnetx_006: { initial: 48, slope: 36.97, factor: 2.24, depth: 16, group: 24 },
  regnetx_008: { initial: 56, slope: 35.73, factor: 2.28, depth: 16, group: 16 },
  regnety_002: { initial: 24, slope: 36.44, factor: 2.49, depth: 13, group: 8, gated: true },
  regnety_004: { initial: 48, slope: 27.89, factor: 2.09, depth: 16, group: 8, gated: true },
  regnety_006: { initial: 48, slope: 32.54, factor: 2.32, depth: 15, group: 16, gated: true },
  regnety_008: { initial: 56, slope: 38.84, factor: 2.4, depth: 14, group: 16, gated: true },
  regnety_008_tv: { initial: 56, slope: 38.84, factor: 2.4, depth: 14, group: 16, gated: true, halvesUp: true },
}

export const regnet = familyOf(
  variants,
  (name, variant) => ({
    name,
    classifier: 'head.fc',
    firstConvolution: 'stem.conv',
    features: stagesOf(variant).at(-1)?.channels ?? 0,
    build: (options) => regnetGraph(name, variant, options),
    torchvision: torchvisionNames(variant),
  }),
  {
    regnet_x_400mf: 'regnetx_004_tv',
    regnet_x_800mf: 'regnetx_008',
    regnet_y_400mf: 'regnety_004',
    regnet_y_800mf: 'regnety_008_tv',
  },
)

/** The blocks of each stage and their width, by the linear rule of the paper. */
function stagesOf(variant: Variant): readonly { readonly channels: number; readonly repeats: number }[] {
  const { initial, slope, factor, depth, group, halvesUp = false } = variant
  const rounded = halvesUp ? Math.round : roundedToEven
  const counts = new Map<number, number>()
  for (let block = 0; block < depth; block++) {
    const exponent = Math.round(Math.log((initial + slope * block) / initial) / Math.log(factor))
    const width = Math.round((initial * factor ** exponent) / 8) * 8
    counts.set(width, (counts.get(width) ?? 0) + 1)
  }
  return [...counts].map(([width, repeats]) => {
    const size = Math.min(group, width)
    return { channels: rounded(width / size) * size, repeats }
  })
}

/** Python's rounding. */
function roundedToEven(value: number): number {
  const below = Math.floor(value)
  return value - below === 0.5 ? below + (below % 2) : Math.round(value)
}

/**
 * RegNetX and RegNetY: bottlenecks that keep their width, with convolutions in groups.
 * @see Radosavovic et al. 2020, https://arxiv.org/abs/2003.13678
 */
function regnetGraph(name: string, variant: Variant, options: ArchitectureOptions): Graph {
  const settings = networkArguments(name, options.args)
  const net = graphBuilder()
  const { height, width, mean, std, classes } = options
  let x = net.layer('imageInput', 'input', { height, width, mean, std }, [])
  const names = ['stem.conv', 'stem.bn'] as const
  x = convolve(net, x, { names, outChannels: STEM, kernel: 3, stride: 2, activation: 'relu' }, settings)
  for (const [stage, { channels, repeats }] of stagesOf(variant).entries()) {
    for (let index = 0; index < repeats; index++) {
      const block = `s${stage + 1}.b${index + 1}`
      net.at(`s${stage + 1}`, block)
      x = bottleneck(net, x, { block, channels, stride: index === 0 ? 2 : 1, variant }, settings)
    }
  }
  return finishWithClassifier(net, x, 'head.fc', classes)
}

interface Block {
  readonly block: string
  readonly channels: number
  readonly stride: number
  readonly variant: Variant
}

function bottleneck(net: GraphBuilder, input: string, what: Block, settings: NetworkArguments): string {
  const { block, channels: outChannels, stride, variant } = what
  const entry = net.shapeOf(input).at(-1) ?? 1
  const names = (part: string) => [`${block}.${part}.conv`, `${block}.${part}.bn`] as const
  const shortcut =
    stride === 1 && entry === outChannels
      ? input
      : convolve(net, input, { names: names('downsample'), outChannels, stride }, settings)
  const activation = 'relu'
  let x = convolve(net, input, { names: names('conv1'), outChannels, activation }, settings)
  const groups = outChannels / Math.min(variant.group, outChannels)
  x = convolve(net, x, { names: names('conv2'), outChannels, groups, kernel: 3, stride, activation }, settings)
  if (variant.gated) {
    const channels = roundedToEven(entry / 4)
    x = squeezeExcite(net, x, { name: `${block}.se`, names: ['fc1', 'fc2'], channels, activation, gate: 'sigmoid' })
  }
  x = convolve(net, x, { names: names('conv3'), outChannels }, settings)
  return net.layer('add', `${block}.add`, { activation }, [shortcut, x])
}

function torchvisionNames(variant: Variant): ForeignNames {
  const names = new Map([
    ['stem.0', 'stem.conv'],
    ['stem.1', 'stem.bn'],
    ['fc', 'head.fc'],
  ])
  for (const [stage, { repeats }] of stagesOf(variant).entries()) {
    for (let index = 0; index < repeats; index++) {
      const theirs = `trunk_output.block${stage + 1}.block${stage + 1}-${index}`
      const ours = `s${stage + 1}.b${index + 1}`
      for (const [part, own] of Object.entries({
        proj: 'downsample',
        'f.a': 'conv1',
        'f.b': 'conv2',
        'f.c': 'conv3',
      })) {
        names.set(`${theirs}.${part}.0`, `${ours}.${own}.conv`)
        names.set(`${theirs}.${part}.1`, `${ours}.${own}.bn`)
      }
      for (const part of ['fc1', 'fc2']) names.set(`${theirs}.f.se.${part}`, `${ours}.se.${part}`)
    }
  }
  return { names }
}
