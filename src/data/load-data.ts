import { basename, dirname, join, resolve } from 'node:path'
import { breathing } from '../breath.ts'
import { RegraftError } from '../errors.ts'
import { compareCodePoints } from '../files/folder.ts'
import { inertName } from '../inert-text.ts'
import { entriesOf, lookAt } from './disk.ts'
import { checkFolder, type ScanOptions, scanImages } from './image-folder.ts'
import { imageExtensions } from './image-kind.ts'
import type { DataSplit, ImageSet, Sample, Skipped } from './sample.ts'
import { splitByFraction } from './split.ts'
import { extensionOf, isJunk } from './walk-files.ts'

/** Where the pictures for training, validation and test come from. */
export interface LoadDataOptions {
  /**
   * A fraction of the training pictures, a folder with a folder per class, or a list file of pictures in the data
   * folder. Left out: the data folder's own `val`, `valid` or `validation` beside `train`, else a fifth.
   */
  readonly validation?: number | string | undefined
  /** List of the training pictures. Left out: all that are not for validation or test. */
  readonly trainList?: string | undefined
  /** Folder or list file. Left out: the data folder's own `test` beside `train`. */
  readonly test?: string | undefined
  readonly seed: number
  readonly emptyFolders?: 'stop' | 'skip' | undefined
  readonly signal?: AbortSignal | undefined
}

const defaultFraction = 0.2

/**
 * Finds the pictures of a data folder: a folder per class, or `train`, `val` and `test` with a folder per class each.
 * The training pictures decide the classes; validation and test map to them by name and may lack some.
 * @throws 'data' as `scanImages`, for classes that training does not know, and for a picture in two of the parts
 */
export async function loadData(dir: string, options: LoadDataOptions): Promise<DataSplit> {
  const root = resolve(dir)
  await checkFolder(root)
  const { seed, trainList } = options
  const layout = trainList === undefined ? await findLayout(root) : undefined
  const validation = options.validation ?? layout?.validation ?? defaultFraction
  const test = options.test ?? layout?.test
  if (typeof validation === 'number' && !(validation >= 0 && validation < 1)) {
    throw new RegraftError(
      'usage',
      `The fraction for validation is ${validation}; it has to be from 0 up to but without 1.`,
    )
  }
  const shared: ScanOptions = { base: root, emptyFolders: options.emptyFolders, signal: options.signal }
  const validationSource = typeof validation === 'string' ? await sourceOf(validation, root) : undefined
  const testSource = test === undefined ? undefined : await sourceOf(test, root)

  const all = await scanImages(layout?.train ?? root, {
    ...shared,
    list: trainList === undefined ? undefined : (await sourceOf(trainList, root)).path,
    exclude: layout
      ? []
      : [validationSource, testSource].flatMap((source) =>
          source && isChild(source, root) ? [basename(source.path)] : [],
        ),
  })
  const skipped: Skipped[] = [...all.skipped, ...(layout?.others ?? [])]
  const ignored: Skipped[] = [...all.ignored]
  const rest = async (source: Source | undefined): Promise<readonly Sample[]> => {
    if (source === undefined) return []
    const set = await scanPart(source, root, all.classes, shared)
    skipped.push(...set.skipped)
    ignored.push(...set.ignored)
    return set.samples
  }
  // A test folder that merely lies there may hold pictures without labels, as in competitions.
  const unlabelled = options.test === undefined && testSource && !(await holdsAnyOf(testSource.path, all.classes))
  if (unlabelled) skipped.push({ path: basename(testSource.path), reason: 'holds no folder of a known class' })
  const testSamples = await rest(unlabelled ? undefined : testSource)
  const validationSamples = await rest(validationSource)

  // Without a list of its own, training takes what the lists of the other parts leave.
  const listed = [validationSource, testSource].flatMap((source, index) =>
    source?.isList && trainList === undefined ? (index === 0 ? validationSamples : testSamples) : [],
  )
  const listedFiles = new Set(listed.map(({ file }) => file))
  const train = all.samples.filter(({ file }) => !listedFiles.has(file))
  const split =
    typeof validation === 'number'
      ? await splitByFraction(train, validation, seed)
      : { train, validation: validationSamples }
  await checkDisjoint({ training: split.train, validation: split.validation, test: testSamples }, dir)
  checkEveryClassTrains(split.train, all, dir)
  return {
    root,
    classes: all.classes,
    train: split.train,
    validation: split.validation,
    test: testSamples,
    skipped,
    ignored,
  }
}

/** A folder or a list file, found relative to the working directory or else to the data folder. */
interface Source {
  readonly path: string
  readonly isList: boolean
}

async function sourceOf(given: string, root: string): Promise<Source> {
  for (const path of [resolve(given), join(root, given)]) {
    const facts = await lookAt(path)
    if (typeof facts !== 'string') return { path, isList: facts.kind !== 'folder' }
  }
  await checkFolder(resolve(given))
  throw new RegraftError('data', `There is no folder or list ${inertName(given)}.`, { file: given })
}

function isChild(source: Source, root: string): boolean {
  return !source.isList && dirname(source.path) === root
}

async function scanPart(
  source: Source,
  root: string,
  classes: readonly string[],
  shared: ScanOptions,
): Promise<ImageSet> {
  if (source.isList) return await scanImages(root, { ...shared, classes, list: source.path })
  // An empty folder of a class is no mistake here: the class is just not checked.
  return await scanImages(source.path, { ...shared, classes, emptyFolders: 'skip' })
}

/** The parts of a data folder that is divided already. */
interface Layout {
  readonly train: string
  readonly validation?: string
  readonly test?: string
  /** Folders beside them that belong to no part. */
  readonly others: readonly Skipped[]
}

const validationNames = new Set(['val', 'valid', 'validation'])

/** Tells `train/` with class folders in it from a class that happens to be called train. */
async function findLayout(root: string): Promise<Layout | undefined> {
  const folders = await foldersIn(root)
  const named = (names: ReadonlySet<string>) => folders.filter((name) => names.has(name.toLowerCase()))
  const [train, ...moreTrain] = named(new Set(['train']))
  if (train === undefined) return undefined
  const validation = named(validationNames)
  const test = named(new Set(['test']))
  const parts = new Set([train, ...moreTrain, ...validation, ...test])
  const others = folders.filter((name) => !parts.has(name))
  if (others.length > 0 && validation.length === 0 && test.length === 0) return undefined
  if (await holdsPictures(join(root, train))) {
    if (others.length > 0) return undefined
    throw new RegraftError(
      'data',
      `The pictures of ${inertName(join(root, train))} lie in no class folder. Make a folder per class in it.`,
      { file: join(root, train) },
    )
  }
  for (const several of [[train, ...moreTrain], validation, test]) {
    if (several.length < 2) continue
    const names = several.map((name) => `'${inertName(name)}'`).join(' and ')
    throw new RegraftError('data', `${inertName(root)} holds ${names}, which mean the same. Keep one of them.`, {
      file: root,
    })
  }
  return {
    train: join(root, train),
    ...(validation[0] === undefined ? {} : { validation: join(root, validation[0]) }),
    ...(test[0] === undefined ? {} : { test: join(root, test[0]) }),
    others: others.map((path) => ({ path, reason: 'lies beside train and belongs to no part' })),
  }
}

async function foldersIn(folder: string): Promise<string[]> {
  const names: string[] = []
  for await (const { name, kind } of entriesOf(folder)) {
    if (isJunk(name)) continue
    const facts = kind === 'other' ? await lookAt(join(folder, name)) : { kind }
    if (typeof facts !== 'string' && facts.kind === 'folder') names.push(name)
  }
  return names.sort(compareCodePoints)
}

async function holdsAnyOf(folder: string, names: readonly string[]): Promise<boolean> {
  const wanted = new Set(names)
  return (await foldersIn(folder)).some((name) => wanted.has(name))
}

async function holdsPictures(folder: string): Promise<boolean> {
  for await (const { name, kind } of entriesOf(folder)) {
    if (!isJunk(name) && kind !== 'folder' && imageExtensions.has(extensionOf(name))) return true
  }
  return false
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

function checkEveryClassTrains(train: readonly Sample[], { classes }: ImageSet, dir: string): void {
  const learned = new Set(train.map(({ label }) => label))
  const without = classes.filter((_, label) => !learned.has(label))
  if (without.length === 0) return
  const names = without.slice(0, 10).map((name) => `'${inertName(name, 200)}'`)
  throw new RegraftError('data', `${inertName(dir)}: no picture is left to learn from in ${names.join(', ')}.`, {
    file: dir,
  })
}
