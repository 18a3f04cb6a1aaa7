import type { ThingName } from './things.ts'

/**
 * How hard the pictures are, in one place, and how many. Harder for all: less `contrast`, more `noise` and `clutter`. Harder for whoever
 * compares pixels by position: wider `size`, `turn`, `shift`. The demo's three accuracies judge the choice.
 */
export const difficulty = {
  /** What is drawn: the classes. */
  things: ['aeroplane', 'bicycle', 'bird', 'boat', 'car', 'cat', 'fish', 'house'] as readonly ThingName[],
  /** Pictures of each. */
  counts: { train: 32, val: 10, unseen: 20 },
  /** Side of a picture in pixels. */
  side: 96,
  /** The thing's extent as a share of the picture's side. */
  size: [0.75, 0.97],
  /** Largest rotation, degrees either way. */
  turn: 12,
  /** Largest shear, and change of the ratio of width to height. */
  shear: 0.1,
  stretch: 0.1,
  /** Share of the room around the thing that its place may use, 0…1. */
  shift: 1,
  /** Least difference in luma between thing and ground, of 1. */
  contrast: 0.4,
  /** How far the ground's parts differ in luma among each other, either way. */
  groundSpread: 0.06,
  /** Most strokes and spots on a cluttered ground. */
  clutter: 6,
  /** Largest standard deviation of noise, in levels of 255. */
  noise: 6,
  /** Largest blur, pixels. */
  blur: 1,
  /** Largest darkening from one side to the other. */
  shade: 0.25,
} as const
