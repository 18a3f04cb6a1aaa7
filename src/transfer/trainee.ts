// What stands ready to be trained step by step, and what comes out of it.
import type { Updater } from '../optim/updater.ts'
import type { WeightAverage } from '../optim/weight-average.ts'
import type { Parameter, ParameterStore } from '../runtime/parameters.ts'
import type { Runner } from '../runtime/runner.ts'
import type { HostTensor } from '../tensor/host-tensor.ts'
import type { Metrics } from '../train/classification.ts'
import type { Phase } from '../train/events.ts'
import type { FitOptions, FitResult } from '../train/fit.ts'
import type { TrainingBatch } from '../train/step.ts'

/** What trains, with all that training changes. */
export interface Trainee {
  readonly phase: Phase
  readonly runner: Runner
  readonly updater: Updater
  /** Of all that changes. */
  readonly average: WeightAverage | undefined
  readonly store: ParameterStore
  /** Weights and running statistics that change. */
  readonly changing: readonly Parameter[]
  /** `num_batches_tracked` of the batch norms; changed with each batch. */
  readonly counters: Map<string, number>
  /** Training pictures of an epoch. */
  readonly pictures: number
  readonly batches: FitOptions['batches']
  /** Training pictures to look at, for a monitor. */
  readonly probe: (signal: AbortSignal | undefined) => AsyncIterable<TrainingBatch>
  readonly validate: (signal: AbortSignal | undefined) => Promise<Metrics>
  /** The weights as they are now, in the form in which the best ones are kept. */
  readonly weights: () => Promise<ReadonlyMap<string, HostTensor>>
  /** Hears of better weights than all before. */
  readonly onBest?: (weights: ReadonlyMap<string, HostTensor>, counters: ReadonlyMap<string, number>) => Promise<void>
}

export interface Trained extends FitResult {
  /** Weights of the best epoch. */
  readonly best: ReadonlyMap<string, HostTensor>
  readonly bestCounters: ReadonlyMap<string, number>
}
