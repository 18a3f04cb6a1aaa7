/** A share and how far it could be off: both ends in 0…1. */
export type Interval = readonly [number, number]

/** The normal distribution's 97.5 % point. */
const Z = 1.959963984540054

/**
 * Wilson's 95 % interval of a proportion (Wilson 1927): it stays within 0…1 and holds for few trials too.
 * @returns null without a trial
 */
export function wilson(hits: number, trials: number): Interval | null {
  if (trials === 0) return null
  const share = hits / trials
  const spread = (Z * Z) / trials
  const middle = (share + spread / 2) / (1 + spread)
  const half = (Z * Math.sqrt((share * (1 - share)) / trials + spread / (4 * trials))) / (1 + spread)
  // Exact at the ends, where rounding would leave a trace.
  return [hits === 0 ? 0 : middle - half, hits === trials ? 1 : middle + half]
}
