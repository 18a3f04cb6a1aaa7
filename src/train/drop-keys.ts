// What decides what a step leaves out at random: numbers drawn for each picture by its place in the epoch, and for the step. They do not
// depend on how a step is cut into parts, nor on where a training was stopped.
import { randomStream } from '../random.ts'
import type { Runner } from '../runtime/runner.ts'
import type { TrainingBatch } from './step.ts'

export interface KeyAddress {
  readonly seed: number
  readonly epoch: number
  /** Pictures of the epoch that are passed already; a step begins there. */
  readonly from: number
  /** Pictures of a step. */
  readonly stepPictures: number
}

/** Batches that write their keys too, where the runner they are written into leaves something out. */
export async function* withKeys(
  batches: AsyncIterable<TrainingBatch>,
  runner: Runner,
  { seed, epoch, from, stepPictures }: KeyAddress,
): AsyncGenerator<TrainingBatch> {
  let at = from
  for await (const batch of batches) {
    const first = at
    at += batch.labels.length
    yield {
      ...batch,
      write(into = runner, pictures = batch.labels.length) {
        batch.write(into, pictures)
        if (!into.keyed) return
        const keys = new Uint32Array(2 * pictures)
        for (let picture = 0; picture < pictures; picture++)
          keys.set(pair({ seed, epoch, sample: first + picture, purpose: 'left out of a picture' }), 2 * picture)
        const step = Math.floor(first / stepPictures)
        into.writeKeys(keys, pair({ seed, epoch, sample: step, purpose: 'left out of a step' }))
      },
    }
  }
}

function pair(address: Parameters<typeof randomStream>[0]): Uint32Array {
  const random = randomStream(address)
  return Uint32Array.of(random.uint32(), random.uint32())
}
