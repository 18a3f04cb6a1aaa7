import type { RandomStream } from '../../random.ts'
import type { Change } from '../change-pixels.ts'
import type { Frame } from '../frame.ts'

/** Which draws an augmentation makes from: one stream per purpose, so that adding one never moves another. */
export type Draws = (purpose: string) => RandomStream

/** What an augmentation knows of a picture before it decides. */
export interface PictureAtHand {
  /** Pixels of the upright picture as it is stored. */
  readonly imageWidth: number
  readonly imageHeight: number
  /** Pixels of the network's input. */
  readonly width: number
  readonly height: number
  /** Of the model's channels R, G, B, on the scale 0..1. */
  readonly mean: readonly [number, number, number]
}

/** What becomes of a picture. */
export interface PicturePlan {
  /** What is cut out; undefined: the whole evaluation transform, unchanged. */
  readonly frame: Frame | undefined
  /** Made after that, at the network's size, in this order. */
  readonly changes: readonly Change[]
}

/** Changes a training picture a little, differently in each epoch, by draws that depend on nothing but the seed. */
export interface Augmentation {
  /** Says all that decides what it does, for keys of caches. */
  readonly key: string
  plan(picture: PictureAtHand, draws: Draws): PicturePlan
}
