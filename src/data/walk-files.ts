import { isAbsolute, join, relative, sep } from 'node:path'
import { breathing } from '../breath.ts'
import { throwIfAborted } from '../errors.ts'
import { compareCodePoints } from '../files/folder.ts'
import { reasonOf } from './bad-file.ts'
import { sortedByCodePoint } from './code-point-order.ts'
import { entriesOf, lookAt, realPathOf } from './disk.ts'
import { imageExtensions, unreadable, unreadableExtensions } from './image-kind.ts'
import type { Skipped } from './sample.ts'

/** A file that is taken for a picture by its name. */
export interface FoundFile {
  /** Relative to the folder walked, with '/'. */
  readonly path: string
  /** Absolute. */
  readonly file: string
}

/** Everything under a folder, told apart. Each list is in code point order of the paths. */
export interface Walk {
  readonly files: readonly FoundFile[]
  /** Every folder that was read, in the same writing, without the root. */
  readonly folders: readonly string[]
  readonly skipped: readonly Skipped[]
  readonly ignored: readonly Skipped[]
}

/**
 * Looks through a folder and all folders in it. Hidden and system files never count. Links to files count as files;
 * links to folders are followed unless the folder is read anyway or holds the one that is walked.
 * @throws a file system error when the root itself cannot be read
 */
export async function walkFiles(root: string, signal?: AbortSignal): Promise<Walk> {
  const state: WalkState = {
    root,
    files: [],
    folders: [],
    skipped: [],
    ignored: [],
    links: [],
    seen: new Set(),
    signal,
  }
  const realRoot = await realPathOf(root)
  state.seen.add(realRoot)
  await readFolder(state, '')
  // Links come after all real folders, in order, so that what a link may add does not depend on the order of reading.
  while (state.links.length > 0) {
    const links = state.links.splice(0).sort((a, b) => compareCodePoints(a.path, b.path))
    for (const { path } of links) await followFolderLink(state, realRoot, path)
  }
  return {
    files: await sortedByCodePoint(state.files, ({ path }) => path),
    folders: await sortedByCodePoint(state.folders, (path) => path),
    skipped: await sortedByCodePoint(state.skipped, ({ path }) => path),
    ignored: await sortedByCodePoint(state.ignored, ({ path }) => path),
  }
}

interface WalkState {
  readonly root: string
  readonly files: FoundFile[]
  readonly folders: string[]
  readonly skipped: Skipped[]
  readonly ignored: Skipped[]
  readonly links: { readonly path: string }[]
  /** Real paths of all folders read. */
  readonly seen: Set<string>
  readonly signal: AbortSignal | undefined
}

/** Reads a folder and those below it, without recursion: folders may be nested a thousand deep. */
async function readFolder(state: WalkState, start: string): Promise<void> {
  const breath = breathing()
  const waiting = [start]
  for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
    throwIfAborted(state.signal)
    try {
      for await (const { name, kind } of entriesOf(join(state.root, folder))) {
        const path = folder === '' ? name : `${folder}/${name}`
        if (isJunk(name)) state.ignored.push({ path, reason: 'is a hidden or system file' })
        else if (kind === 'file') sortFile(state, path)
        else if (kind === 'other') await sortOther(state, path)
        else if (await isNew(state, path)) {
          state.folders.push(path)
          waiting.push(path)
        }
        if (breath.due()) await breath.pause()
      }
    } catch (cause) {
      const reason = folder === '' ? undefined : reasonOf(cause)
      if (reason === undefined) throw cause
      state.skipped.push({ path: folder, reason: `cannot be looked into: it ${reason}` })
    }
  }
}

async function isNew(state: WalkState, path: string): Promise<boolean> {
  const real = await realPathOf(join(state.root, path))
  if (state.seen.has(real)) return false
  state.seen.add(real)
  return true
}

/** A link, a pipe, or something whose kind the disk did not tell. */
async function sortOther(state: WalkState, path: string): Promise<void> {
  const target = await lookAt(join(state.root, path))
  if (typeof target === 'string') {
    state.skipped.push({ path, reason: target === 'does not exist' ? 'is a link to nothing' : target })
  } else if (target.kind === 'folder') state.links.push({ path })
  else if (target.kind === 'file') sortFile(state, path)
  else state.skipped.push({ path, reason: 'is a pipe, socket or device' })
}

async function followFolderLink(state: WalkState, realRoot: string, path: string): Promise<void> {
  const real = await realPathOf(join(state.root, path))
  const holdsRoot = isInside(realRoot, real)
  if (holdsRoot || state.seen.has(real)) {
    state.skipped.push({ path, reason: 'is a link to a folder that is read anyway' })
    return
  }
  state.seen.add(real)
  state.folders.push(path)
  await readFolder(state, path)
}

/** Whether a path is the folder or lies in it; both absolute. */
export function isInside(path: string, folder: string): boolean {
  const way = relative(folder, path)
  return way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way)
}

function sortFile(state: WalkState, path: string): void {
  const extension = extensionOf(path)
  const format = unreadableExtensions.get(extension)
  if (imageExtensions.has(extension)) {
    state.files.push({ path, file: join(state.root, path) })
  } else if (format !== undefined) state.skipped.push({ path, reason: unreadable(format) })
  else state.ignored.push({ path, reason: 'is not named as a picture' })
}

/** The ending of a name after the last dot, in lower case, without the dot. */
export function extensionOf(path: string): string {
  const name = path.slice(path.lastIndexOf('/') + 1)
  const dot = name.lastIndexOf('.')
  return dot < 0 ? '' : name.slice(dot + 1).toLowerCase()
}

/** Hidden files and what systems leave in folders: macOS, Windows, Synology. */
export function isJunk(name: string): boolean {
  return name.startsWith('.') || systemNames.has(name.toLowerCase())
}

const systemNames: ReadonlySet<string> = new Set([
  '__macosx',
  'thumbs.db',
  'ehthumbs.db',
  'desktop.ini',
  '@eadir',
  '$recycle.bin',
  'system volume information',
  'lost+found',
])
