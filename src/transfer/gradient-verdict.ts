// What a relative error of a gradient means. The limits are those of the CS231n notes on gradient checks; they grow with depth, since
// each layer on the way back adds its own rounding.

export type Verdict =
  /** Under 1e-7. */
  | 'excellent'
  /** Under 1e-4: as near as float32 and kinks allow. */
  | 'acceptable'
  | 'suspicious'
  /** Above 1e-2. */
  | 'wrong'
  /** There is no gradient to speak of on either side, as of a bias in front of a batch norm. */
  | 'no gradient'
  /** Every coordinate that was tried crossed a kink, or the gradient is so small that the difference is rounding. */
  | 'not judged'

const EXCELLENT = 1e-7
const ACCEPTABLE = 1e-4
const WRONG = 1e-2
/** Layers with weights from the loss down to a parameter for which the limits hold as they are. */
const DEPTH_OF_LIMITS = 25
/** How far from the reference the kernels' rounding may lead, in multiples of what storing in float32 does by itself. */
const ROUNDINGS = 50

/** What is known of one parameter. */
export interface Evidence {
  /** Relative to the larger of the two norms; NaN where nothing could be compared. */
  readonly error: number
  /** Relative rounding of the differences that it is compared with. */
  readonly noise: number
  /** Layers with weights on the longest way from the loss. */
  readonly depth: number
  /** With batch statistics: what float32 does to this tensor. */
  readonly rounded?: {
    /** Relative distance of the kernels' gradient from the reference's own. */
    readonly drift: number
    /** The same of the reference when it stores in float32. */
    readonly rounding: number
  }
}

/** The factor by which limits are looser at a depth. */
export function loosening(depth: number): number {
  return Math.max(1, depth / DEPTH_OF_LIMITS)
}

export function verdictOn({ error, noise, depth, rounded }: Evidence): Verdict {
  if (Number.isNaN(error)) return 'not judged'
  const loose = loosening(depth)
  if (error < EXCELLENT) return 'excellent'
  if (error < ACCEPTABLE * loose) return 'acceptable'
  // Batch statistics of few pictures make rounding large; then it is judged by what rounding must do here.
  const byRounding = rounded !== undefined && error < 3 * rounded.drift && rounded.drift < ROUNDINGS * rounded.rounding
  if (byRounding) return 'acceptable'
  if (noise > ACCEPTABLE && error < 3 * noise) return 'not judged'
  return error < WRONG * loose ? 'suspicious' : 'wrong'
}

export function isGood(verdict: Verdict): boolean {
  return verdict !== 'suspicious' && verdict !== 'wrong'
}
