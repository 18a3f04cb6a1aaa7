// timm's `model_args` that the builders understand, checked.
import { RegraftError } from '../errors.ts'
import { type Padding, symmetricPadding } from '../ops/window.ts'

export interface NetworkArguments {
  /** 'same': TensorFlow's padding; '': symmetric, PyTorch's. */
  readonly padType: '' | 'same'
  readonly epsilon: number
  readonly momentum: number
}

/**
 * @param usual  what the network has where nothing else is said, beside PyTorch's defaults
 * @throws RegraftError 'weights' for an argument that is not understood: ignoring it would give another network
 */
export function networkArguments(
  name: string,
  args: Readonly<Record<string, unknown>> = {},
  usual: Partial<NetworkArguments> = {},
): NetworkArguments {
  const unknown = Object.keys(args).filter((key) => !['pad_type', 'bn_eps', 'bn_momentum'].includes(key))
  if (unknown.length > 0) {
    throw new RegraftError(
      'weights',
      `${name}: model_args ${unknown.join(', ')} are not supported. Supported: pad_type, bn_eps, bn_momentum.`,
    )
  }
  const padType = args['pad_type'] ?? usual.padType ?? ''
  const epsilon = args['bn_eps'] ?? usual.epsilon ?? 1e-5
  const momentum = args['bn_momentum'] ?? usual.momentum ?? 0.1
  if (padType !== '' && padType !== 'same')
    throw new RegraftError('weights', `${name}: pad_type must be "same" or "", not ${JSON.stringify(padType)}.`)
  for (const [key, value] of Object.entries({ bn_eps: epsilon, bn_momentum: momentum })) {
    if (typeof value !== 'number' || !(value > 0 && value < 1))
      throw new RegraftError(
        'weights',
        `${name}: ${key} must be a number between 0 and 1, not ${JSON.stringify(value)}.`,
      )
  }
  return { padType, epsilon: Number(epsilon), momentum: Number(momentum) }
}

/** For networks that nothing can be chosen about. @throws RegraftError 'weights' for any argument */
export function refuseArguments(name: string, args: Readonly<Record<string, unknown>> = {}): void {
  const [first] = Object.keys(args)
  if (first === undefined) return
  throw new RegraftError('weights', `${name}: model_args ${Object.keys(args).join(', ')} are not supported.`)
}

export function paddingFor(padType: '' | 'same', kernel: number, stride: number): Padding {
  return padType === 'same' ? 'same' : symmetricPadding(kernel, stride)
}

/** timm's rule for scaled widths: to a multiple of 8, not below 90 % of what was asked. */
export function roundChannels(channels: number, multiplier: number): number {
  const scaled = channels * multiplier
  const rounded = Math.max(8, Math.floor((scaled + 4) / 8) * 8)
  return rounded < 0.9 * scaled ? rounded + 8 : rounded
}
