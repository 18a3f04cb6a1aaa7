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
  /** Divide by the greatest v so far (AMSGrad). */
  readonly amsgrad?: boolean
}

/** The new parameter, m, v and greatest v after step t = 1, 2, … */
export function adamStep(
  p: number,
  gradient: number,
  m: number,
  v: number,
  t: number,
  settings: AdamSettings,
  largest = 0,
): [number, number, number, number] {
  const { rate, beta1, beta2, epsilon, weightDecay, coupled, amsgrad = false } = settings
  const g = coupled ? gradient + weightDecay * p : gradient
  const shrunk = coupled ? p : p * (1 - rate * weightDecay)
  const first = beta1 * m + (1 - beta1) * g
  const second = beta2 * v + (1 - beta2) * g * g
  const greatest = Math.max(largest, second)
  const root = Math.sqrt(amsgrad ? greatest : second) / Math.sqrt(1 - beta2 ** t) + epsilon
  return [shrunk - ((rate / (1 - beta1 ** t)) * first) / root, first, second, greatest]
}

export interface AdadeltaSettings {
  readonly rate: number
  readonly rho: number
  readonly epsilon: number
  readonly weightDecay: number
}

/** The new parameter and averages of squared gradients and of squared moves. */
export function adadeltaStep(
  p: number,
  gradient: number,
  squares: number,
  moves: number,
  { rate, rho, epsilon, weightDecay }: AdadeltaSettings,
): [number, number, number] {
  const g = gradient + weightDecay * p
  const square = rho * squares + (1 - rho) * g * g
  const move = (Math.sqrt(moves + epsilon) / Math.sqrt(square + epsilon)) * g
  return [p - rate * move, square, rho * moves + (1 - rho) * move * move]
}

type Moments = Omit<AdamSettings, 'coupled' | 'amsgrad'>

/** The new parameter, m and largest gradient after step t = 1, 2, … */
export function adamaxStep(
  p: number,
  gradient: number,
  m: number,
  largest: number,
  t: number,
  { rate, beta1, beta2, epsilon, weightDecay }: Moments,
): [number, number, number] {
  const g = gradient + weightDecay * p
  const first = beta1 * m + (1 - beta1) * g
  const size = Math.max(beta2 * largest, Math.abs(g) + epsilon)
  return [p - ((rate / (1 - beta1 ** t)) * first) / size, first, size]
}

/** The new parameter, m, v and product of momenta, which begins with 1, after step t = 1, 2, … */
export function nadamStep(
  p: number,
  gradient: number,
  [m, v, product]: readonly [number, number, number],
  t: number,
  { rate, beta1, beta2, epsilon, weightDecay }: Moments,
): [number, readonly [number, number, number]] {
  const g = gradient + weightDecay * p
  const first = beta1 * m + (1 - beta1) * g
  const second = beta2 * v + (1 - beta2) * g * g
  const momentum = beta1 * (1 - 0.5 * 0.96 ** (t * 0.004))
  const next = beta1 * (1 - 0.5 * 0.96 ** ((t + 1) * 0.004))
  const all = product * momentum
  const root = Math.sqrt(second / (1 - beta2 ** t)) + epsilon
  const moved = p - ((rate * (1 - momentum)) / (1 - all)) * (g / root)
  return [moved - ((rate * next) / (1 - all * next)) * (first / root), [first, second, all]]
}

/** The new parameter, m and v after step t = 1, 2, … */
export function radamStep(
  p: number,
  gradient: number,
  [m, v]: readonly [number, number],
  t: number,
  { rate, beta1, beta2, epsilon, weightDecay }: Moments,
): [number, readonly [number, number]] {
  const g = gradient + weightDecay * p
  const first = beta1 * m + (1 - beta1) * g
  const second = beta2 * v + (1 - beta2) * g * g
  const mean = first / (1 - beta1 ** t)
  const longest = 2 / (1 - beta2) - 1
  const length = longest - (2 * t * beta2 ** t) / (1 - beta2 ** t)
  if (length <= 5) return [p - rate * mean, [first, second]]
  const adaptive = Math.sqrt(1 - beta2 ** t) / (Math.sqrt(second) + epsilon)
  const rectified = Math.sqrt(((length - 4) * (length - 2) * longest) / ((longest - 4) * (longest - 2) * length))
  return [p - rate * mean * adaptive * rectified, [first, second]]
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
