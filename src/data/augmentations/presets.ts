import { type AugmentEntry, type AugmentInput, completeEntries } from './entries.ts'

/**
 * light: a crop of at least half the picture, mirrored every second time: enough variety for a few hundred photos, without cutting the
 * subject away as ImageNet's crops from 8 % do.
 */
const light: readonly AugmentInput[] = [{ randomResizedCrop: [0.5, 1] }, 'horizontalFlip']

const medium: readonly AugmentInput[] = [
  { randomResizedCrop: [0.35, 1] },
  'horizontalFlip',
  { rotate: { degrees: 10, p: 0.5 } },
  { brightness: 0.2 },
  { contrast: 0.2 },
  { saturation: 0.2 },
  { hue: 0.02 },
]

const strong: readonly AugmentInput[] = [
  { randomResizedCrop: [0.25, 1] },
  'horizontalFlip',
  { randAugment: { numOps: 2, magnitude: [0, 15] } },
  { cutout: { size: [0.1, 0.4], p: 0.5 } },
]

/** Lists of augmentations by the names of `--augment`. */
export const augmentPresets = {
  light: completeEntries(light, 'light'),
  medium: completeEntries(medium, 'medium'),
  strong: completeEntries(strong, 'strong'),
} as const satisfies Record<string, readonly AugmentEntry[]>

export type AugmentPreset = keyof typeof augmentPresets
