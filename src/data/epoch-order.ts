import { randomStream } from '../random.ts'

/** The numbers 0 … count - 1 in the order of an epoch: another for each epoch, the same for the same seed. */
export function epochOrder(count: number, seed: number, epoch: number): Uint32Array {
  return randomStream({ seed, epoch, purpose: 'epoch order' }).permutation(count)
}
