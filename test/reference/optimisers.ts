// One step of the optimisers on one number, in float64, as in PyTorch.

export interface SgdSettings {
  readonly rate: number
  readonly momentum: number
  readonly dampening: number
  readonly weightDecay: number
  readonly nesterov: boolean
}

/** The new parameter and buffer; buffer undefined at the first step. */
export function sgdStep(
  p: number,
  gradient: number,
  buffer: number | undefined,
  settings: SgdSettings,
): [number, number] {
  const { rate, momentum, dampening, weightDecay, nesterov } = settings
  const g = gradient + weightDecay * p
  if (momentum === 0) return [p - rate * g, 0]
  const moved = buffer === undefined ? g : momentum * buffer + (1 - dampening) * g
  return [p - rate * (nesterov ? g + momentum * moved : moved), moved]
}

export interface AdamSettings {
  readonly rate: number
  readonly beta1: number
  readonly beta2: number
  readonly epsilon: number
  readonly weightDecay: number
  /** Weight decay joins the gradient (Adam); else it shrinks the parameter (AdamW). */
  readonly coupled: boolean
}

/** The new parameter, m and v after step t = 1, 2, … */
export function adamStep(
  p: number,
  gradient: number,
  m: number,
  v: number,
  t: number,
  settings: AdamSettings,
): [number, number, number] {
  const { rate, beta1, beta2, epsilon, weightDecay, coupled } = settings
  const g = coupled ? gradient + weightDecay * p : gradient
  const shrunk = coupled ? p : p * (1 - rate * weightDecay)
  const first = beta1 * m + (1 - beta1) * g
  const second = beta2 * v + (1 - beta2) * g * g
  const root = Math.sqrt(second) / Math.sqrt(1 - beta2 ** t) + epsilon
  return [shrunk - ((rate / (1 - beta1 ** t)) * first) / root, first, second]
}

export interface AdagradSettings {
  readonly rate: number
  readonly epsilon: number
  readonly weightDecay: number
}

/** The new parameter and sum of squares. */
export function adagradStep(p: number, gradient: number, sum: number, settings: AdagradSettings): [number, number] {
  const g = gradient + settings.weightDecay * p
  const squares = sum + g * g
  return [p - (settings.rate * g) / (Math.sqrt(squares) + settings.epsilon), squares]
}

export interface RmspropSettings {
  readonly rate: number
  readonly alpha: number
  readonly epsilon: number
  readonly momentum: number
  readonly weightDecay: number
  readonly centred: boolean
}

/** What RMSProp keeps: averages of squares and of gradients, and the momentum. */
export interface RmspropState {
  readonly square: number
  readonly mean: number
  readonly buffer: number
}

/** The new parameter and state. */
export function rmspropStep(
  p: number,
  gradient: number,
  state: RmspropState,
  settings: RmspropSettings,
): [number, RmspropState] {
  const { rate, alpha, epsilon, momentum, weightDecay, centred } = settings
  const g = gradient + weightDecay * p
  const square = alpha * state.square + (1 - alpha) * g * g
  const mean = alpha * state.mean + (1 - alpha) * g
  const move = g / (Math.sqrt(centred ? square - mean * mean : square) + epsilon)
  const buffer = momentum * state.buffer + move
  return [p - rate * buffer, { square, mean, buffer }]
}
