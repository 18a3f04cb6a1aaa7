// What an architecture file gives: functions that build graphs, and the facts that no weight file holds.
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
  /** timm's name, or torchvision's where timm does not have the network. */
  readonly name: string
  /** Name of the classifier layer, as there. */
  readonly classifier: string
  /** Name of the first convolution, as there. */
  readonly firstConvolution: string
  /** Whether the classifier is no linear layer over the features: then a new head is put beside it, not in its place. */
  readonly ownHead?: boolean
  /** The argument among timm's `model_args` that tells the size of the pictures, where weights depend on it. */
  readonly sizeArgument?: string
  /** Length of the feature vector. */
  readonly features: number
  readonly build: (options: ArchitectureOptions) => Graph
  /** The same network in torchvision, where it has other names there. */
  readonly torchvision?: ForeignNames
}

/** How others name the tensors of a network. */
export interface ForeignNames {
  /** Their modules, or tensors, and what they are called here. */
  readonly names: ReadonlyMap<string, string>
  /** `model_args` that make it their network. */
  readonly args?: Readonly<Record<string, unknown>>
}

/** Networks that one file builds. */
export interface Family {
  /** Names to suggest. */
  readonly names: readonly string[]
  /** Other names by which weights are recognised. */
  readonly moreNames?: readonly string[]
  /** The architecture of a name; undefined when it is of another family. */
  named(name: string): Architecture | undefined
}

/** A family of which every network stands in a table, by its name or by another one for the same. */
export function familyOf<V>(
  variants: Readonly<Record<string, V>>,
  make: (name: string, variant: V) => Architecture,
  otherNames: Readonly<Record<string, string>> = {},
): Family {
  return {
    names: Object.keys(variants),
    named(asked) {
      const name = Object.hasOwn(otherNames, asked) ? (otherNames[asked] ?? asked) : asked
      const variant = Object.hasOwn(variants, name) ? variants[name] : undefined
      return variant === undefined ? undefined : make(name, variant)
    },
  }
}
