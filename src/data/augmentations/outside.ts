import { roundHalfToEven } from '../preprocessing.ts'
import type { PictureAtHand } from './augmentation.ts'
import { oneOf } from './fields.ts'
import type { Outside } from './kind.ts'

/** What fills the place that a picture leaves when it is moved: the model's mean colour, black, white, its edge, or its mirror image. */
export const fills = ['mean', 'black', 'white', 'edge', 'reflect'] as const
export type Fill = (typeof fills)[number]

/** The field `fill` of whatever moves pixels. */
export const fillField = oneOf<Fill>('mean', fills)

export function outsideOf(fill: Fill, picture: PictureAtHand): Outside {
  switch (fill) {
    case 'edge':
      return [1, 0, 0, 0]
    case 'reflect':
      return [2, 0, 0, 0]
    default:
      return [0, ...colourOf(fill, picture)]
  }
}

export function colourOf(
  colour: 'mean' | 'black' | 'white',
  { mean }: PictureAtHand,
): readonly [number, number, number] {
  if (colour !== 'mean') return colour === 'black' ? [0, 0, 0] : [255, 255, 255]
  const byte = (value: number) => Math.min(255, Math.max(0, roundHalfToEven(255 * value)))
  return [byte(mean[0]), byte(mean[1]), byte(mean[2])]
}
