/** The objective at one point of the line. */
export interface LinePoint {
  readonly step: number
  readonly value: number
  /** Derivative along the direction. */
  readonly slope: number
}

// Nocedal & Wright 2006, section 3.1: usual for quasi-Newton directions.
const enoughDecrease = 1e-4
const enoughFlattening = 0.9
const maxEvaluations = 25

/**
 * A step along a descent direction that fulfils the strong Wolfe conditions: the value falls enough and the slope
 * flattens. Values that differ by no more than `noise` count as equal; then the slope alone decides, because it
 * stays accurate near the minimum where the rounding of the value hides its decrease.
 * @param start  step 0, with a negative slope
 * @returns      undefined when no step makes progress
 * @see Nocedal & Wright 2006, Numerical Optimization, algorithms 3.5 and 3.6
 */
export async function searchLine<P extends LinePoint>(
  start: LinePoint,
  firstStep: number,
  noise: number,
  evaluate: (step: number) => Promise<P>,
): Promise<P | undefined> {
  // The best step so far, and the other end of the interval that holds a good one, once it is known.
  let low: LinePoint = start
  let lowPoint: P | undefined
  let high: LinePoint | undefined
  let step = firstStep
  for (let evaluation = 0; evaluation < maxEvaluations; evaluation++) {
    const point = await evaluate(step)
    const finite = Number.isFinite(point.value) && Number.isFinite(point.slope)
    const fellEnough = point.value <= start.value + enoughDecrease * step * start.slope
    const hidden = point.value <= start.value + noise
    if (finite && (fellEnough || hidden) && Math.abs(point.slope) <= -enoughFlattening * start.slope) return point

    if (!finite || !(fellEnough || hidden) || point.value > low.value + noise) {
      high = finite ? point : { step, value: Number.POSITIVE_INFINITY, slope: Number.NaN }
    } else {
      const towardsHigh = high === undefined ? 1 : high.step - low.step
      if (point.slope * towardsHigh >= 0) high = low
      low = point
      lowPoint = point
    }
    step = high === undefined ? 2 * step : between(low, high, noise)
    if (step === low.step || step === high?.step) break // the interval has no number left inside
  }
  return lowPoint !== undefined && lowPoint.value < start.value ? lowPoint : undefined
}

/** Where the minimum inside an interval probably is, kept away from its ends so that it shrinks for certain. */
function between(low: LinePoint, high: LinePoint, noise: number): number {
  const width = high.step - low.step
  const guess = Math.abs(high.value - low.value) <= noise ? secantFraction(low, high) : cubicFraction(low, high, width)
  const fraction = Number.isFinite(guess) ? Math.min(0.9, Math.max(0.1, guess)) : 0.5
  return low.step + fraction * width
}

/** Zero of the straight line through both slopes. */
function secantFraction(low: LinePoint, high: LinePoint): number {
  return low.slope / (low.slope - high.slope)
}

/** Minimum of the cubic through both values and slopes, as a fraction of the interval. */
function cubicFraction(low: LinePoint, high: LinePoint, width: number): number {
  const lowSlope = low.slope * width
  const highSlope = high.slope * width
  const chord = 3 * (low.value - high.value) + lowSlope + highSlope
  const root = Math.sqrt(chord * chord - lowSlope * highSlope)
  return 1 - (highSlope + root - chord) / (highSlope - lowSlope + 2 * root)
}
