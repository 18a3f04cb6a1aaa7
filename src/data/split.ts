import { createHash } from 'node:crypto'
import { breathing } from '../breath.ts'
import { compareCodePoints } from '../files/folder.ts'
import type { Sample } from './sample.ts'

/** Samples to learn from and samples to check with, both in their former order. */
export interface Split {
  readonly train: readonly Sample[]
  readonly validation: readonly Sample[]
}

/** Which pictures validate: those whose draw lies in [from, to). */
export interface DrawRange {
  readonly from: number
  readonly to: number
}

/**
 * Divides samples by draws from 0 to 1. A draw depends on the seed and on the picture's contents alone (or on its group, where it
 * has one), so copies stay together, and adding or renaming files moves no other. The share of each class is met as chance allows.
 * Two exceptions keep small sets usable: a class that would have nothing to learn from keeps the unit of its largest draw, and when
 * nothing at all would validate, each class gives the unit of its smallest draw. A unit is a group, or all copies of a picture.
 * Of samples whose contents could not be read the path decides.
 */
export async function splitByDraw(samples: readonly Sample[], validation: DrawRange, seed: number): Promise<Split> {
  if (validation.to <= validation.from) return { train: samples, validation: [] }
  const draws = new Map<string, number>()
  const classes = new Map<number, ClassUnits>()
  const units: string[] = []
  const breath = breathing()
  for (const sample of samples) {
    const unit = unitOf(sample)
    const draw = draws.get(unit) ?? drawOf(unit, seed)
    draws.set(unit, draw)
    units.push(unit)
    note(classes, sample.label, unit, draw, draws)
    if (breath.due()) await breath.pause()
  }
  const validating = new Set<string>()
  for (const [unit, draw] of draws) {
    if (draw >= validation.from && draw < validation.to) validating.add(unit)
    if (breath.due()) await breath.pause()
  }
  keepForTraining(classes, validating, draws, validation)
  if (validating.size === 0) {
    for (const { smallest, largest } of classes.values()) if (smallest !== largest) validating.add(smallest)
    for (const { largest } of classes.values()) validating.delete(largest)
  }
  const copies = validating.size === 0 ? oneCopyOfEach(samples) : undefined
  const train: Sample[] = []
  const chosen: Sample[] = []
  for (const [position, sample] of samples.entries()) {
    const validates = copies ? copies.has(sample) : validating.has(units[position] ?? '')
    if (validates) chosen.push(sample)
    else train.push(sample)
    if (breath.due()) await breath.pause()
  }
  return { train, validation: chosen }
}

/**
 * The number of the fold, from 0, in which a sample validates.
 * @param folds  how many there are
 */
export function foldOf(sample: Sample, folds: number, seed: number): number {
  const draw = drawOf(unitOf(sample), seed)
  // By the bounds of `DrawRange`, whatever the product is rounded to.
  let fold = Math.floor(draw * folds)
  if (draw < fold / folds) fold -= 1
  if (draw >= (fold + 1) / folds) fold += 1
  return fold
}

/** What is drawn for: a group, or all copies of a picture. */
function unitOf({ group, contents, path }: Sample): string {
  if (group !== undefined) return `group ${group}`
  return contents ? `contents ${contents.sha256}` : `path ${path}`
}

/** What is to be known of a class. */
interface ClassUnits {
  /** Units of the smallest and the largest draw. */
  smallest: string
  largest: string
}

function note(
  classes: Map<number, ClassUnits>,
  label: number,
  unit: string,
  draw: number,
  draws: ReadonlyMap<string, number>,
): void {
  const known = classes.get(label)
  if (known === undefined) {
    classes.set(label, { smallest: unit, largest: unit })
    return
  }
  if (draw < (draws.get(known.smallest) ?? 0)) known.smallest = unit
  if (draw > (draws.get(known.largest) ?? 0)) known.largest = unit
}

/** All units of a class validate where those of its smallest and largest draw do. */
function keepForTraining(
  classes: ReadonlyMap<number, ClassUnits>,
  validating: Set<string>,
  draws: ReadonlyMap<string, number>,
  { from, to }: DrawRange,
): void {
  const validates = (unit: string) => {
    const draw = draws.get(unit) ?? 0
    return draw >= from && draw < to
  }
  for (const { smallest, largest } of classes.values()) {
    if (validates(smallest) && validates(largest)) validating.delete(largest)
  }
}

/** Where each class is copies of one picture, one of them is all that there is to check with. Groups are never torn. */
function oneCopyOfEach(samples: readonly Sample[]): Set<Sample> {
  const byLabel = new Map<number, Sample[]>()
  for (const sample of samples) {
    const ofClass = byLabel.get(sample.label)
    if (ofClass) ofClass.push(sample)
    else byLabel.set(sample.label, [sample])
  }
  const chosen = [...byLabel.values()].flatMap((ofClass) => {
    const [first] = ofClass.toSorted((a, b) => compareCodePoints(a.path, b.path))
    return ofClass.length > 1 && first !== undefined && first.group === undefined ? [first] : []
  })
  return new Set(chosen)
}

/** A number from 0 up to but without 1. */
function drawOf(unit: string, seed: number): number {
  return createHash('sha256').update(`${seed}\n${unit}`).digest().readUIntBE(0, 6) / 2 ** 48
}
