import { colour } from './colour.ts'
import type { AugmentationKind } from './kind.ts'
import { policies } from './policies.ts'
import { quality } from './quality.ts'
import { space } from './space.ts'

/** All augmentations, in the order of the documents. */
export const augmentationKinds: readonly AugmentationKind[] = [...space, ...colour, ...quality, ...policies]
