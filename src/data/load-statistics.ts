/** What loading cost so far; filled by `loadBatches`, which adds to it. */
export interface LoadStatistics {
  /** Pictures decoded. */
  images: number
  /** Pictures that could not be. */
  bad: number
  /** Reading and decoding, summed over the pictures; several at a time count several times. */
  decodeMilliseconds: number
  /** Time in which at least one picture was being read or decoded. */
  busyMilliseconds: number
  /** Time in which the receiver of batches had to wait for one. */
  waitMilliseconds: number
}

/** Statistics at zero. */
export function noLoadStatistics(): LoadStatistics {
  return { images: 0, bad: 0, decodeMilliseconds: 0, busyMilliseconds: 0, waitMilliseconds: 0 }
}
