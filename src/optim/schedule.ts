// The learning rate over a training, as a multiplier of the base rate.
import { cos } from '../exact-math.ts'

/**
 * @param progress  fraction of the steps after warm-up that are done, 0…1
 * @returns         multiplier of the base rate
 */
export type Schedule = (progress: number) => number

export const schedules = {
  constant: () => 1,
  /** Half a cosine, from 1 to 0. @see Loshchilov & Hutter 2017, https://arxiv.org/abs/1608.03983 */
  cosine: (progress: number) => (1 + cos(Math.PI * progress)) / 2,
} satisfies Record<string, Schedule>

export type ScheduleName = keyof typeof schedules

/**
 * The multiplier at a step: rising in a straight line during warm-up, then as the schedule says.
 * @param step  steps done before this one
 */
export function rateMultiplier(schedule: Schedule, step: number, totalSteps: number, warmupSteps: number): number {
  if (step < warmupSteps) return (step + 1) / (warmupSteps + 1)
  return schedule((step - warmupSteps) / Math.max(1, totalSteps - warmupSteps))
}
