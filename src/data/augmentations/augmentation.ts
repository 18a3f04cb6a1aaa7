import type { RandomStream } from '../../random.ts'
import type { Frame } from '../frame.ts'

/** Which draws an augmentation makes from: one stream per purpose, so that adding one never moves another. */
export type Draws = (purpose: string) => RandomStream

/** Changes a training picture a little, differently in each epoch, by draws that depend on nothing but the seed. */
export interface Augmentation {
  /** What is cut out of a picture of this size; undefined: the whole evaluation transform, unchanged. */
  frame(imageWidth: number, imageHeight: number, draws: Draws): Frame | undefined
}
