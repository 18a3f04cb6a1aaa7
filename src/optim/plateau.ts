// Lowering the rate when a measure no longer gets better.

export interface PlateauOptions {
  readonly factor: number
  /** Epochs without a better value that are put up with. */
  readonly patience: number
  /** How much better a value has to be, relative to the best one or absolute. */
  readonly threshold?: number
  readonly thresholdMode?: 'relative' | 'absolute'
  /** Whether lower or higher is better. */
  readonly better?: 'lower' | 'higher'
  /** Epochs after a lowering in which none is counted. */
  readonly cooldown?: number
  /** The multiplier falls no lower. */
  readonly least?: number
}

/**
 * The multiplier of the rate after these values, one an epoch: PyTorch's rule, ReduceLROnPlateau.
 * It is a function of all values so far, so there is no state to keep.
 */
export function afterPlateaus(values: readonly number[], options: PlateauOptions): number {
  const { factor, patience, threshold = 1e-4, thresholdMode = 'relative', better = 'lower' } = options
  const { cooldown = 0, least = 0 } = options
  const sign = better === 'lower' ? 1 : -1
  const isBetter = (value: number, best: number): boolean => {
    const margin = thresholdMode === 'relative' ? Math.abs(best) * threshold : threshold
    // Infinity less a share of it is not a number.
    return Number.isFinite(best) ? sign * value < sign * best - margin : true
  }
  let multiplier = 1
  let best = sign * Number.POSITIVE_INFINITY
  let bad = 0
  let resting = 0
  for (const value of values) {
    if (isBetter(value, best)) {
      best = value
      bad = 0
    } else bad++
    if (resting > 0) {
      resting--
      bad = 0
    }
    if (bad > patience) {
      multiplier = Math.max(multiplier * factor, least)
      resting = cooldown
      bad = 0
    }
  }
  return multiplier
}
