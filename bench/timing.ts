// Time is taken in turns, A B C A B C …, so that whatever else the machine does meets all alike; ratios are those within one round.
import { setTimeout as wait } from 'node:timers/promises'
import type { Contestant } from './contestants.ts'

/** Of an uneven number of values the middle one. */
export interface Statistic {
  readonly median: number
  readonly lowest: number
  readonly highest: number
}

/** A turn takes at least this long, so that short work is done many times. */
const TURN_SECONDS = 0.04
const WARM_UP_SECONDS = 0.4
/** In the pause after a turn threads come to rest. */
const PAUSE_MS = 5

/** @returns seconds per call, by contestant and round */
export async function inTurns(contestants: readonly Contestant[], rounds: number): Promise<number[][]> {
  for (const contestant of contestants) {
    await contestant.time(WARM_UP_SECONDS)
    await wait(contestant.entrant.restMs ?? PAUSE_MS)
  }
  const seconds = contestants.map((): number[] => [])
  for (let round = 0; round < rounds; round++) {
    for (const [at, contestant] of contestants.entries()) {
      const timed = await contestant.time(TURN_SECONDS)
      seconds[at]?.push(timed.seconds / timed.calls)
      await wait(contestant.entrant.restMs ?? PAUSE_MS)
    }
  }
  return seconds
}

export function statistic(values: readonly number[]): Statistic {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length / 2
  const at = (index: number) => sorted[index] ?? Number.NaN
  return {
    median: Number.isInteger(middle) ? (at(middle - 1) + at(middle)) / 2 : at(Math.floor(middle)),
    lowest: at(0),
    highest: at(sorted.length - 1),
  }
}

/** Round by round, a over b. */
export function ratios(a: readonly number[], b: readonly number[]): number[] {
  return a.map((value, round) => value / (b[round] ?? Number.NaN))
}
