// The learning rate over a training, as multipliers of the base rate. Every schedule is a function of where the training stands, so it
// goes on by itself after an interruption.
import { cos, pow } from '../exact-math.ts'
import { afterPlateaus } from './plateau.ts'

/** Numbers that are left out follow from the length of the training, see `rateAt`. Times are epochs after the warm-up. */
export type Schedule =
  | { readonly kind: 'constant' }
  /** Times `factor` (0.1) after `every` epochs (a third of them). */
  | { readonly kind: 'step'; readonly every?: number; readonly factor?: number }
  /** Times `factor` (0.1) at each of the `milestones` (after a half and three quarters). */
  | { readonly kind: 'multistep'; readonly milestones?: readonly number[]; readonly factor?: number }
  /** Times `factor` per epoch (to a hundredth at the end), smoothly. */
  | { readonly kind: 'exponential'; readonly factor?: number }
  /** 1/(1 + strength·epochs) (to a tenth at the end). */
  | { readonly kind: 'inverse'; readonly strength?: number }
  /** Times `factor` (0.5) when the validation loss has not fallen for more than `patience` epochs (2); stops below a thousandth. */
  | { readonly kind: 'plateau'; readonly factor?: number; readonly patience?: number }
  /** Half a cosine from 1 to `end` (0). */
  | { readonly kind: 'cosine'; readonly end?: number }
  /** Cosines from 1 to 0 again and again, the first `first` epochs long (a seventh of all), each `growth` (2) times the one before. */
  | { readonly kind: 'restarts'; readonly first?: number; readonly growth?: number }
  /** (1 - progress)^power (1: a straight line to 0). */
  | { readonly kind: 'polynomial'; readonly power?: number }
  /** Up from a 25th over the share `rise` (0.3) of all steps, and down to nearly nothing; momentum goes the other way. */
  | { readonly kind: 'onecycle'; readonly rise?: number }

export type ScheduleName = Schedule['kind']

export const scheduleNames = [
  'constant',
  'step',
  'multistep',
  'exponential',
  'inverse',
  'plateau',
  'cosine',
  'restarts',
  'polynomial',
  'onecycle',
] as const satisfies readonly ScheduleName[]

/** Where a training stands before a step. */
export interface Moment {
  /** Steps done. */
  readonly step: number
  readonly stepsPerEpoch: number
  readonly epochs: number
  /** Epochs in which the rate rises to its base before the schedule begins. */
  readonly warmupEpochs: number
  /** Of each epoch done. */
  readonly validationLosses: readonly number[]
}

export interface RateNow {
  /** Of the base rate. */
  readonly multiplier: number
  /** Momentum instead of the one that was set. */
  readonly momentum?: number
}

/** Below this share of the base rate a plateau ends the training. */
const PLATEAU_END = 1e-3

/** What a schedule makes of the rate at a step. */
export function rateAt(schedule: Schedule, moment: Moment): RateNow {
  const { step, stepsPerEpoch, epochs, warmupEpochs } = moment
  const warmupSteps = warmupEpochs * stepsPerEpoch
  if (step < warmupSteps) return { multiplier: warmUp(step, warmupSteps) }
  const steps = Math.max(1, epochs * stepsPerEpoch - warmupSteps)
  const done = step - warmupSteps
  const progress = done / steps
  const length = steps / stepsPerEpoch
  const time = done / stepsPerEpoch
  switch (schedule.kind) {
    case 'constant':
      return { multiplier: 1 }
    case 'step':
      return { multiplier: stepDown(time, schedule.every ?? length / 3, schedule.factor ?? 0.1) }
    case 'multistep':
      return { multiplier: multistep(time, schedule.milestones ?? [length / 2, length * 0.75], schedule.factor ?? 0.1) }
    case 'exponential':
      return { multiplier: pow(schedule.factor ?? pow(0.01, 1 / length), time) }
    case 'inverse':
      return { multiplier: 1 / (1 + (schedule.strength ?? 9 / length) * time) }
    case 'plateau':
      return { multiplier: plateauMultiplier(schedule, moment) }
    case 'cosine':
      return { multiplier: cosine(progress, schedule.end ?? 0) }
    case 'restarts':
      return { multiplier: restarts(time, schedule.first ?? length / 7, schedule.growth ?? 2) }
    case 'polynomial':
      return { multiplier: pow(1 - Math.min(progress, 1), schedule.power ?? 1) }
    case 'onecycle':
      return oneCycle(done, steps, schedule.rise ?? 0.3)
  }
}

/** Why there is no point in going on, between two epochs; undefined when there is one. */
export function endOf(schedule: Schedule, moment: Moment): string | undefined {
  if (schedule.kind !== 'plateau' || plateauMultiplier(schedule, moment) >= PLATEAU_END) return undefined
  return 'the learning rate has fallen below a thousandth of what it was'
}

function plateauMultiplier(
  { factor = 0.5, patience = 2 }: Extract<Schedule, { kind: 'plateau' }>,
  { validationLosses, warmupEpochs }: Moment,
): number {
  return afterPlateaus(validationLosses.slice(Math.floor(warmupEpochs)), { factor, patience })
}

/** A straight line from `start` to 1; when left out, from the first step of as many as it takes to get there from 0. */
export function warmUp(step: number, steps: number, start = 1 / (steps + 1)): number {
  return start + ((1 - start) * step) / steps
}

/** Times `factor` whenever `every` has passed. */
export function stepDown(time: number, every: number, factor: number): number {
  return pow(factor, Math.floor(time / every))
}

/** Times `factor` at each milestone. */
export function multistep(time: number, milestones: readonly number[], factor: number): number {
  return pow(factor, milestones.filter((milestone) => milestone <= time).length)
}

/** Half a cosine, from 1 to `end`. @see Loshchilov & Hutter 2017, https://arxiv.org/abs/1608.03983 */
export function cosine(progress: number, end: number): number {
  return end + ((1 - end) * (1 + cos(Math.PI * Math.min(progress, 1)))) / 2
}

/** Cosines one after the other, each `growth` times as long as the one before. */
export function restarts(time: number, first: number, growth: number, end = 0): number {
  let [length, since] = [first, time]
  if (growth === 1) since %= length
  while (since >= length) {
    since -= length
    length *= growth
  }
  return cosine(since / length, end)
}

/** The rate begins at this share of its height, ends at that of the beginning, and momentum swings between these two. */
const ONE_CYCLE = { start: 1 / 25, end: 1e-4, momentum: { low: 0.85, high: 0.95 } }

/**
 * Up and down in two half cosines, PyTorch's numbers. @see Smith & Topin 2018, https://arxiv.org/abs/1708.07120
 * @param rise  share of the steps in which the rate rises
 */
export function oneCycle(step: number, steps: number, rise: number): Required<RateNow> {
  const top = rise * steps - 1
  const last = steps - 1
  const { start, end, momentum } = ONE_CYCLE
  if (top > 0 && step <= top) {
    const share = step / top
    return { multiplier: between(start, 1, share), momentum: between(momentum.high, momentum.low, share) }
  }
  const share = (step - top) / (last - top)
  return { multiplier: between(1, start * end, share), momentum: between(momentum.low, momentum.high, share) }
}

/** From one value to another along half a cosine. */
function between(from: number, to: number, progress: number): number {
  return to + ((from - to) * (1 + cos(Math.PI * progress))) / 2
}
