import type { ContentDigest } from './content-digest.ts'

/** One labelled picture. */
export interface Sample {
  /** Relative to the data folder, with '/'. A byte that is not UTF-8 stands as U+DC80..U+DCFF, as Python writes it. */
  readonly path: string
  /** Absolute, in the same writing. */
  readonly file: string
  /** Index into the class names. */
  readonly label: number
  /** What belongs together and is never divided between training and validation. */
  readonly group?: string
  /** How much it counts, where a manifest says so; 1 when absent. */
  readonly weight?: number
  /** Which contents the file has; null when it cannot be read, absent when nobody has looked. */
  readonly contents?: ContentDigest | null
}

/** A picture whose label is still a name. */
export interface LabelledFile extends Omit<Sample, 'label'> {
  readonly label: string
}

/** The labelled pictures of one place, before classes are compared and numbered. */
export interface LabelledFiles {
  /** By code point of the path. */
  readonly files: readonly LabelledFile[]
  readonly skipped: readonly Skipped[]
  readonly ignored: readonly Skipped[]
}

/** A file or folder that was left out, and why, in plain words. */
export interface Skipped {
  readonly path: string
  readonly reason: string
}

/** Pictures of one folder. */
export interface ImageSet {
  /** Absolute path of the folder. */
  readonly root: string
  /** By Unicode code point, exactly as the folders are named. */
  readonly classes: readonly string[]
  /** By code point of the path. */
  readonly samples: readonly Sample[]
  /** What looks like a picture and is not used. */
  readonly skipped: readonly Skipped[]
  /** What is no picture at all: hidden files, system files, other kinds of files. */
  readonly ignored: readonly Skipped[]
}

/** Pictures to learn from, to check with, and to report on at the end. */
export interface DataSplit {
  /** Absolute path of the data folder; of several the one that holds them all. */
  readonly root: string
  readonly classes: readonly string[]
  readonly train: readonly Sample[]
  readonly validation: readonly Sample[]
  readonly test: readonly Sample[]
  /** What looks like a picture and is not used, for whatever reason. */
  readonly skipped: readonly Skipped[]
  /** Those among them that cannot be used; the others were left out by choice. */
  readonly unusable: readonly Skipped[]
  readonly ignored: readonly Skipped[]
  /** What a person should know before trusting the result: copies in two parts, classes that are not checked. */
  readonly notes: readonly string[]
}
