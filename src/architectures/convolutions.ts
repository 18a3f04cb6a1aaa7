// What most convolutional networks are put together from: a convolution with its batch norm and activation, and squeeze and excitation.
import type { GraphBuilder } from '../graph/builder.ts'
import { type ActivationKind, isFused } from '../ops/activation.ts'
import type { NetworkArguments } from './build-options.ts'
import { paddingFor } from './build-options.ts'

/** Activations that take no number. */
export type PlainActivation = Exclude<ActivationKind, 'leaky-relu' | 'elu' | 'softplus'>

export interface Convolution {
  /** Name of the convolution, and of its batch norm. */
  readonly names: readonly [convolution: string, norm: string]
  /** Left out: each channel by itself. */
  readonly outChannels?: number
  readonly groups?: number
  /** 1 when left out, as the stride. */
  readonly kernel?: number
  readonly stride?: number
  /** None when left out. */
  readonly activation?: PlainActivation
}

/** A convolution, its batch norm, and the activation, which is a layer by itself where a norm cannot apply it. */
export function convolve(net: GraphBuilder, input: string, what: Convolution, settings: NetworkArguments): string {
  const { outChannels, groups = 1, kernel = 1, stride = 1, activation = 'none' } = what
  const [name, norm] = what.names
  const { epsilon, momentum, padType } = settings
  const window = {
    kernel: [kernel, kernel],
    stride: [stride, stride],
    padding: paddingFor(padType, kernel, stride),
  } as const
  const convolved =
    outChannels === undefined
      ? net.layer('depthwiseConv2d', name, window, [input])
      : net.layer('conv2d', name, { ...window, outChannels, ...(groups === 1 ? {} : { groups }) }, [input])
  const attrs = { epsilon, momentum }
  if (isFused(activation)) return net.layer('batchNorm', norm, { ...attrs, activation }, [convolved])
  const normed = net.layer('batchNorm', norm, attrs, [convolved])
  return net.layer('activation', `${norm}.act`, { kind: activation }, [normed])
}

export interface SqueezeExcite {
  /** Name of the whole, and of its two convolutions within it. */
  readonly name: string
  readonly names: readonly [reduce: string, expand: string]
  /** Channels between the two. */
  readonly channels: number
  readonly activation: PlainActivation
  readonly gate: 'sigmoid' | 'hard-sigmoid'
}

/**
 * Channels times gates that depend on the means of all of them.
 * @see Hu et al. 2017, https://arxiv.org/abs/1709.01507
 */
export function squeezeExcite(net: GraphBuilder, input: string, what: SqueezeExcite): string {
  const { name, names, channels, activation, gate } = what
  const pointwise = { kernel: [1, 1], stride: [1, 1], padding: [0, 0, 0, 0], bias: true } as const
  let s = net.layer('adaptiveAveragePool', `${name}.pool`, { output: [1, 1] }, [input])
  s = net.layer('conv2d', `${name}.${names[0]}`, { ...pointwise, outChannels: channels }, [s])
  s = net.layer('activation', `${name}.act`, { kind: activation }, [s])
  const outChannels = net.shapeOf(input).at(-1) ?? 1
  s = net.layer('conv2d', `${name}.${names[1]}`, { ...pointwise, outChannels }, [s])
  s = net.layer('activation', `${name}.gate`, { kind: gate }, [s])
  return net.layer('scale', `${name}.scale`, {}, [input, s])
}

/** Averages over the picture, and the classifier where there are classes. */
export function finishWithClassifier(net: GraphBuilder, input: string, name: string, classes: number) {
  net.at('head')
  const features = net.layer('globalAveragePool', 'global_pool', {}, [input])
  if (classes === 0) return net.finish({ output: features, features })
  const classifier = net.layer('linear', name, { outFeatures: classes, bias: true }, [features])
  return net.finish({ output: classifier, features, classifier })
}
