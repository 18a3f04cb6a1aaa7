import { dirname, join, resolve } from 'node:path'
import { RegraftError } from '../errors.ts'
import { compareCodePoints } from '../files/folder.ts'
import { inertName } from '../inert-text.ts'
import { entriesOf, lookAt } from './disk.ts'
import { checkFolder, type FolderOptions, folderFiles } from './image-folder.ts'
import { imageExtensions } from './image-kind.ts'
import { isList } from './list-file.ts'
import { isManifest, manifestColumns } from './manifest.ts'
import { type ManifestFile, manifestFiles } from './manifest-files.ts'
import type { LabelledFile, LabelledFiles, Skipped } from './sample.ts'
import { extensionOf, isJunk } from './walk-files.ts'

/** A place that labelled pictures come from. */
export interface DataSource {
  /** Absolute. */
  readonly path: string
  /** A folder with a folder per class; a list of files in such a folder; a manifest. */
  readonly kind: 'folder' | 'list' | 'manifest'
}

/** What a data source holds. A part is undefined where the source does not divide its pictures. */
export interface SourceFiles {
  readonly train: readonly LabelledFile[]
  readonly validation: readonly LabelledFile[] | undefined
  readonly test: readonly LabelledFile[] | undefined
  readonly skipped: readonly Skipped[]
  readonly ignored: readonly Skipped[]
}

/** The folder that relative paths of a source start at. */
export function folderOf(source: DataSource): string {
  return source.kind === 'folder' ? source.path : dirname(source.path)
}

/**
 * Finds out what DATA is.
 * @throws 'data' when it is neither folder nor manifest nor list
 */
export async function findData(given: string): Promise<DataSource> {
  const source = await findSource(given)
  if (source.kind === 'list' && !isList(given)) await checkFolder(source.path)
  return source
}

/**
 * Finds out what a path is, looking in the working directory and then in the given folders.
 * @throws 'data' when nothing is there, with the name nearby
 */
export async function findSource(given: string, folders: readonly string[] = []): Promise<DataSource> {
  let problem: string | undefined
  for (const path of [resolve(given), ...folders.map((folder) => join(folder, given))]) {
    const facts = await lookAt(path)
    if (typeof facts === 'string') {
      if (facts !== 'does not exist') problem ??= `${inertName(path)} ${facts}.`
      continue
    }
    if (facts.kind === 'folder') return { path, kind: 'folder' }
    return { path, kind: isManifest(path) ? 'manifest' : 'list' }
  }
  if (problem !== undefined) throw new RegraftError('data', problem, { file: given })
  await checkFolder(resolve(given))
  throw new RegraftError('data', `There is no folder, list or manifest ${inertName(given)}.`, { file: given })
}

/** How a data source is read. */
export interface SourceOptions extends FolderOptions {
  /** A column of the manifest, or a regular expression, that says what belongs together. */
  readonly groupBy?: string | undefined
}

/**
 * All that a data source holds: class folders; `train`, `val` and `test` with class folders each; or a manifest with or without
 * a split of its own.
 * @throws 'data'
 */
export async function sourceFiles(source: DataSource, options: SourceOptions): Promise<SourceFiles> {
  if (source.kind === 'manifest') return await dividedManifest(source.path, options)
  if (source.kind === 'list') {
    const all = await folderFiles(folderOf(source), { ...options, list: source.path })
    return { ...all, train: all.files, validation: undefined, test: undefined }
  }
  const layout = options.list === undefined ? await findLayout(source.path) : undefined
  if (layout === undefined) {
    const all = await folderFiles(source.path, options)
    return { ...all, train: all.files, validation: undefined, test: undefined }
  }
  const { emptyFolders, ...rest } = options
  const train = await folderFiles(layout.train, { ...rest, emptyFolders, exclude: [] })
  const skipped: Skipped[] = [...train.skipped, ...layout.others]
  const ignored: Skipped[] = [...train.ignored]
  const classes = new Set(train.files.map(({ label }) => label))
  const part = async (folder: string | undefined, mayBeUnlabelled: boolean) => {
    if (folder === undefined) return undefined
    // A test folder that merely lies there may hold pictures without labels, as in competitions.
    if (mayBeUnlabelled && !(await holdsAnyOf(join(source.path, folder), classes))) {
      skipped.push({ path: folder, reason: 'holds no folder of a known class' })
      return undefined
    }
    // An empty folder of a class is no mistake here: the class is just not checked.
    const found = await folderFiles(join(source.path, folder), { ...rest, emptyFolders: 'skip', exclude: [] })
    skipped.push(...found.skipped)
    ignored.push(...found.ignored)
    return found.files
  }
  const test = await part(layout.test, true)
  const validation = await part(layout.validation, false)
  return { train: train.files, validation, test, skipped, ignored }
}

/** The pictures of a source that is one part by itself: what it would divide is taken together. */
export async function undividedFiles(source: DataSource, root: string, options: SourceOptions): Promise<LabelledFiles> {
  if (source.kind === 'list') return await folderFiles(root, { ...options, list: source.path })
  if (source.kind === 'folder') return await folderFiles(source.path, options)
  return await manifestFiles(source.path, {
    ...options,
    groupColumn: await groupColumnOf(source.path, options.groupBy),
  })
}

async function dividedManifest(path: string, options: SourceOptions): Promise<SourceFiles> {
  const groupColumn = await groupColumnOf(path, options.groupBy)
  const { files, skipped, ignored } = await manifestFiles(path, { ...options, groupColumn })
  const take = (wanted: ManifestFile['part']) => {
    const taken = files.filter(({ part }) => part === wanted).map(({ part: _, ...file }) => file)
    return taken.length > 0 ? taken : undefined
  }
  const train = [...(take('train') ?? []), ...(take(undefined) ?? [])].sort((a, b) => compareCodePoints(a.path, b.path))
  return { train, validation: take('val'), test: take('test'), skipped, ignored }
}

/** `--group-by` as a column, when the manifest has one of that name. */
async function groupColumnOf(manifest: string, groupBy: string | undefined): Promise<string | undefined> {
  if (groupBy === undefined) return undefined
  return (await manifestColumns(manifest)).includes(groupBy) ? groupBy : undefined
}

/** The parts of a data folder that is divided already. */
interface Layout {
  readonly train: string
  /** Names in the data folder. */
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
    ...(validation[0] === undefined ? {} : { validation: validation[0] }),
    ...(test[0] === undefined ? {} : { test: test[0] }),
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

async function holdsAnyOf(folder: string, names: ReadonlySet<string>): Promise<boolean> {
  return (await foldersIn(folder)).some((name) => names.has(name))
}

async function holdsPictures(folder: string): Promise<boolean> {
  for await (const { name, kind } of entriesOf(folder)) {
    if (!isJunk(name) && kind !== 'folder' && imageExtensions.has(extensionOf(name))) return true
  }
  return false
}
