// Trainings that are stopped from outside, as a signal would.
import { RegraftError } from '../../src/errors.ts'
import type { WorkEvent } from '../../src/train/events.ts'
import type { TrainOptions } from '../../src/transfer/options.ts'
import { train } from '../../src/transfer/train.ts'

/** Trains until an event, and stops there. */
export async function interrupted(options: TrainOptions, at: (event: WorkEvent) => boolean): Promise<RegraftError> {
  const controller = new AbortController()
  const listener = (event: WorkEvent) => {
    options.listener?.(event)
    if (at(event)) controller.abort(new RegraftError('interrupted', 'Stopped by a test.'))
  }
  return await errorOf(train({ ...options, listener, signal: controller.signal }))
}

/** The error that a user would see. @throws when there is none, or a bug */
export async function errorOf(work: Promise<unknown>): Promise<RegraftError> {
  const error: unknown = await work.then(
    () => undefined,
    (reason) => reason,
  )
  if (!(error instanceof RegraftError)) throw new Error('this did not fail as it should', { cause: error })
  return error
}

export const afterEpoch = (epoch: number) => (event: WorkEvent) => event.type === 'epoch' && event.epoch === epoch

/** In the middle of an epoch. */
export const inEpoch = (phase: string, epoch: number) => (event: WorkEvent) =>
  event.type === 'progress' && event.phase === phase && event.done > epoch - 1 && event.done < epoch

/** What follows the last epoch. */
export const afterPhase = (phase: string) => (event: WorkEvent) => event.type === 'phaseEnd' && event.phase === phase

/** After the n-th step, counted from 1. */
export function afterStep(phase: string, n: number): (event: WorkEvent) => boolean {
  let steps = 0
  return (event) => event.type === 'progress' && event.phase === phase && ++steps === n
}
