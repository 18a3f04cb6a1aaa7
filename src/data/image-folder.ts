import { basename, dirname, relative, resolve, sep } from 'node:path'
import { breathing } from '../breath.ts'
import { RegraftError } from '../errors.ts'
import { compareCodePoints, listFolder } from '../files/folder.ts'
import { inertName } from '../inert-text.ts'
import { nearestName } from '../nearest-name.ts'
import { checkClassNames, checkKnownClasses } from './class-names.ts'
import { lookAt } from './disk.ts'
import { imageExtensions } from './image-kind.ts'
import { filesFromList } from './list-file.ts'
import { isManifest } from './manifest.ts'
import { manifestFiles } from './manifest-files.ts'
import type { ImageSet, LabelledFile, LabelledFiles, Sample, Skipped } from './sample.ts'
import { extensionOf, type FoundFile, type Walk, walkFiles } from './walk-files.ts'

/** How a folder of pictures is read. */
export interface FolderOptions {
  /** A list file: only the pictures it names, relative to the folder. */
  readonly list?: string | undefined
  /** Folder that the paths of pictures are relative to; the one that is read when left out. */
  readonly base?: string | undefined
  /** Folders at the top that are left alone. */
  readonly exclude?: readonly string[] | undefined
  /** A folder without a picture: an error (stop, the default), or left out and named among the skipped. */
  readonly emptyFolders?: 'stop' | 'skip' | undefined
  readonly signal?: AbortSignal | undefined
}

export interface ScanOptions extends FolderOptions {
  /** Classes that are known already: folders map to them by name, others are an error. */
  readonly classes?: readonly string[] | undefined
}

/**
 * The pictures of a folder that holds a folder per class, labelled with the name of the first folder, however deep they lie.
 * @throws 'data' for a folder that is missing, has no picture in a class, or an empty class
 */
export async function folderFiles(source: string, options: FolderOptions = {}): Promise<LabelledFiles> {
  const root = resolve(source)
  await checkFolder(root)
  const walk = options.list === undefined ? await walkFiles(root, options.signal) : await walkOfList(options.list, root)
  const exclude = new Set(options.exclude)
  const breath = breathing()
  const files = walk.files.filter(({ path }) => !exclude.has(firstFolder(path)))
  const skipped: Skipped[] = walk.skipped.filter(({ path }) => !exclude.has(firstFolder(path)))
  const inFolders = files.filter(({ path }) => path.includes('/'))
  for (const { path } of files) {
    if (!path.includes('/')) skipped.push({ path, reason: 'lies outside the class folders' })
  }

  if (breath.due()) await breath.pause()
  const holding = await foldersHolding(inFolders)
  const empty = walk.folders.filter((path) => !path.includes('/') && !exclude.has(path) && !holding.has(path))
  for (const path of walk.folders) {
    if (
      path.includes('/') &&
      !holding.has(path) &&
      !exclude.has(firstFolder(path)) &&
      imageExtensions.has(extensionOf(path))
    ) {
      skipped.push({ path, reason: 'is a folder named like a picture' })
    }
  }
  if (inFolders.length === 0) throw noPictures(source, files, walk)
  if (empty.length > 0 && options.emptyFolders !== 'skip') throw emptyClasses(source, empty, skipped)
  for (const path of empty) skipped.push({ path, reason: 'is a folder without a usable picture' })

  const prefix = prefixOf(options.base, root)
  const labelled: LabelledFile[] = []
  for (const { path, file } of inFolders) {
    labelled.push({ path: prefix + path, file, label: firstFolder(path) })
    if (breath.due()) await breath.pause()
  }
  const named = ({ path, reason }: Skipped): Skipped => ({ path: prefix + path, reason })
  skipped.sort((a, b) => compareCodePoints(a.path, b.path))
  return { files: labelled, skipped: skipped.map(named), ignored: walk.ignored.map(named) }
}

/**
 * The pictures of a folder that holds a folder per class, or of a manifest.
 * @throws 'data' as `folderFiles`, for fewer than two classes (unless they are given), an unknown class, or two classes that differ
 * only by case or normalisation
 */
export async function scanImages(source: string, options: ScanOptions = {}): Promise<ImageSet> {
  const fromManifest = isManifest(source) && (await isFile(resolve(source)))
  const found = fromManifest ? await manifestFiles(source, { base: options.base }) : await folderFiles(source, options)
  const classes = await classesOf(found.files, source)
  if (options.classes) checkKnownClasses(classes, options.classes, source)
  else if (classes.length < 2) throw oneClass(source, classes)
  const known = options.classes ?? classes
  return {
    root: fromManifest ? dirname(resolve(source)) : resolve(source),
    classes: [...known],
    samples: await numbered(found.files, known),
    skipped: found.skipped,
    ignored: found.ignored,
  }
}

/** The labels by code point. @throws 'data' for two that differ only by case or normalisation */
export async function classesOf(files: readonly LabelledFile[], place: string): Promise<string[]> {
  const labels = new Set<string>()
  const breath = breathing()
  for (const { label } of files) {
    labels.add(label)
    if (breath.due()) await breath.pause()
  }
  const classes = [...labels].sort(compareCodePoints)
  checkClassNames(classes, place)
  return classes
}

/** The files with their labels as numbers; those of no known class are left out. */
export async function numbered(files: readonly LabelledFile[], classes: readonly string[]): Promise<Sample[]> {
  const labels = new Map(classes.map((name, label) => [name, label]))
  const samples: Sample[] = []
  const breath = breathing()
  for (const file of files) {
    const label = labels.get(file.label)
    if (label !== undefined) samples.push({ ...file, label })
    if (breath.due()) await breath.pause()
  }
  return samples
}

/**
 * The pictures of a labelled folder for a model whose classes are known; a class may be missing or empty.
 * @throws 'data' as `scanImages`, and for a folder that is none of the classes, with the nearest name
 */
export async function labelledImages(
  dir: string,
  classes: readonly string[],
  options: Omit<ScanOptions, 'classes'> = {},
): Promise<ImageSet> {
  return await scanImages(dir, { ...options, classes, emptyFolders: options.emptyFolders ?? 'skip' })
}

/** Refuses what is no folder, with the name nearby that was probably meant. Throws 'data'. */
export async function checkFolder(root: string): Promise<void> {
  const facts = await lookAt(root)
  if (typeof facts !== 'string' && facts.kind === 'folder') return
  const name = inertName(root)
  if (facts !== 'does not exist') {
    const what = typeof facts === 'string' ? facts : 'is not a folder'
    throw new RegraftError(
      'data',
      `${name} ${what}. Give a folder that holds a folder per class, or a manifest (.csv, .jsonl).`,
      { file: root },
    )
  }
  const siblings = await listFolder(dirname(root)).catch(() => [])
  const nearest = nearestName(
    basename(root),
    siblings.map((entry) => entry.name),
  )
  const hint = nearest === undefined ? '' : ` Did you mean '${inertName(nearest)}'?`
  throw new RegraftError('data', `There is no folder ${name}.${hint}`, { file: root })
}

async function isFile(path: string): Promise<boolean> {
  const facts = await lookAt(path)
  return typeof facts !== 'string' && facts.kind === 'file'
}

/** A folder as the beginning of paths relative to another, with '/' at its end; nothing when they are the same. */
function prefixOf(base: string | undefined, root: string): string {
  const way = base === undefined ? '' : relative(resolve(base), root).split(sep).join('/')
  return way === '' ? '' : `${way}/`
}

async function walkOfList(list: string, root: string): Promise<Walk> {
  const files = await filesFromList(list, root)
  files.sort((a, b) => compareCodePoints(a.path, b.path))
  return { files, folders: [], skipped: [], ignored: [] }
}

function firstFolder(path: string): string {
  const slash = path.indexOf('/')
  return slash < 0 ? path : path.slice(0, slash)
}

async function foldersHolding(files: readonly FoundFile[]): Promise<Set<string>> {
  const folders = new Set<string>()
  const breath = breathing()
  for (const { path } of files) {
    if (breath.due()) await breath.pause()
    for (let slash = path.lastIndexOf('/'); slash > 0; slash = path.lastIndexOf('/', slash - 1)) {
      const folder = path.slice(0, slash)
      if (folders.has(folder)) break
      folders.add(folder)
    }
  }
  return folders
}

function noPictures(source: string, files: readonly FoundFile[], walk: Walk): RegraftError {
  const place = inertName(source)
  const other = walk.skipped[0]
  let what = `${place} holds no picture.`
  if (files.length > 0) what = `The ${files.length} pictures of ${place} lie in no class folder.`
  else if (other) what = `${place} holds no usable picture: '${inertName(other.path, 200)}' ${other.reason}.`
  return new RegraftError(
    'data',
    `${what} Make a folder per class and put the pictures into it, as in ${place}/rose/1.jpg.`,
    {
      file: source,
    },
  )
}

function emptyClasses(source: string, empty: readonly string[], skipped: readonly Skipped[]): RegraftError {
  const names = empty.slice(0, 10).map((name) => {
    const other = skipped.find(({ path }) => path.startsWith(`${name}/`))
    return `'${inertName(name, 200)}'${other ? ` (${inertName(other.path.slice(name.length + 1), 100)} ${other.reason})` : ''}`
  })
  const more = empty.length > 10 ? ` and ${empty.length - 10} more` : ''
  return new RegraftError(
    'data',
    `${inertName(source)}: no usable picture in ${empty.length === 1 ? 'the class folder' : `${empty.length} class folders:`} ` +
      `${names.join(', ')}${more}. Put pictures in, or remove the folder.`,
    { file: source },
  )
}

/** Pictures of one class only are nothing to tell apart. */
export function oneClass(source: string, found: readonly string[]): RegraftError {
  return new RegraftError(
    'data',
    `${inertName(source)} holds pictures of one class only: '${inertName(found[0] ?? '', 200)}'. ` +
      'A classifier needs at least two: make a folder per class.',
    { file: source },
  )
}
