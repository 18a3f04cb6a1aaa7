import { basename, dirname } from 'node:path'
import { breathing } from '../breath.ts'
import { RegraftError } from '../errors.ts'
import { inertName } from '../inert-text.ts'
import { checkKnownClasses } from './class-names.ts'
import { sortedByCodePoint } from './code-point-order.ts'
import { contentDigests } from './content-digest.ts'
import { copyNotes, type Parts, withoutCopies } from './copies.ts'
import {
  type DataSource,
  findData,
  findSource,
  folderOf,
  type SourceFiles,
  sourceFiles,
  undividedFiles,
} from './data-source.ts'
import { exactDuplicates } from './duplicates.ts'
import { groupPattern, groupsAcrossParts, withGroups } from './groups.ts'
import { classesOf, numbered, oneClass } from './image-folder.ts'
import type { DataSplit, LabelledFile, Sample, Skipped } from './sample.ts'
import { type DrawRange, splitByDraw } from './split.ts'
import { isInside } from './walk-files.ts'

/** Where the pictures for training, validation and test come from. */
export interface LoadDataOptions {
  /**
   * A fraction of the training pictures, a folder with a folder per class, a list file of pictures in the data folder, or a
   * manifest. Left out: what the data itself sets apart (`val`, `valid` or `validation` beside `train`, or a manifest's split),
   * else `otherwise`.
   */
  readonly validation?: number | string | undefined
  /** The fraction that validates when nobody says: a fifth when left out. */
  readonly otherwise?: number | undefined
  /** Instead of a fraction: the fold of this number, from 0, out of so many. */
  readonly fold?: { readonly index: number; readonly count: number } | undefined
  /** List of the training pictures. Left out: all that are not for validation or test. */
  readonly trainList?: string | undefined
  /** Folder, list file or manifest. Left out: what the data itself sets apart. */
  readonly test?: string | undefined
  /** A column of the manifest, or a regular expression on paths (its first group, else all of the match): never divided. */
  readonly groupBy?: string | undefined
  /** Leave out all but one of pictures with the same contents, and all of them where their labels differ. */
  readonly dedupe?: boolean | undefined
  readonly seed: number
  readonly emptyFolders?: 'stop' | 'skip' | undefined
  readonly signal?: AbortSignal | undefined
  /** Hears how many files have been looked at, of how many. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined
}

const defaultFraction = 0.2

/**
 * Finds the pictures of one or several data folders, list files or manifests. The training pictures decide the classes; validation
 * and test map to them by name and may lack some.
 * @throws 'data' for what is missing or empty, for fewer than two classes or two that differ only by case or normalisation, for
 * classes that training does not know, and for a picture in two of the parts; 'usage' for options that cannot be meant
 */
export async function loadData(data: string | readonly string[], options: LoadDataOptions): Promise<DataSplit> {
  const { signal } = options
  const places = typeof data === 'string' ? [data] : data
  const sources: DataSource[] = []
  for (const place of places) sources.push(await findData(place))
  const [first] = sources
  if (first === undefined) throw new RegraftError('usage', 'There is no data: name a folder or a manifest.')
  const root = commonFolder(sources.map(folderOf))
  const name = places.join(', ')
  const range = drawRange(options)
  const validationSource =
    typeof options.validation === 'string' ? await findSource(options.validation, [folderOf(first)]) : undefined
  const testSource = options.test === undefined ? undefined : await findSource(options.test, [folderOf(first)])
  const shared = { base: root, emptyFolders: options.emptyFolders, signal, groupBy: options.groupBy }

  const found: SourceFiles[] = []
  for (const source of sources) {
    const others = [validationSource, testSource].filter((other) => other && isChild(other, source))
    found.push(
      await sourceFiles(source, {
        ...shared,
        list: options.trainList === undefined ? undefined : await trainListOf(options.trainList, sources),
        exclude: others.map((other) => basename(other?.path ?? '')),
      }),
    )
  }
  const skipped: Skipped[] = found.flatMap((files) => files.skipped)
  const unusable = [...skipped]
  const ignored: Skipped[] = found.flatMap((files) => files.ignored)
  const listRoot = folderOf(first)
  /** What a part was told to be, else what the data sets apart; undefined when nobody said. */
  const partOf = async (
    source: DataSource | undefined,
    own: (files: SourceFiles) => readonly LabelledFile[] | undefined,
    overruled: boolean,
  ): Promise<readonly LabelledFile[] | undefined> => {
    const set = found.flatMap((files) => own(files) ?? [])
    if (source === undefined && !overruled) return set.length > 0 ? set : undefined
    for (const { path } of set) skipped.push({ path, reason: 'is set apart by the data, but another choice was made' })
    if (source === undefined) return undefined
    const emptyFolders = source.kind === 'folder' ? 'skip' : shared.emptyFolders
    const files = await undividedFiles(source, listRoot, { ...shared, emptyFolders })
    skipped.push(...files.skipped)
    unusable.push(...files.skipped)
    ignored.push(...files.ignored)
    return files.files
  }
  const test = (await partOf(testSource, (files) => files.test, false)) ?? []
  const validation = await partOf(validationSource, (files) => files.validation, range !== undefined)

  // Without a list of its own, training takes what lists and manifests of the other parts leave.
  const elsewhere = new Set<string>()
  for (const [source, files] of [
    [validationSource, validation],
    [testSource, test],
  ] as const) {
    if (source && source.kind !== 'folder' && options.trainList === undefined) {
      for (const { file } of files ?? []) elsewhere.add(file)
    }
  }
  const all = (
    await sortedByCodePoint(
      found.flatMap((files) => files.train),
      ({ path }) => path,
    )
  ).filter(({ file }) => !elsewhere.has(file))
  const classes = await classesOf(
    found.flatMap((files) => files.train),
    name,
  )
  if (classes.length < 2) throw oneClass(name, classes)
  const notes: string[] = []
  const pattern = options.groupBy === undefined ? undefined : groupPattern(options.groupBy)
  const sampled = async (files: readonly LabelledFile[], place = name): Promise<Sample[]> => {
    checkKnownClasses(await classesOf(files, place), classes, place)
    const grouped = pattern ? await withGroups(files, pattern, notes) : files
    return await numbered(grouped, classes)
  }
  let parts: Awaited<ReturnType<typeof withContents>> = {
    train: await sampled(all),
    validation: validation === undefined ? undefined : await sampled(validation, validationSource?.path),
    test: await sampled(test, testSource?.path),
  }
  await checkDisjoint({ training: parts.train, validation: parts.validation ?? [], test: parts.test }, name)

  parts = await withContents(parts, options)
  const copies = await exactDuplicates([...parts.train, ...(parts.validation ?? []), ...parts.test])
  if (options.dedupe) {
    const kept = withoutCopies(parts, copies)
    parts = kept.parts
    skipped.push(...kept.skipped)
  }
  const split =
    parts.validation === undefined
      ? await splitByDraw(parts.train, range ?? { from: 0, to: options.otherwise ?? defaultFraction }, options.seed)
      : { train: parts.train, validation: parts.validation }
  const divided = { training: split.train, validation: split.validation, test: parts.test }
  if (!options.dedupe) notes.push(...copyNotes(divided, classes, copies))
  notes.push(...groupsAcrossParts(divided))
  checkEveryClassTrains(split.train, classes, name)
  notes.push(...classesNotChecked(split.validation, classes))
  const byPath = (items: readonly Skipped[]) => sortedByCodePoint(items, ({ path }) => path)
  return {
    root,
    classes,
    train: split.train,
    validation: split.validation,
    test: parts.test,
    skipped: await byPath(skipped),
    unusable: await byPath(unusable),
    ignored: await byPath(ignored),
    notes,
  }
}

function drawRange({ validation, fold }: LoadDataOptions): DrawRange | undefined {
  if (fold !== undefined) {
    const { index, count } = fold
    if (validation !== undefined) {
      throw new RegraftError('usage', 'Folds choose the validation pictures; --val cannot be given beside them.')
    }
    if (!(Number.isInteger(count) && count >= 2 && Number.isInteger(index) && index >= 0 && index < count)) {
      throw new RegraftError('usage', `Fold ${index} of ${count} is not possible: at least 2 folds, counted from 0.`)
    }
    return { from: index / count, to: (index + 1) / count }
  }
  if (typeof validation !== 'number') return undefined
  if (validation >= 0 && validation < 1) return { from: 0, to: validation }
  throw new RegraftError(
    'usage',
    `The fraction for validation is ${validation}; it has to be from 0 up to but without 1.`,
  )
}

async function trainListOf(trainList: string, sources: readonly DataSource[]): Promise<string> {
  const [only, ...more] = sources
  if (only?.kind !== 'folder' || more.length > 0) {
    throw new RegraftError('usage', 'A list of training pictures needs one data folder that its paths start at.')
  }
  return (await findSource(trainList, [only.path])).path
}

function isChild(other: DataSource, source: DataSource): boolean {
  return other.kind === 'folder' && source.kind === 'folder' && dirname(other.path) === source.path
}

/** The folder that holds all of them; for one, itself. */
function commonFolder(folders: readonly string[]): string {
  const [first = '', ...rest] = folders
  let common = first
  while (!rest.every((folder) => isInside(folder, common))) {
    const above = dirname(common)
    if (above === common) break
    common = above
  }
  return common
}

/** Looks at the contents of all files. */
async function withContents(
  { train, validation, test }: Parts,
  { signal, onProgress }: LoadDataOptions,
): Promise<{ train: Sample[]; validation: Sample[] | undefined; test: Sample[] }> {
  const all = [...train, ...(validation ?? []), ...test]
  const files = all.map(({ file }) => file)
  const looked: Sample[] = []
  for await (const digest of contentDigests(files, signal)) {
    const sample = all[looked.length]
    if (sample === undefined) throw new Error('a digest of no file')
    looked.push({ ...sample, contents: digest ?? null })
    onProgress?.(looked.length, all.length)
  }
  const testAt = train.length + (validation?.length ?? 0)
  return {
    train: looked.slice(0, train.length),
    validation: validation === undefined ? undefined : looked.slice(train.length, testAt),
    test: looked.slice(testAt),
  }
}

async function checkDisjoint(parts: Readonly<Record<string, readonly Sample[]>>, dir: string): Promise<void> {
  const owners = new Map<string, string>()
  const twice: string[] = []
  const breath = breathing()
  for (const [part, samples] of Object.entries(parts)) {
    for (const { file, path } of samples) {
      if (breath.due()) await breath.pause()
      const owner = owners.get(file)
      if (owner === undefined) owners.set(file, part)
      else if (owner !== part) twice.push(`'${inertName(path, 200)}' (${owner} and ${part})`)
    }
  }
  if (twice.length === 0) return
  const more = twice.length > 5 ? ` and ${twice.length - 5} more` : ''
  throw new RegraftError(
    'data',
    `${inertName(dir)}: ${twice.length} pictures stand in two parts of the data: ${twice.slice(0, 5).join(', ')}${more}. ` +
      'A picture that was learned from says nothing when it is checked with: keep it in one part.',
    { file: dir },
  )
}

function checkEveryClassTrains(train: readonly Sample[], classes: readonly string[], dir: string): void {
  const learned = new Set(train.map(({ label }) => label))
  const without = classes.filter((_, label) => !learned.has(label))
  if (without.length === 0) return
  const names = without.slice(0, 10).map((name) => `'${inertName(name, 200)}'`)
  throw new RegraftError('data', `${inertName(dir)}: no picture is left to learn from in ${names.join(', ')}.`, {
    file: dir,
  })
}

function classesNotChecked(validation: readonly Sample[], classes: readonly string[]): string[] {
  if (validation.length === 0) return []
  const checked = new Set(validation.map(({ label }) => label))
  const without = classes.filter((_, label) => !checked.has(label)).map((name) => `'${inertName(name, 100)}'`)
  if (without.length === 0) return []
  const more = without.length > 10 ? ` and ${without.length - 10} more` : ''
  return [
    `No validation picture of ${without.slice(0, 10).join(', ')}${more}: how well these are learned is not measured.`,
  ]
}
