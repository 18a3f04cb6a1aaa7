// The cache of huggingface_hub on the disk: blobs by their digest, snapshots of links to them, names of revisions.
//
//   models--owner--name/refs/main                        text: the commit
//   models--owner--name/blobs/<etag>                     a file's contents; <etag>.incomplete while it comes
//   models--owner--name/snapshots/<commit>/config.json   a link to ../../blobs/<etag>
import * as path from 'node:path'
import { writeFileAtomic } from '../files/atomic-write.ts'
import { systemCode } from '../files/disk-error.ts'
import { fileSystem } from '../files/file-system.ts'
import { createFolder, listFolder, pathFacts } from '../files/folder.ts'
import { readRange, readTextLimited, withOpenFile } from '../files/read-file.ts'
import { type HubId, isCommit, parseHubId } from './hub-id.ts'
import type { HubSettings } from './hub-settings.ts'

/** Folder of a model in the cache. */
export function modelFolder(root: string, { owner, name }: Pick<HubId, 'owner' | 'name'>): string {
  return path.join(root, `models--${owner}--${name}`)
}

export function blobsFolder(model: string): string {
  return path.join(model, 'blobs')
}

export function snapshotFolder(model: string, commit: string): string {
  return path.join(model, 'snapshots', commit)
}

/** The commit that a revision stood for when it was last asked for. */
export async function cachedCommit(model: string, revision: string): Promise<string | undefined> {
  if (isCommit(revision)) return revision
  const file = path.join(model, 'refs', ...revision.split('/'))
  if ((await pathFacts(file))?.kind !== 'file') return undefined
  const commit = (await readTextLimited(file, 1024, { code: 'weights' })).trim()
  return isCommit(commit) ? commit : undefined
}

/** Remembers what a revision stands for. */
export async function writeRef(model: string, revision: string, commit: string): Promise<void> {
  if (revision === commit || (await cachedCommit(model, revision)) === commit) return
  const file = path.join(model, 'refs', ...revision.split('/'))
  await createFolder(path.dirname(file))
  await writeFileAtomic(file, commit)
}

const pieceBytes = 1 << 20

/** Puts a blob into a snapshot: as a link, or as a copy where there are none. What is there already is replaced. */
export async function placeInSnapshot(
  { links }: HubSettings,
  model: string,
  commit: string,
  file: string,
  etag: string,
): Promise<string> {
  const blob = path.join(blobsFolder(model), etag)
  const place = path.join(snapshotFolder(model, commit), ...file.split('/'))
  await createFolder(path.dirname(place))
  if (links && (await linkTo(blob, place))) return place
  // A link that leads nowhere would be followed.
  await fileSystem()
    .unlink(place)
    .catch(() => undefined)
  await writeFileAtomic(place, contents(blob))
  return place
}

/** @returns false where there are no links */
async function linkTo(blob: string, place: string): Promise<boolean> {
  const target = path.relative(path.dirname(place), blob)
  for (let attempt = 0; ; attempt++) {
    try {
      await fileSystem().makeLink(target, place)
      return true
    } catch (error) {
      // Two at once make the same link; a wrong one, or one of a former download, gives way.
      if (systemCode(error) !== 'EEXIST' || attempt > 0) return false
      if (await leadsTo(place, blob)) return true
      await fileSystem().unlink(place)
    }
  }
}

async function leadsTo(place: string, blob: string): Promise<boolean> {
  const real = (at: string) =>
    fileSystem()
      .realPath(at)
      .catch(() => undefined)
  const target = await real(blob)
  return target !== undefined && (await real(place)) === target && path.resolve(place) !== target
}

async function* contents(file: string): AsyncGenerator<Uint8Array> {
  for (let offset = 0; ; ) {
    const piece = await withOpenFile(file, { code: 'weights' }, (handle) => readRange(handle, offset, pieceBytes))
    if (piece.length > 0) yield piece
    if (piece.length < pieceBytes) return
    offset += piece.length
  }
}

/** A file of a snapshot. */
export interface CachedFile {
  /** In the repository, with `/`. */
  readonly path: string
  readonly place: string
  /** Where the contents lie, links followed. */
  readonly blob: string
  readonly bytes: number
}

/** The files of a snapshot; links that lead nowhere are left out. */
export async function snapshotFiles(model: string, commit: string, below = ''): Promise<readonly CachedFile[]> {
  const folder = path.join(snapshotFolder(model, commit), ...below.split('/'))
  if ((await pathFacts(folder))?.kind !== 'folder') return []
  const files: CachedFile[] = []
  for (const { name, kind } of await listFolder(folder)) {
    const at = below === '' ? name : `${below}/${name}`
    const place = path.join(folder, name)
    if (kind === 'folder') {
      files.push(...(await snapshotFiles(model, commit, at)))
      continue
    }
    const facts = await pathFacts(place)
    if (facts?.kind === 'file')
      files.push({ path: at, place, blob: await fileSystem().realPath(place), bytes: facts.sizeBytes })
  }
  return files
}

/** Commits of which there is a snapshot. */
export async function snapshotCommits(model: string): Promise<readonly string[]> {
  const folder = path.join(model, 'snapshots')
  if ((await pathFacts(folder))?.kind !== 'folder') return []
  return (await listFolder(folder)).flatMap(({ name, kind }) => (kind === 'folder' && isCommit(name) ? [name] : []))
}

/** Revisions by name, with what they stand for. */
export async function cachedRefs(model: string, below = ''): Promise<ReadonlyMap<string, string>> {
  const folder = path.join(model, 'refs', ...below.split('/'))
  const refs = new Map<string, string>()
  if ((await pathFacts(folder))?.kind !== 'folder') return refs
  for (const { name, kind } of await listFolder(folder)) {
    const at = below === '' ? name : `${below}/${name}`
    if (kind === 'folder') for (const [ref, commit] of await cachedRefs(model, at)) refs.set(ref, commit)
    else {
      const commit = await cachedCommit(model, at)
      if (commit !== undefined) refs.set(at, commit)
    }
  }
  return refs
}

/** The models in the cache. */
export async function cachedModels(root: string): Promise<readonly HubId[]> {
  if ((await pathFacts(root))?.kind !== 'folder') return []
  return (await listFolder(root)).flatMap(({ name, kind }) => {
    const [, repository] = /^models--(.+)$/s.exec(name) ?? []
    const id = kind === 'folder' ? parseHubId(repository?.replace('--', '/') ?? '') : undefined
    return id === undefined ? [] : [id]
  })
}
