// The optimisers: which numbers they keep per parameter, and what their kernel needs to know in each step.
import { pow } from '../exact-math.ts'
import type { KernelName } from '../kernels/program.ts'

export interface OptimiserSettings {
  readonly momentum: number
  readonly beta1: number
  readonly beta2: number
  readonly epsilon: number
}

export const defaultSettings: OptimiserSettings = { momentum: 0.9, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }

export interface Optimiser {
  readonly kernel: Extract<KernelName, 'sgd' | 'adamw'>
  /** Names of the values kept per parameter. */
  readonly state: readonly string[]
  /**
   * The table that the kernel reads.
   * @param step  steps done before this one
   */
  hyper(rate: number, weightDecay: number, step: number, settings: OptimiserSettings): readonly number[]
}

function sgd(momentum: (settings: OptimiserSettings) => number, nesterov: 0 | 1): Optimiser {
  return {
    kernel: 'sgd',
    state: ['momentum'],
    hyper: (rate, weightDecay, step, settings) => [
      rate,
      momentum(settings),
      0,
      weightDecay,
      nesterov,
      step === 0 ? 1 : 0,
    ],
  }
}

function adam(coupled: 0 | 1): Optimiser {
  return {
    kernel: 'adamw',
    state: ['mean', 'variance'],
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
  }
}

export const optimisers = {
  /** Plain stochastic gradient descent. */
  sgd: sgd(() => 0, 0),
  /** With a running average of gradients (Polyak 1964). */
  momentum: sgd(({ momentum }) => momentum, 0),
  /** Looks ahead along the momentum (Sutskever et al. 2013). */
  nesterov: sgd(({ momentum }) => momentum, 1),
  /** Kingma & Ba 2015, https://arxiv.org/abs/1412.6980; weight decay is added to the gradient. */
  adam: adam(1),
  /** Adam with decoupled weight decay: Loshchilov & Hutter 2019, https://arxiv.org/abs/1711.05101 */
  adamw: adam(0),
} satisfies Record<string, Optimiser>

export type OptimiserName = keyof typeof optimisers
