// Steps at a rate that rises by orders of magnitude, and what their losses say of it.
import { throwIfAborted } from '../errors.ts'
import { pow } from '../exact-math.ts'
import type { Updater } from '../optim/updater.ts'
import type { FitOptions } from './fit.ts'
import { gatherGradient, type StepOptions, type TrainingBatch } from './step.ts'

export interface SweepOptions extends StepOptions {
  readonly updater: Updater
  readonly batches: FitOptions['batches']
  /** Of an epoch. */
  readonly pictures: number
  /** Of a step. */
  readonly stepPictures: number
  readonly from: number
  readonly to: number
  readonly steps: number
  readonly onStep?: (done: number, point: SweepPoint) => void
}

/** The loss of a step, before it was made at this rate. */
export interface SweepPoint {
  readonly rate: number
  readonly loss: number
}

/** A loss so many times that of the first step has exploded. */
const EXPLODED = 4

/**
 * Makes steps with the rate rising evenly on a logarithmic scale. It ends early where the loss has exploded or is no number.
 * @throws the reason of the signal
 */
export async function sweepRates(options: SweepOptions): Promise<readonly SweepPoint[]> {
  const { updater, from, to, steps, signal } = options
  const points: SweepPoint[] = []
  const ratio = pow(to / from, 1 / Math.max(1, steps - 1))
  let rate = from
  for (let epoch = 1; points.length < steps; epoch++) {
    const batches: AsyncIterator<TrainingBatch> = options.batches(epoch, 0, signal)[Symbol.asyncIterator]()
    try {
      for (let passed = 0; passed < options.pictures && points.length < steps; ) {
        throwIfAborted(signal)
        const pictures = Math.min(options.stepPictures, options.pictures - passed)
        const { loss, gradientNorm } = await gatherGradient(batches, pictures, options)
        passed += pictures
        const point = { rate, loss }
        points.push(point)
        options.onStep?.(points.length, point)
        const first = points[0]?.loss ?? loss
        if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm) || loss > EXPLODED * first) {
          await updater.discard()
          return points
        }
        updater.setStep(rate, points.length - 1)
        await updater.update()
        rate *= ratio
      }
    } finally {
      await batches.return?.()
    }
  }
  return points
}

export interface RateThreshold {
  /** The losses with their neighbours' mean; NaN where one is not finite. */
  readonly smoothed: readonly number[]
  /** The last rate before the cost rises; undefined where it never does. */
  readonly threshold: number | undefined
  /** What happens beyond it. */
  readonly beyond: 'explodes' | 'oscillates' | 'nothing'
  /** The rate at which the cost was halfway down to its least; undefined where it never fell. */
  readonly halfway: number | undefined
}

/** Neighbours on each side that are taken together. */
const NEIGHBOURS = 2
/** The cost rises when it is above its least by more than this share of the fall so far, and by more than so many deviations. */
const RISE = 0.2
const DEVIATIONS = 6
/** Share of the first loss that is a fall. */
const FALL = 0.05
/** Steps at the beginning, whose mean the fall is measured from, and whose spread is the noise of batches. */
const BEGINNING = 20

/** Finds the rate from which on the cost rises, because steps oscillate or explode. */
export function thresholdOf(points: readonly SweepPoint[]): RateThreshold {
  const smoothed = points.map((_, at) => mean(points.slice(Math.max(0, at - NEIGHBOURS), at + NEIGHBOURS + 1)))
  const beginning = points.slice(0, BEGINNING)
  const first = mean(beginning)
  const spread = Math.sqrt(mean(beginning.map(({ rate, loss }) => ({ rate, loss: (loss - first) ** 2 }))))
  const noise = (DEVIATIONS * spread) / Math.sqrt(2 * NEIGHBOURS + 1)
  let best = 0
  let rise: number | undefined
  for (const [at, value] of smoothed.entries()) {
    const least = smoothed[best] ?? Number.NaN
    if (value < least) best = at
    // Written so that NaN is a rise.
    if (value <= least + Math.max(RISE * (first - least), noise)) continue
    rise = at
    break
  }
  const explodes = !((points.at(-1)?.loss ?? Number.NaN) <= first)
  const fall = first - (smoothed[best] ?? Number.NaN)
  // The last time above the middle: noise may have crossed it before.
  const above = smoothed.slice(0, best + 1).findLastIndex((value) => value > first - fall / 2)
  return {
    smoothed,
    threshold: rise === undefined ? undefined : points[Math.max(0, rise - 1)]?.rate,
    beyond: rise === undefined ? 'nothing' : explodes ? 'explodes' : 'oscillates',
    halfway: fall > Math.max(FALL * first, noise) ? points[Math.min(above + 1, best)]?.rate : undefined,
  }
}

/** How many times as far as the middle of the fall a training should come. */
const TRAVEL = 50

/**
 * The rate at which a training of so many steps, along half a cosine, comes TRAVEL times as far as the sweep came until the cost was halfway
 * down, the way being the sum of the rates: a short training needs larger steps than a long one. Never more than half of the threshold, nor
 * less than a tenth of the rate halfway down. Where the cost never fell, half of the threshold.
 * @returns undefined where nothing happened
 */
export function suggestedRate(
  points: readonly SweepPoint[],
  { threshold, halfway }: Pick<RateThreshold, 'threshold' | 'halfway'>,
  steps: number,
): number | undefined {
  const most = threshold === undefined ? undefined : threshold / 2
  if (halfway === undefined) return most
  const way = points.reduce((sum, { rate }) => (rate <= halfway ? sum + rate : sum), 0)
  const meanRate = (TRAVEL * way) / Math.max(1, steps)
  return Math.min(most ?? Number.POSITIVE_INFINITY, Math.max(halfway / 10, 2 * meanRate))
}

function mean(points: readonly SweepPoint[]): number {
  return points.reduce((sum, { loss }) => sum + loss, 0) / points.length
}
