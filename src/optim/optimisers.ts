// The optimisers: which numbers they keep per parameter, and what their kernel needs to know in each step.
import { pow } from '../exact-math.ts'
import { type Call, call } from '../kernels/program.ts'

export interface OptimiserSettings {
  /** Of momentum, nesterov, and rmsprop, which has none unless it is asked for. */
  readonly momentum: number
  /** Of adam and its relatives: how much of the averages of gradients and of their squares is kept; of adamax the decay of its maximum. */
  readonly beta1: number
  readonly beta2: number
  /** Of rmsprop and adadelta (its rho): how much of the average of squares is kept. */
  readonly alpha: number
  /** Of rmsprop: divide by the deviation of the gradient instead of its size. */
  readonly centred: boolean
  /** Added to what is divided by. */
  readonly epsilon: number
}

const commonSettings: OptimiserSettings = {
  momentum: 0.9,
  beta1: 0.9,
  beta2: 0.999,
  alpha: 0.99,
  centred: false,
  epsilon: 1e-8,
}

/** Addresses that an update works on. */
export interface UpdatePlaces {
  readonly parameter: number
  readonly gradient: number
  /** Of a state by its name; 0 for one that is not kept. */
  readonly state: (name: string) => number
  /** The table of `hyper`. */
  readonly hyper: number
  /** One number to multiply gradients by, or 0. */
  readonly scale: number
  /** Vectors of four. */
  readonly units: number
  readonly grain: number
}

export interface Optimiser {
  /** Settings that differ from the usual ones when nobody sets them: PyTorch's. */
  readonly defaults?: Partial<OptimiserSettings>
  /** Names of the values kept per parameter. */
  state(settings: OptimiserSettings): readonly string[]
  /**
   * The table that the kernel reads.
   * @param step  steps done before this one
   */
  hyper(rate: number, weightDecay: number, step: number, settings: OptimiserSettings): readonly number[]
  /** The settings with another momentum, for a step; unchanged where the optimiser keeps none. */
  withMomentum(settings: OptimiserSettings, momentum: number): OptimiserSettings
  /** The call that updates a parameter. */
  update(places: UpdatePlaces): Call
}

/** A momentum of 0 means that no buffer was made for it. */
const withBuffer = (settings: OptimiserSettings, momentum: number): OptimiserSettings =>
  settings.momentum === 0 ? settings : { ...settings, momentum }

function sgd(momentum: (settings: OptimiserSettings) => number, nesterov: 0 | 1): Optimiser {
  return {
    state: (settings) => (momentum(settings) === 0 ? [] : ['momentum']),
    hyper: (rate, weightDecay, step, settings) => [
      rate,
      momentum(settings),
      0,
      weightDecay,
      nesterov,
      step === 0 ? 1 : 0,
    ],
    withMomentum: withBuffer,
    update: ({ parameter, gradient, state, hyper, scale, units, grain }) =>
      call<'sgd', number>('sgd', [parameter, gradient, state('momentum'), hyper, scale], units, grain),
  }
}

function adam(coupled: 0 | 1, greatest = false): Optimiser {
  return {
    state: () => ['mean', 'variance', ...(greatest ? ['largest'] : [])],
    hyper: (rate, weightDecay, step, { beta1, beta2, epsilon }) => [
      rate,
      beta1,
      beta2,
      epsilon,
      weightDecay,
      coupled,
      // The kernel averages with f32 betas; the correction must belong to the same ones.
      1 - pow(Math.fround(beta1), step + 1),
      Math.sqrt(1 - pow(Math.fround(beta2), step + 1)),
    ],
    withMomentum: (settings, momentum) => ({ ...settings, beta1: momentum }),
    update({ parameter, gradient, state, hyper, scale, units, grain }) {
      const kept: [number, number, number] = [state('mean'), state('variance'), state('largest')]
      return call<'adamw', number>('adamw', [parameter, gradient, ...kept, hyper, scale], units, grain)
    },
  }
}

const adagrad: Optimiser = {
  defaults: { epsilon: 1e-10 },
  state: () => ['squares'],
  hyper: (rate, weightDecay, _step, { epsilon }) => [rate, epsilon, weightDecay],
  withMomentum: (settings) => settings,
  update: ({ parameter, gradient, state, hyper, scale, units, grain }) =>
    call<'adagrad', number>('adagrad', [parameter, gradient, state('squares'), hyper, scale], units, grain),
}

const rmsprop: Optimiser = {
  defaults: { momentum: 0 },
  state: ({ centred, momentum }) => ['squares', ...(centred ? ['mean'] : []), ...(momentum === 0 ? [] : ['momentum'])],
  hyper: (rate, weightDecay, _step, { alpha, epsilon, momentum }) => [rate, alpha, epsilon, momentum, weightDecay],
  withMomentum: withBuffer,
  update({ parameter, gradient, state, hyper, scale, units, grain }) {
    const kept: [number, number, number] = [state('squares'), state('mean'), state('momentum')]
    return call<'rmsprop', number>('rmsprop', [parameter, gradient, ...kept, hyper, scale], units, grain)
  },
}

const adadelta: Optimiser = {
  defaults: { alpha: 0.9, epsilon: 1e-6 },
  state: () => ['squares', 'moves'],
  hyper: (rate, weightDecay, _step, { alpha, epsilon }) => [rate, alpha, epsilon, weightDecay],
  withMomentum: (settings) => settings,
  update({ parameter, gradient, state, hyper, scale, units, grain }) {
    const kept: [number, number] = [state('squares'), state('moves')]
    return call<'adadelta', number>('adadelta', [parameter, gradient, ...kept, hyper, scale], units, grain)
  },
}

const adamax: Optimiser = {
  state: () => ['mean', 'largest'],
  hyper: (rate, weightDecay, step, { beta1, beta2, epsilon }) => [
    rate,
    beta1,
    beta2,
    epsilon,
    weightDecay,
    1 - pow(Math.fround(beta1), step + 1),
  ],
  withMomentum: (settings, momentum) => ({ ...settings, beta1: momentum }),
  update({ parameter, gradient, state, hyper, scale, units, grain }) {
    const kept: [number, number] = [state('mean'), state('largest')]
    return call<'adamax', number>('adamax', [parameter, gradient, ...kept, hyper, scale], units, grain)
  },
}

/** What a step of `adamMove` makes of the gradient and its averages, for all parameters alike. */
interface AdamMove {
  /** Of the gradient itself. */
  readonly now: number
  /** Of the average of gradients. */
  readonly mean: number
  /** Whether the move is divided by the root of the average of squares. */
  readonly adaptive: boolean
}

function adamMove(
  moveOf: (rate: number, step: number, settings: OptimiserSettings) => AdamMove,
  withMomentum: Optimiser['withMomentum'],
): Optimiser {
  return {
    state: () => ['mean', 'variance'],
    hyper(rate, weightDecay, step, settings) {
      const { now, mean, adaptive } = moveOf(rate, step, settings)
      const { beta1, beta2, epsilon } = settings
      const correction = Math.sqrt(1 - pow(Math.fround(beta2), step + 1))
      return [now, mean, beta1, beta2, epsilon, weightDecay, correction, adaptive ? 1 : 0]
    },
    withMomentum,
    update({ parameter, gradient, state, hyper, scale, units, grain }) {
      const kept: [number, number] = [state('mean'), state('variance')]
      return call<'adamMove', number>('adamMove', [parameter, gradient, ...kept, hyper, scale], units, grain)
    },
  }
}

/** How fast nadam's momentum rises from half of beta1 to beta1: PyTorch's. */
const MOMENTUM_DECAY = 0.004
/** From there on a product of momenta is nothing beside 1. */
const NEGLIGIBLE = 1e-18

const nadam = adamMove(
  (rate, step, { beta1 }) => {
    const momentumAt = (t: number) => beta1 * (1 - 0.5 * pow(0.96, t * MOMENTUM_DECAY))
    let product = 1
    for (let t = 1; t <= step + 1 && product > NEGLIGIBLE; t++) product *= momentumAt(t)
    const next = momentumAt(step + 2)
    return {
      now: (rate * (1 - momentumAt(step + 1))) / (1 - product),
      mean: (rate * next) / (1 - product * next),
      adaptive: true,
    }
  },
  // Its momentum has a schedule of its own.
  (settings) => settings,
)

const radam = adamMove(
  (rate, step, { beta1, beta2 }) => {
    const t = step + 1
    const mean = rate / (1 - pow(Math.fround(beta1), t))
    const kept = pow(beta2, t)
    const longest = 2 / (1 - beta2) - 1
    const length = longest - (2 * t * kept) / (1 - kept)
    // The variance of so short an average has no meaning: the steps are those of momentum.
    if (length <= 5) return { now: 0, mean, adaptive: false }
    const rectified = ((length - 4) * (length - 2) * longest) / ((longest - 4) * (longest - 2) * length)
    return { now: 0, mean: mean * Math.sqrt(rectified), adaptive: true }
  },
  (settings, momentum) => ({ ...settings, beta1: momentum }),
)

export const optimisers = {
  /** Plain stochastic gradient descent. */
  sgd: sgd(() => 0, 0),
  /** With a running average of gradients (Polyak 1964). */
  momentum: sgd(({ momentum }) => momentum, 0),
  /** Looks ahead along the momentum (Sutskever et al. 2013). */
  nesterov: sgd(({ momentum }) => momentum, 1),
  /** Divides by the root of all squares so far: Duchi et al. 2011, https://jmlr.org/papers/v12/duchi11a.html */
  adagrad,
  /** Divides by the root of a running average of squares, and multiplies by that of the moves so far: Zeiler 2012, https://arxiv.org/abs/1212.5701 */
  adadelta,
  /** Divides by the root of a running average of squares: Tieleman & Hinton 2012. */
  rmsprop,
  /** Kingma & Ba 2015, https://arxiv.org/abs/1412.6980; weight decay is added to the gradient. */
  adam: adam(1),
  /** Adam with decoupled weight decay: Loshchilov & Hutter 2019, https://arxiv.org/abs/1711.05101 */
  adamw: adam(0),
  /** Adam that divides by the greatest variance so far: Reddi et al. 2018, https://arxiv.org/abs/1904.09237 */
  amsgrad: adam(1, true),
  /** Adam that divides by the largest gradient, which it forgets slowly: Kingma & Ba 2015, section 7.1. */
  adamax,
  /** Adam that looks ahead along its momentum: Dozat 2016, https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ */
  nadam,
  /** Adam that steps as momentum does until its variance can be trusted: Liu et al. 2020, https://arxiv.org/abs/1908.03265 */
  radam,
} satisfies Record<string, Optimiser>

export type OptimiserName = keyof typeof optimisers

export const optimiserNames = Object.keys(optimisers) as readonly OptimiserName[]

/** All settings of an optimiser. @param chosen what somebody set */
export function settingsFor(name: OptimiserName, chosen: Partial<OptimiserSettings> = {}): OptimiserSettings {
  const optimiser: Optimiser = optimisers[name]
  return { ...commonSettings, ...optimiser.defaults, ...chosen }
}
