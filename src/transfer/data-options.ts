// What the verbs that look at data take and give.
import type { WorkOptions } from './options.ts'

/** Where pictures are, as `train` takes it. */
export interface DataOptions extends Pick<WorkOptions, 'signal' | 'listener'> {
  /** Fraction, folder, list file or manifest. */
  readonly val?: string
  readonly trainList?: string
  readonly test?: string
  readonly groupBy?: string
  readonly seed?: number
}

/** Something about a data set that a person should know. */
export interface DataProblem {
  /** error: a training would be harmed. warning: worth knowing. */
  readonly severity: 'error' | 'warning'
  readonly kind: ProblemKind
  readonly message: string
  /** The files that it is about. */
  readonly files: readonly string[]
}

export type ProblemKind =
  | 'layout'
  | 'unreadable'
  | 'copies-across-parts'
  | 'label-clash'
  | 'group-across-parts'
  | 'too-few'
  | 'left-out'
  | 'copies'
  | 'near-copies-across-parts'
  | 'near-copies'
  | 'tiny-class'
  | 'imbalance'
  | 'not-validated'
  | 'wrong-extension'
  | 'unnamed-picture'
  | 'small-pictures'
  | 'long-pictures'

export interface ClassReport {
  readonly name: string
  /** Pictures that can be used. */
  readonly train: number
  readonly validation: number
  readonly test: number
  readonly unreadable: number
}

/** Pictures that belong together for some reason. */
export interface PictureGroup {
  readonly files: readonly { readonly path: string; readonly label: string; readonly part: string }[]
}

/** What the pictures are, counted. */
export interface PictureFacts {
  readonly formats: Readonly<Record<string, number>>
  readonly colours: Readonly<Record<string, number>>
  /** Upright pixels: the smallest, the median and the largest of each side; null without a picture. */
  readonly width: readonly [number, number, number] | null
  readonly height: readonly [number, number, number] | null
  /** Turned upright by what EXIF says. */
  readonly turned: number
  readonly alpha: number
  /** More than 8 bits a channel. */
  readonly deep: number
  readonly profiles: number
  readonly animated: number
}

export interface DataReport {
  readonly data: readonly string[]
  /** Whether a training would be harmed. */
  readonly harmful: boolean
  readonly problems: readonly DataProblem[]
  readonly images: {
    readonly train: number
    readonly validation: number
    readonly test: number
    readonly unreadable: number
  }
  readonly classes: readonly ClassReport[]
  readonly facts: PictureFacts
  /** Files that cannot be used, and why. */
  readonly unreadable: readonly { readonly path: string; readonly reason: string }[]
  /** Files with the same bytes. */
  readonly copies: readonly PictureGroup[]
  /** Pictures that look the same. */
  readonly nearCopies: readonly PictureGroup[]
}

/** One file of `data stats --files`. */
export interface FileStats {
  readonly path: string
  readonly label: string | null
  readonly format: string | null
  /** Of the upright picture. */
  readonly width: number | null
  readonly height: number | null
  /** Means over all pixels after decoding, 0 to 255; null when it cannot be used. */
  readonly meanRgb: readonly [number, number, number] | null
  /** Size of the file. */
  readonly bytes: number | null
  readonly sha256: string | null
  /** Why it cannot be used. */
  readonly error: string | null
}

export interface DataStats {
  readonly images: number
  readonly unreadable: number
  readonly bytes: number
  readonly classes: readonly { readonly name: string; readonly images: number; readonly unreadable: number }[]
  readonly facts: PictureFacts
  /** Over all pixels of all pictures, each picture alike; 0 to 1. */
  readonly meanRgb: readonly [number, number, number] | null
  readonly stdRgb: readonly [number, number, number] | null
}

export interface DataSplitOptions extends DataOptions {
  /** Manifest to write, CSV or JSON Lines by its name. */
  readonly out: string
  readonly folds?: number
  readonly dedupe?: boolean
}

export interface DataSplitResult {
  readonly out: string
  readonly train: number
  readonly validation: number
  readonly test: number
  readonly leftOut: number
  readonly notes: readonly string[]
}
