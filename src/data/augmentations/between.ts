import type { RandomStream } from '../../random.ts'

/** A number of a range, every one equally likely. */
export function between([low, high]: readonly [number, number], stream: RandomStream): number {
  return low + (high - low) * stream.uniform()
}
