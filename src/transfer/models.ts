// The verbs of `models`: pretrained models by name, what is known of them, and their files in the cache of the hub.
import * as path from 'node:path'
import { RegraftError, throwIfAborted } from '../errors.ts'
import { removeFolderAtomic } from '../files/atomic-folder.ts'
import { sha256OfFile } from '../files/digest.ts'
import { listFolder, pathFacts, removeFile, removeFolder } from '../files/folder.ts'
import { withOpenFile } from '../files/read-file.ts'
import {
  blobsFolder,
  cachedCommit,
  cachedModels,
  cachedRefs,
  modelFolder,
  snapshotCommits,
  snapshotFiles,
  snapshotFolder,
} from '../hub/cache-layout.ts'
import { blobDigest } from '../hub/download.ts'
import type { HubAccess } from '../hub/hub-events.ts'
import { type HubId, hubIdText, parseHubId, repositoryOf } from '../hub/hub-id.ts'
import { hubSettings } from '../hub/hub-settings.ts'
import { hasPins, readPins } from '../hub/pins.ts'
import { inertName } from '../inert-text.ts'
import { type Card, cards, isBuilt } from '../model/cards.ts'
import { DEFAULT_MODEL, embeddedModels, hubIdOf, modelOfHub, modelsFolder } from '../model/find-model.ts'
import { readSavedModel } from '../model/saved-model.ts'
import { readTimmConfig } from '../model/timm-config.ts'

/** A model by its name. */
export interface ModelEntry {
  readonly name: string
  /** Comes with the package, lies on the hub. */
  readonly place: 'package' | 'hub'
  /** `owner/name` on the hub. */
  readonly repository: string | null
  readonly architecture: string | null
  /** Whether regraft builds this network; null when the network is not known. */
  readonly built: boolean | null
  readonly licence: string | null
  /** Whether the licence stands on the card, or was read from the hub or the package. */
  readonly licenceFrom: 'card' | 'hub' | 'package' | null
  /** Side of the pictures that the figures are for. */
  readonly imgSize: number | null
  /** In millions. */
  readonly parameters: number | null
  /** Multiply-adds a picture, in thousand millions. */
  readonly gigaMultiplyAdds: number | null
  /** Accuracy on ImageNet, 0…1. */
  readonly top1: number | null
  readonly use: string | null
  /** What lies on this machine; null when nothing does. */
  readonly cached: { readonly bytes: number; readonly revisions: readonly CachedRevision[] } | null
}

export interface CachedRevision {
  readonly commit: string
  /** Branches and tags that stood for it. */
  readonly names: readonly string[]
  readonly folder: string
  /** The hub that it came from; null when another program fetched it. */
  readonly source: string | null
  readonly files: readonly ModelFile[]
}

export interface ModelFile {
  readonly path: string
  readonly bytes: number
  /** As it was pinned, or as the package says; null when nothing is known. */
  readonly sha256: string | null
}

export interface PulledModel {
  readonly name: string
  readonly commit: string
  readonly folder: string
  readonly licence: string | null
  readonly fetchedBytes: number
  readonly files: readonly ModelFile[]
}

export interface VerifiedFile {
  readonly name: string
  readonly commit: string | null
  readonly path: string
  readonly sha256: string | null
  /** What it was compared with: the digest pinned on first use, the digest by which the hub names it, the list in the package. */
  readonly against: readonly ('pin' | 'hub' | 'package')[]
  /** null when all is well. */
  readonly problem: string | null
}

export interface RemovedModel {
  readonly name: string
  readonly folder: string
  readonly bytes: number
}

/** The models that come with the package, those with cards, and those of the hub that were used here. */
export async function listModels(): Promise<readonly ModelEntry[]> {
  const entries: ModelEntry[] = []
  for (const name of embeddedModels()) entries.push(await packageEntry(name))
  for (const card of cards) entries.push(await hubEntry(idOf(card.repository), card))
  for (const id of await usedModels()) {
    if (!cards.some(({ repository }) => repository === repositoryOf(id))) entries.push(await hubEntry(id, undefined))
  }
  return entries
}

/** @throws RegraftError 'weights' for a name that is none */
export async function modelInfo(name: string): Promise<ModelEntry> {
  const embedded = embeddedName(name)
  if (embedded !== undefined) return packageEntry(embedded)
  const id = known(name)
  return await hubEntry(id, cardOf(id))
}

/** Fetches the newest files of a model's revision, as far as they are not there. @throws RegraftError 'weights', 'memory' */
export async function pullModel(name: string, access: HubAccess): Promise<PulledModel> {
  if (embeddedName(name) !== undefined) {
    throw new RegraftError('usage', `${inertName(name)} comes with regraft; there is nothing to fetch.`)
  }
  const { id, commit, folder, licence, fetchedBytes, pins } = await modelOfHub(known(name), {
    ...access,
    refresh: true,
  })
  const files = [...pins].map(([file, pin]) => ({ path: file, ...pin }))
  return { name: hubIdText(id), commit, folder, licence: licence ?? null, fetchedBytes, files }
}

/**
 * Reads every file and compares it with its digests.
 * @param names  all that regraft has used when empty
 * @throws RegraftError 'weights' for a model that is not there
 */
export async function verifyModels(names: readonly string[], signal?: AbortSignal): Promise<readonly VerifiedFile[]> {
  if (names.length === 0) {
    const used = (await usedModels()).map(repositoryOf)
    return await verifyModels([...embeddedModels(), ...used], signal)
  }
  const verified: VerifiedFile[] = []
  for (const name of names) {
    const embedded = embeddedName(name)
    if (embedded !== undefined) verified.push(...(await verifyPackage(embedded, signal)))
    else verified.push(...(await verifyCached(known(name), name.includes('@'), signal)))
  }
  return verified
}

/** Removes a model from the cache, or one revision of it. @throws RegraftError 'weights' when it is not there */
export async function removeModel(name: string): Promise<RemovedModel> {
  if (embeddedName(name) !== undefined)
    throw new RegraftError('usage', `${inertName(name)} comes with regraft and is not in the cache.`)
  const id = known(name)
  const { root } = hubSettings()
  const model = modelFolder(root, id)
  if ((await pathFacts(model))?.kind !== 'folder') throw notCached(id)
  const before = await bytesBelow(model)
  if (name.includes('@')) {
    const folder = await removeRevision(model, id)
    return { name: hubIdText(id), folder, bytes: before - (await bytesBelow(model)) }
  }
  await removeFolderAtomic(model)
  await removeFolder(path.join(root, '.locks', path.basename(model)))
  return { name: hubIdText(id), folder: model, bytes: before }
}

function embeddedName(name: string): string | undefined {
  const full = name === 'default' ? DEFAULT_MODEL : name
  return embeddedModels().includes(full) ? full : undefined
}

function known(name: string): HubId {
  const id = hubIdOf(name)
  if (id !== undefined) return id
  throw new RegraftError(
    'weights',
    `'${inertName(name, 200)}' is neither a name that 'regraft models list' has nor owner/name of the hub.\nFor files and folders there is 'regraft inspect'.`,
  )
}

function idOf(repository: string): HubId {
  const id = parseHubId(repository)
  if (id === undefined) throw new Error(`${repository} is no name of the hub`)
  return id
}

function cardOf(id: HubId): Card | undefined {
  return cards.find(({ repository }) => repository === repositoryOf(id))
}

function notCached(id: HubId): RegraftError {
  const { root } = hubSettings()
  return new RegraftError('weights', `${hubIdText(id)} is not in the cache (${inertName(root)}).`)
}

/** Models in the cache that regraft has used; the cache may hold much that is no concern of ours. */
async function usedModels(): Promise<readonly HubId[]> {
  const { root } = hubSettings()
  const used: HubId[] = []
  for (const id of await cachedModels(root)) if (await hasPins(modelFolder(root, id))) used.push(id)
  return used
}

async function packageEntry(name: string): Promise<ModelEntry> {
  const folder = path.join(modelsFolder, name)
  const config = await readTimmConfig(path.join(folder, 'config.json'))
  const digests = (await readSavedModel(path.join(folder, 'regraft.json')))?.digests ?? new Map<string, string>()
  const files: ModelFile[] = []
  for (const { name: file } of await listFolder(folder)) {
    const facts = await pathFacts(path.join(folder, file))
    files.push({ path: file, bytes: facts?.sizeBytes ?? 0, sha256: digests.get(file) ?? null })
  }
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0)
  return {
    name,
    place: 'package',
    repository: null,
    architecture: config.architecture,
    built: isBuilt(config.architecture),
    licence: config.license ?? null,
    licenceFrom: config.license === undefined ? null : 'package',
    imgSize: config.preprocessing.width,
    parameters: null,
    gigaMultiplyAdds: null,
    top1: null,
    use: name === DEFAULT_MODEL ? 'the default: comes along; networks of ImageNet know more' : null,
    cached: { bytes, revisions: [{ commit: '', names: [], folder, source: null, files }] },
  }
}

async function hubEntry(id: HubId, card: Card | undefined): Promise<ModelEntry> {
  const model = modelFolder(hubSettings().root, id)
  const refs = [...(await cachedRefs(model))]
  const revisions: CachedRevision[] = []
  let licence: string | undefined
  let config: string | undefined
  for (const commit of await snapshotCommits(model)) {
    const pins = await readPins(model, commit)
    const files = await snapshotFiles(model, commit)
    config ??= files.find((file) => file.path === 'config.json')?.place
    licence ??= pins.licence
    revisions.push({
      commit,
      names: refs.flatMap(([name, at]) => (at === commit ? [name] : [])),
      folder: snapshotFolder(model, commit),
      source: pins.source ?? null,
      files: files.map((file) => ({
        path: file.path,
        bytes: file.bytes,
        sha256: pins.files.get(file.path)?.sha256 ?? null,
      })),
    })
  }
  const architecture = card?.architecture ?? (await architectureIn(config))
  return {
    name: card?.name ?? repositoryOf(id),
    place: 'hub',
    repository: repositoryOf(id),
    architecture: architecture ?? null,
    built: architecture === undefined ? null : isBuilt(architecture),
    licence: licence ?? card?.licence ?? null,
    licenceFrom: licence !== undefined && licence !== card?.licence ? 'hub' : card === undefined ? null : 'card',
    imgSize: card?.imgSize ?? null,
    parameters: card?.parameters ?? null,
    gigaMultiplyAdds: card?.gigaMultiplyAdds ?? null,
    top1: card?.top1 ?? null,
    use: card?.use ?? null,
    cached: revisions.length === 0 ? null : { bytes: await bytesBelow(model), revisions },
  }
}

/** What a configuration says, where it is one of timm. */
async function architectureIn(config: string | undefined): Promise<string | undefined> {
  if (config === undefined) return undefined
  try {
    return (await readTimmConfig(config)).architecture
  } catch (error) {
    if (error instanceof RegraftError) return undefined
    throw error
  }
}

async function verifyPackage(name: string, signal: AbortSignal | undefined): Promise<readonly VerifiedFile[]> {
  const folder = path.join(modelsFolder, name)
  const saved = await readSavedModel(path.join(folder, 'regraft.json'))
  const verified: VerifiedFile[] = []
  for (const [file, expected] of saved?.digests ?? []) {
    const sha256 = await sha256OfFile(path.join(folder, file), { code: 'weights', signal })
    const problem = sha256 === expected ? null : 'is not as it was published'
    verified.push({ name, commit: null, path: file, sha256, against: ['package'], problem })
  }
  return verified
}

async function verifyCached(
  id: HubId,
  oneRevision: boolean,
  signal: AbortSignal | undefined,
): Promise<readonly VerifiedFile[]> {
  const model = modelFolder(hubSettings().root, id)
  const wanted = oneRevision ? await cachedCommit(model, id.revision) : undefined
  const commits = (await snapshotCommits(model)).filter((commit) => !oneRevision || commit === wanted)
  if (commits.length === 0) throw notCached(id)
  const verified: VerifiedFile[] = []
  for (const commit of commits) {
    const { files: pins } = await readPins(model, commit)
    const files = await snapshotFiles(model, commit)
    const common = { name: cardOf(id)?.name ?? repositoryOf(id), commit }
    for (const file of files) {
      throwIfAborted(signal)
      const inBlobs = path.basename(path.dirname(file.blob)) === 'blobs'
      const digest = inBlobs ? path.basename(file.blob) : ''
      const actual = await withOpenFile(file.blob, { code: 'weights' }, (handle) =>
        blobDigest(handle, digest, file.bytes),
      )
      const sha256 =
        digest.length === 64 && actual ? actual : await sha256OfFile(file.blob, { code: 'weights', signal })
      const pin = pins.get(file.path)
      const against: VerifiedFile['against'] = [
        ...(pin === undefined ? [] : ['pin' as const]),
        ...(actual === undefined ? [] : ['hub' as const]),
      ]
      const problem =
        actual !== undefined && actual !== digest
          ? 'is not what the hub named it by: damaged on this disk'
          : pin !== undefined && pin.sha256 !== sha256
            ? 'is not what it was when it was first used'
            : null
      verified.push({ ...common, path: file.path, sha256, against, problem })
    }
    for (const missing of [...pins.keys()].filter((name) => !files.some((file) => file.path === name)))
      verified.push({ ...common, path: missing, sha256: null, against: ['pin'], problem: 'is missing' })
  }
  return verified
}

/** One snapshot, the names that stand for it, and the blobs that no other needs. */
async function removeRevision(model: string, id: HubId): Promise<string> {
  const commit = await cachedCommit(model, id.revision)
  const folder = commit === undefined ? undefined : snapshotFolder(model, commit)
  if (commit === undefined || folder === undefined || (await pathFacts(folder)) === undefined) throw notCached(id)
  for (const [name, at] of await cachedRefs(model))
    if (at === commit) await removeFile(path.join(model, 'refs', ...name.split('/')))
  await removeFolderAtomic(folder)
  const needed = new Set<string>()
  for (const other of await snapshotCommits(model))
    for (const { blob } of await snapshotFiles(model, other)) needed.add(path.basename(blob))
  const blobs = blobsFolder(model)
  for (const { name } of (await pathFacts(blobs)) === undefined ? [] : await listFolder(blobs)) {
    // One that is still coming may be another program's.
    if (!needed.has(name) && !name.endsWith('.incomplete')) await removeFile(path.join(blobs, name))
  }
  return folder
}

/** Links count nothing: what they lead to is counted where it lies. */
async function bytesBelow(folder: string): Promise<number> {
  let bytes = 0
  if ((await pathFacts(folder)) === undefined) return bytes
  for (const { name, kind } of await listFolder(folder)) {
    const at = path.join(folder, name)
    if (kind === 'folder') bytes += await bytesBelow(at)
    else if (kind === 'file') bytes += (await pathFacts(at))?.sizeBytes ?? 0
  }
  return bytes
}
