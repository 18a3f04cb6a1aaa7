import type { Runner } from '../runtime/runner.ts'
import type { LabelledOutputs } from '../train/classification.ts'
import type { TrainingBatch } from '../train/step.ts'
import type { BothVectors, FeaturePass } from './train-vectors.ts'

/** A network in the memory of the engine, to be trained on pictures and validated: as a whole, or cut where its frozen part ends. */
export interface PictureNetwork {
  /** What trains, planned with gradients. */
  readonly training: Runner
  /** What is kept of each picture, and how much of it at most; absent when each is computed each time. */
  readonly cache?: { readonly entryBytes: number; readonly mostBytes: number }
  /** The features with the weights of before training. */
  readonly features: FeaturePass
  /**
   * Batches of an epoch in its order, whole or in parts.
   * @param from  good pictures of the epoch that are passed already
   */
  batches(
    epoch: number,
    from: number,
    pictures: BothVectors,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<TrainingBatch>
  /** What the weights as they are now make of the validation pictures. */
  validate(pictures: BothVectors, signal: AbortSignal | undefined): Promise<LabelledOutputs>
  close(): void
}
