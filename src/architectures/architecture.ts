// What an architecture file gives: a function that builds a graph, and the facts that no weight file holds.
import type { Graph } from '../graph/graph.ts'

export interface ArchitectureOptions {
  /** 0 builds the trunk alone, ending with its features. */
  readonly classes: number
  readonly height: number
  readonly width: number
  readonly mean: readonly [number, number, number]
  readonly std: readonly [number, number, number]
  /** timm's `model_args`, such as `pad_type` and `bn_eps`. */
  readonly args?: Readonly<Record<string, unknown>>
}

export interface Architecture {
  /** timm's name. */
  readonly name: string
  /** Name of the classifier layer, as timm has it. */
  readonly classifier: string
  /** Name of the first convolution, as timm has it. */
  readonly firstConvolution: string
  /** Length of the feature vector. */
  readonly features: number
  /** Whether timm registers this very name; others are written with the nearest registered name and `model_args`. */
  readonly build: (options: ArchitectureOptions) => Graph
}
