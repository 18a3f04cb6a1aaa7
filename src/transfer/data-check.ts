// The verb `data check`: what about a data set would harm a training, told before one is begun.
import { join } from 'node:path'
import { exactDuplicates } from '../data/duplicates.ts'
import { inputImages } from '../data/expand-inputs.ts'
import { groupsAcrossParts } from '../data/groups.ts'
import { firstBytes } from '../data/image-bytes.ts'
import { extensionsOf, imageKind, unreadableExtensions } from '../data/image-kind.ts'
import { loadData } from '../data/load-data.ts'
import { nearDuplicates } from '../data/near-duplicates.ts'
import { factCounter } from '../data/picture-facts.ts'
import type { Sample, Skipped } from '../data/sample.ts'
import { survey } from '../data/survey.ts'
import { extensionOf, isJunk } from '../data/walk-files.ts'
import { RegraftError } from '../errors.ts'
import { inertName } from '../inert-text.ts'
import type { ClassReport, DataOptions, DataProblem, DataReport, PictureGroup, ProblemKind } from './data-options.ts'
import { validationChoice } from './validation-choice.ts'

/** Classes with fewer pictures to learn from are named. */
const FEW_PICTURES = 10
/** A class this many times the smallest one is called out of balance. */
const IMBALANCE = 10
/** Sides below this hold little that a network could see. */
const SMALL_SIDE = 32
/** Longer pictures lose most of themselves when they are cut square. */
const LONG_RATIO = 4
/** Files without a picture's name that are looked into. */
const MOST_UNNAMED = 10_000

/**
 * Reads every picture and compares all with all. What `train` would refuse becomes a problem of the report.
 * @param data  folders, manifests or lists, as `train` takes them
 * @throws RegraftError 'usage' for options that cannot be meant; 'data' when there is nothing at all to look at
 */
export async function checkData(data: readonly string[], options: DataOptions): Promise<DataReport> {
  const { signal, listener } = options
  const problems: DataProblem[] = []
  const tell = (
    severity: DataProblem['severity'],
    kind: ProblemKind,
    message: string,
    files: readonly string[] = [],
  ) => {
    problems.push({ severity, kind, message, files })
  }
  listener?.({ type: 'phase', phase: 'scan', total: 0, unit: 'images' })
  const found = await gather(data, options, tell)
  listener?.({ type: 'phaseEnd', phase: 'scan' })
  const { parts, classes } = found
  const items = Object.entries(parts).flatMap(([part, samples]) => samples.map((sample) => ({ part, sample })))
  const unreadable: { path: string; reason: string }[] = []
  for (const { path, reason } of found.skipped) {
    if (unreadableExtensions.has(extensionOf(path))) unreadable.push({ path, reason })
  }

  const counter = factCounter()
  const hashes = []
  const readable: boolean[] = []
  const misnamed: string[] = []
  const small: string[] = []
  const long: string[] = []
  listener?.({ type: 'phase', phase: 'check', total: items.length, unit: 'images' })
  for await (const looked of survey(
    items.map(({ sample }) => sample.file),
    signal,
  )) {
    const path = items[readable.length]?.sample.path ?? ''
    readable.push(looked.header !== undefined)
    if (looked.header === undefined) {
      hashes.push(undefined)
      unreadable.push({ path, reason: looked.reason })
    } else {
      hashes.push(looked.hash)
      counter.add(looked.header)
      const { kind, width, height } = looked.header
      if (!extensionsOf[kind].includes(extensionOf(path))) misnamed.push(`${path} (${kind})`)
      if (Math.min(width, height) < SMALL_SIDE) small.push(path)
      if (Math.max(width, height) > LONG_RATIO * Math.min(width, height)) long.push(path)
    }
    listener?.({ type: 'progress', phase: 'check', done: readable.length, total: items.length })
  }
  listener?.({ type: 'phaseEnd', phase: 'check' })

  const counts = countByClass(classes, items, readable)
  if (unreadable.length > 0) {
    tell(
      'error',
      'unreadable',
      `${pictures(unreadable.length)} cannot be used.`,
      unreadable.map(({ path }) => path),
    )
  }
  const others = found.skipped.filter(({ path }) => !unreadableExtensions.has(extensionOf(path)))
  if (others.length > 0) {
    const reasons = [...new Set(others.map(({ reason }) => reason))].slice(0, 3).join('; ')
    tell(
      'warning',
      'left-out',
      `${others.length} files or folders are left out: ${reasons}.`,
      others.map(({ path }) => path),
    )
  }
  tellAboutClasses(counts, parts, tell)

  const partOf = new Map(items.map(({ part, sample }) => [sample, part]))
  const described = (samples: readonly Sample[]): PictureGroup => ({
    files: samples.map((sample) => ({
      path: sample.path,
      label: classes[sample.label] ?? '',
      part: partOf.get(sample) ?? '',
    })),
  })
  const copies = (await exactDuplicates(items.map(({ sample }) => sample))).map(described)
  tellAboutCopies(copies, tell)
  const exact = new Map(copies.flatMap((group, at) => group.files.map(({ path }) => [path, at] as const)))
  const nearCopies = (await nearDuplicates(hashes, signal))
    .map(({ first, second }) => described([items[first], items[second]].flatMap((item) => item?.sample ?? [])))
    // Copies look the same, of course.
    .filter(
      ({ files: [a, b] }) =>
        exact.get(a?.path ?? '') === undefined || exact.get(a?.path ?? '') !== exact.get(b?.path ?? ''),
    )
  tellAboutNearCopies(nearCopies, tell)
  for (const message of groupsAcrossParts(parts)) tell('error', 'group-across-parts', message)

  if (misnamed.length > 0)
    tell('warning', 'wrong-extension', `${pictures(misnamed.length)} have the ending of another format.`, misnamed)
  const unnamed = await unnamedPictures(found.root, found.ignored)
  if (unnamed.length > 0) {
    tell(
      'warning',
      'unnamed-picture',
      `${pictures(unnamed.length)} are not named as pictures, so they are not seen.`,
      unnamed,
    )
  }
  if (small.length > 0)
    tell('warning', 'small-pictures', `${pictures(small.length)} have a side of less than ${SMALL_SIDE} pixels.`, small)
  if (long.length > 0) {
    tell(
      'warning',
      'long-pictures',
      `${pictures(long.length)} are more than ${LONG_RATIO} times as long as wide; most of them is cut away.`,
      long,
    )
  }
  problems.sort((a, b) => Number(b.severity === 'error') - Number(a.severity === 'error'))
  const total = (part: 'train' | 'validation' | 'test') => counts.reduce((sum, each) => sum + each[part], 0)
  return {
    data,
    harmful: problems.some(({ severity }) => severity === 'error'),
    problems,
    images: {
      train: total('train'),
      validation: total('validation'),
      test: total('test'),
      unreadable: unreadable.length,
    },
    classes: counts,
    facts: counter.facts(),
    unreadable,
    copies,
    nearCopies,
  }
}

type Tell = (severity: DataProblem['severity'], kind: ProblemKind, message: string, files?: readonly string[]) => void

interface Gathered {
  readonly root: string
  readonly parts: Readonly<Record<'train' | 'validation' | 'test', readonly Sample[]>>
  readonly classes: readonly string[]
  readonly skipped: readonly Skipped[]
  readonly ignored: readonly Skipped[]
}

/** The pictures as `train` would take them; if it would refuse, all that can be found, with the refusal as a problem. */
async function gather(data: readonly string[], options: DataOptions, tell: Tell): Promise<Gathered> {
  const { val, trainList, test, groupBy, signal } = options
  try {
    const {
      train,
      validation,
      test: tested,
      ...rest
    } = await loadData(data, {
      validation: validationChoice(val),
      otherwise: 0,
      trainList,
      test,
      groupBy,
      seed: options.seed ?? 0,
      emptyFolders: 'skip',
      signal,
    })
    return { parts: { train, validation, test: tested }, ...rest }
  } catch (error) {
    if (!(error instanceof RegraftError) || error.code !== 'data') throw error
    tell('error', 'layout', error.message, error.file === undefined ? [] : [error.file])
  }
  const samples: Sample[] = []
  const skipped: Skipped[] = []
  const labels = new Map<string, number>()
  for await (const { path, file, label = '', error } of inputImages(data, signal)) {
    if (error !== undefined) {
      skipped.push({ path, reason: error })
      continue
    }
    const known = labels.get(label) ?? labels.size
    labels.set(label, known)
    samples.push({ path, file, label: known })
  }
  if (samples.length === 0)
    throw new RegraftError('data', `There are no pictures in ${data.map((place) => inertName(place)).join(', ')}.`)
  return {
    root: '',
    parts: { train: samples, validation: [], test: [] },
    classes: [...labels.keys()],
    skipped,
    ignored: [],
  }
}

function countByClass(
  classes: readonly string[],
  items: readonly { readonly part: string; readonly sample: Sample }[],
  readable: readonly boolean[],
): ClassReport[] {
  const counts = classes.map((name) => ({ name, train: 0, validation: 0, test: 0, unreadable: 0 }))
  for (const [position, { part, sample }] of items.entries()) {
    const ofClass = counts[sample.label]
    if (ofClass === undefined) continue
    if (!readable[position]) ofClass.unreadable += 1
    else if (part === 'train' || part === 'validation' || part === 'test') ofClass[part] += 1
  }
  return counts
}

function tellAboutClasses(counts: readonly ClassReport[], parts: Gathered['parts'], tell: Tell): void {
  const named = (classes: readonly ClassReport[]) => {
    const shown = classes.slice(0, 5).map(({ name, train }) => `'${inertName(name, 100)}' (${train})`)
    return shown.join(', ') + (classes.length > 5 ? ` and ${classes.length - 5} more` : '')
  }
  const tooFew = counts.filter(({ train, validation }) => train + validation < 2 || train === 0)
  if (tooFew.length > 0)
    tell('error', 'too-few', `Fewer than two pictures of a class that can be used: ${named(tooFew)}.`)
  const tiny = counts.filter((each) => each.train < FEW_PICTURES && !tooFew.includes(each))
  if (tiny.length > 0)
    tell('warning', 'tiny-class', `Fewer than ${FEW_PICTURES} pictures to learn a class from: ${named(tiny)}.`)
  const sizes = counts.map(({ train }) => train).filter((train) => train > 0)
  const [least, most] = [Math.min(...sizes), Math.max(...sizes)]
  if (sizes.length > 1 && most >= IMBALANCE * least) {
    const extremes = counts.filter(({ train }) => train === least || train === most)
    tell('warning', 'imbalance', `Classes are out of balance, ${least} to ${most} pictures: ${named(extremes)}.`)
  }
  const unchecked = parts.validation.length > 0 ? counts.filter(({ validation }) => validation === 0) : []
  if (unchecked.length > 0) tell('warning', 'not-validated', `No validation picture of ${named(unchecked)}.`)
}

function tellAboutCopies(copies: readonly PictureGroup[], tell: Tell): void {
  const across = copies.filter(inSeveral('part'))
  const clashing = copies.filter(inSeveral('label'))
  const rest = copies.filter((group) => !across.includes(group) && !clashing.includes(group))
  const files = (groups: readonly PictureGroup[]) => groups.map(shown)
  if (across.length > 0) {
    tell(
      'error',
      'copies-across-parts',
      `${groupsOf(across.length, 'the same file')} in more than one part of the data: skill will look larger than it is.`,
      files(across),
    )
  }
  if (clashing.length > 0) {
    tell(
      'error',
      'label-clash',
      `${groupsOf(clashing.length, 'the same file')} with different labels: one of them is wrong.`,
      files(clashing),
    )
  }
  if (rest.length > 0)
    tell('warning', 'copies', `${groupsOf(rest.length, 'the same file')} more than once.`, files(rest))
}

function tellAboutNearCopies(pairs: readonly PictureGroup[], tell: Tell): void {
  const across = pairs.filter(inSeveral('part'))
  const rest = pairs.filter((pair) => !across.includes(pair))
  if (across.length > 0) {
    tell(
      'warning',
      'near-copies-across-parts',
      `${across.length} pairs of pictures look the same in different parts of the data.`,
      across.map(shown),
    )
  }
  if (rest.length > 0)
    tell('warning', 'near-copies', `${rest.length} pairs of pictures look the same.`, rest.map(shown))
}

const inSeveral = (of: 'part' | 'label') => (group: PictureGroup) =>
  new Set(group.files.map((file) => file[of])).size > 1

function shown({ files }: PictureGroup): string {
  return files.map(({ path, part }) => (part === 'train' ? path : `${path} (${part})`)).join(' = ')
}

function groupsOf(count: number, what: string): string {
  return count === 1 ? `One group of ${what}` : `${count} groups of ${what}`
}

function pictures(count: number): string {
  return count === 1 ? 'One picture' : `${count} pictures`
}

/** Files that hold a picture under a name that does not say so. */
async function unnamedPictures(root: string, ignored: readonly Skipped[]): Promise<string[]> {
  const unnamed: string[] = []
  const candidates = ignored.filter(({ path }) => !path.split('/').some(isJunk)).slice(0, MOST_UNNAMED)
  for (const { path } of candidates) {
    const start = await firstBytes(join(root, path), 64)
    if (start.length > 0 && knownKind(start)) unnamed.push(path)
  }
  return unnamed
}

/** Two letters, as BMP has them, many a text begins with. */
function knownKind(start: Uint8Array): boolean {
  const kind = imageKind(start).value
  return kind !== undefined && kind !== 'bmp'
}
