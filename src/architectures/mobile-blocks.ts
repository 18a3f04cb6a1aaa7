// The blocks of the networks that timm builds like EfficientNet, and a plan that says which follow each other.
import type { GraphBuilder } from '../graph/builder.ts'
import type { NetworkArguments } from './build-options.ts'
import { roundChannels } from './build-options.ts'
import { convolve, type PlainActivation, squeezeExcite } from './convolutions.ts'

/** Gates of the blocks that have them. */
export interface Gates {
  /** Channels inside, of those of the block at its widest and at its beginning. */
  readonly channels: (wide: number, entry: number) => number
  readonly activation: PlainActivation
  readonly gate: 'sigmoid' | 'hard-sigmoid'
}

/**
 * - `separable`: depthwise, then pointwise
 * - `inverted`: expanded by a pointwise convolution, depthwise, projected
 * - `plain`: one convolution
 * - `universal`: inverted, with or without depthwise convolutions before the expansion and in the middle
 */
export interface MobileBlock {
  readonly kind: 'separable' | 'inverted' | 'plain' | 'universal'
  readonly kernel: number
  readonly stride: number
  readonly channels: number
  /** Channels inside, as a multiple of those at the beginning. */
  readonly expansion?: number
  readonly gates?: Gates
  readonly activation: PlainActivation
  /** Kernel of the depthwise convolution in front of the expansion, 0 for none. */
  readonly firstKernel?: number
  /** No shortcut, even where one fits. */
  readonly noSkip?: boolean
}

export type MobileStage = readonly MobileBlock[]

/** The channels that a pointwise convolution expands to. */
export function expandedChannels(channels: number, expansion: number): number {
  return roundChannels(channels, expansion)
}

export function mobileBlocks(
  net: GraphBuilder,
  input: string,
  stages: readonly MobileStage[],
  settings: NetworkArguments,
): string {
  let x = input
  for (const [stage, blocks] of stages.entries()) {
    for (const [index, what] of blocks.entries()) {
      const block = `blocks.${stage}.${index}`
      net.at(`blocks.${stage}`, block)
      x = mobileBlock(net, x, block, what, settings)
    }
  }
  return x
}

function mobileBlock(
  net: GraphBuilder,
  input: string,
  block: string,
  what: MobileBlock,
  settings: NetworkArguments,
): string {
  const { kind, kernel, stride, channels: outChannels, activation, gates } = what
  const entry = net.shapeOf(input).at(-1) ?? 1
  const wide = expandedChannels(entry, what.expansion ?? 1)
  const named = (convolution: string, norm: string) => [`${block}.${convolution}`, `${block}.${norm}`] as const
  const gated = (x: string) => {
    if (gates === undefined) return x
    const channels = gates.channels(wide, entry)
    const names = ['conv_reduce', 'conv_expand'] as const
    return squeezeExcite(net, x, { ...gates, name: `${block}.se`, names, channels })
  }
  let x = input
  switch (kind) {
    case 'plain':
      return convolve(net, x, { names: named('conv', 'bn1'), outChannels, kernel, stride, activation }, settings)
    case 'separable':
      x = convolve(net, x, { names: named('conv_dw', 'bn1'), kernel, stride, activation }, settings)
      x = convolve(net, gated(x), { names: named('conv_pw', 'bn2'), outChannels }, settings)
      break
    case 'inverted':
      x = convolve(net, x, { names: named('conv_pw', 'bn1'), outChannels: wide, activation }, settings)
      x = convolve(net, x, { names: named('conv_dw', 'bn2'), kernel, stride, activation }, settings)
      x = convolve(net, gated(x), { names: named('conv_pwl', 'bn3'), outChannels }, settings)
      break
    case 'universal': {
      const part = (name: string) => named(`${name}.conv`, `${name}.bn`)
      const first = what.firstKernel ?? 0
      if (first > 0) {
        const step = kernel > 0 ? 1 : stride
        x = convolve(net, x, { names: part('dw_start'), kernel: first, stride: step }, settings)
      }
      x = convolve(net, x, { names: part('pw_exp'), outChannels: wide, activation }, settings)
      if (kernel > 0) x = convolve(net, x, { names: part('dw_mid'), kernel, stride, activation }, settings)
      x = convolve(net, x, { names: part('pw_proj'), outChannels }, settings)
    }
  }
  const skips = stride === 1 && entry === outChannels && !what.noSkip
  return skips ? net.layer('add', `${block}.add`, {}, [input, x]) : x
}
