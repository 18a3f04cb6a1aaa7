// What searches and learning curves give.
import type { TrainResult } from '../options.ts'
import type { Settings } from './space.ts'
import type { TrialScore } from './trials.ts'

/** One setting and what came of it. */
export interface Trial extends TrialScore {
  readonly number: number
  readonly stage: 'coarse' | 'fine' | 'random' | 'halving'
  readonly settings: Settings
  /** It ended with all epochs, so that it can be chosen. */
  readonly full: boolean
}

export interface TuneResult extends TrainResult {
  /** In the order in which they were made. */
  readonly trials: readonly Trial[]
  readonly chosen: Trial
  /** The same as a trial of the settings that hold when nobody says. */
  readonly usual: TrialScore
  readonly varied: readonly string[]
}

/** A head from part of the training pictures; means over the draws. */
export interface CurvePoint {
  readonly share: number
  readonly images: number
  readonly trainAccuracy: number
  readonly valAccuracy: number
  readonly valLoss: number | null
}
