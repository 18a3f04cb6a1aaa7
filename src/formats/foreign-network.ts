import { RegraftError } from '../errors.ts'
import type { Graph } from '../graph/graph.ts'
import type { Checkpoint } from '../tensor/checkpoint.ts'

/** A network from a file that holds its graph beside its weights, in our form. */
export interface ForeignNetwork {
  readonly graph: Graph
  /** Its parameters by our names. */
  readonly checkpoint: Checkpoint
  /** Names of the outputs, where the file has them. */
  readonly labels: readonly string[] | undefined
  /** What the file says of its pictures; undefined where it says nothing. */
  readonly pictures: ForeignPictures | undefined
  /** What was chosen, assumed or left out, in sentences for people. */
  readonly remarks: readonly string[]
}

/** A file that is in order and whose network cannot be built here; its weights can be read all the same. */
export class UnsupportedNetworkError extends RegraftError {}

export interface ForeignPictures {
  readonly mean: readonly [number, number, number]
  readonly std: readonly [number, number, number]
  /** Share of the picture that is kept around its middle. */
  readonly cropPct: number
}
