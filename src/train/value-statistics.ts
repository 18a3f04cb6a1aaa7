/** How values are spread. */
export interface ValueStatistics {
  readonly count: number
  readonly min: number
  readonly max: number
  readonly mean: number
  readonly deviation: number
  /** Share of values that are exactly zero. */
  readonly zeros: number
  /** Counts between `min` and `max`, in bins of equal width. */
  readonly bins: readonly number[]
}

const BINS = 30

/** @returns undefined where a value is not finite, or there is none */
export function statisticsOf(values: Float32Array): ValueStatistics | undefined {
  let min = Number.POSITIVE_INFINITY
  let max = Number.NEGATIVE_INFINITY
  let sum = 0
  let squares = 0
  let zeros = 0
  for (const value of values) {
    if (value < min) min = value
    if (value > max) max = value
    if (value === 0) zeros++
    sum += value
    squares += value * value
  }
  const count = values.length
  if (count === 0 || !Number.isFinite(squares)) return undefined
  const bins = new Array<number>(BINS).fill(0)
  const scale = max > min ? BINS / (max - min) : 0
  for (const value of values) {
    const bin = Math.min(BINS - 1, Math.floor((value - min) * scale))
    bins[bin] = (bins[bin] ?? 0) + 1
  }
  const mean = sum / count
  const deviation = Math.sqrt(Math.max(0, squares / count - mean * mean))
  return { count, min, max, mean, deviation, zeros: zeros / count, bins }
}

/** Channels of values [rows, channels] that are zero in every row. */
export function deadChannels(values: Float32Array, channels: number): number {
  const alive = new Uint8Array(channels)
  for (let at = 0; at < values.length; at++) if (values[at] !== 0) alive[at % channels] = 1
  return channels - alive.reduce((sum, one) => sum + one, 0)
}
