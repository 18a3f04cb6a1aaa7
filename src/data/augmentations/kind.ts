import type { RandomStream } from '../../random.ts'
import type { Change } from '../change-pixels.ts'
import type { Frame } from '../frame.ts'
import type { PictureAtHand } from './augmentation.ts'
import type { Fields, ValuesOf } from './fields.ts'
import type { Matrix } from './matrix.ts'

/** One thing that happens to a picture. */
export type Effect =
  | { readonly frame: Omit<Frame, 'flip'> }
  /** Left to right. */
  | { readonly mirror: true }
  /** Where each pixel comes from, counted from the middle of the picture, and what lies outside; neighbours become one. */
  | { readonly warp: Matrix; readonly outside: Outside }
  | { readonly change: Change }

/** As numbers of a change: what lies outside (colour 0, edge 1, reflect 2), then red, green, blue. */
export type Outside = readonly [number, number, number, number]

/** An augmentation that can be named. */
export interface AugmentationKind<F extends Fields = Fields> {
  readonly name: string
  /** What it does, in a few words. */
  readonly help: string
  /** Its names in torchvision, timm and albumentations, where they differ. */
  readonly alsoKnownAs?: readonly string[]
  readonly fields: F
  /** The option that a value without a name is for; the probability when left out. */
  readonly main?: keyof F & string
  /** How often it happens when nothing is said. */
  readonly probability: number
  /** What its draws are for; its name when left out. */
  readonly purpose?: string
  /** Cuts from the picture as it is stored, so nothing comes before it. */
  readonly first?: boolean
  effects(options: ValuesOf<F>, stream: RandomStream, picture: PictureAtHand): readonly Effect[]
}

/** Checks the types of one kind against each other, and forgets them: readers know only that fields read what effects take. */
export function defineKind<const F extends Fields>(kind: AugmentationKind<F>): AugmentationKind {
  return kind as unknown as AugmentationKind
}
