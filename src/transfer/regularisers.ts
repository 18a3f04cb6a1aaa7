// What training leaves out at random, as the options say.
import type { Dropping } from '../graph/dropping.ts'
import type { TrainConfig } from './train-defaults.ts'

/** What is left out of a network in training. */
export function droppingOf({ dropout }: Pick<TrainConfig, 'dropout'>): Dropping {
  return { dropout }
}

/** The same configuration without regularisers: what a network can do at all shows without them. */
export function withoutRegularisers(config: TrainConfig): TrainConfig {
  return { ...config, dropout: 0 }
}
