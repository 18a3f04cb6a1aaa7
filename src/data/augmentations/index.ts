import type { Augmentation } from './augmentation.ts'
import { light } from './light.ts'

export type { Augmentation, Draws } from './augmentation.ts'

/** Augmentations by the names of `--augment`. */
export const augmentations = {
  /** The evaluation transform, every time the same. */
  none: { frame: () => undefined },
  light,
} as const satisfies Record<string, Augmentation>

/** A name that `--augment` understands. */
export type AugmentationName = keyof typeof augmentations
