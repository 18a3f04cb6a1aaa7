// A model of the hub as a folder on this machine: found in the cache, or fetched into it.
import * as path from 'node:path'
import { RegraftError, throwIfAborted } from '../errors.ts'
import { sha256OfFile } from '../files/digest.ts'
import { freeBytes } from '../files/free-bytes.ts'
import { isJsonObject, parseStrictJson, readJson } from '../files/strict-json.ts'
import { formatBytes } from '../format-bytes.ts'
import { inertName } from '../inert-text.ts'
import {
  type CachedFile,
  cachedCommit,
  modelFolder,
  placeInSnapshot,
  snapshotFiles,
  snapshotFolder,
  writeRef,
} from './cache-layout.ts'
import { fetchBlob, hasBlob } from './download.ts'
import { ask } from './http.ts'
import type { HubAccess } from './hub-events.ts'
import { type HubId, hubIdText, repositoryOf } from './hub-id.ts'
import { type HubSettings, hubSettings, hubToken } from './hub-settings.ts'
import { CONFIG_FILE, HEAD_FILE, isIndex, SAVED_FILE, shardsOf, WEIGHT_FILES } from './needed-files.ts'
import { type Pin, type Pins, readPins, writePins } from './pins.ts'
import { type Connection, lookAt, type RemoteFile } from './remote-file.ts'

export interface HubModel {
  readonly id: HubId
  readonly commit: string
  /** The snapshot: a model's folder. */
  readonly folder: string
  /** Folder of the model in the cache, into which the snapshot's links lead. */
  readonly cache: string
  readonly config: string
  readonly weights: string
  readonly licence: string | undefined
  /** The hub that it came from; undefined when another program fetched it. */
  readonly source: string | undefined
  /** What the files have to be, by path in the snapshot. */
  readonly pins: ReadonlyMap<string, Pin>
  /** Bytes that were fetched now. */
  readonly fetchedBytes: number
}

export interface HubModelOptions extends HubAccess {
  /** Asks the hub whether there is something newer even when the cache has the model. */
  readonly refresh?: boolean
  /** What is known of the licence without asking. */
  readonly licence?: string | undefined
  /** Looks at the configuration before the weights are fetched, and throws when they would be of no use; gives the licence, if it says. */
  readonly check?: (config: string) => Promise<string | undefined>
}

/**
 * Finds a model in the cache, or fetches it after a note that says size, source and licence.
 * @throws RegraftError 'weights' when it cannot be had; 'memory' when the disk has no room for it
 */
export async function hubModel(id: HubId, options: HubModelOptions = {}): Promise<HubModel> {
  const settings = hubSettings()
  const model = modelFolder(settings.root, id)
  const offline = options.offline || settings.offline
  if (offline || !options.refresh) {
    const commit = await cachedCommit(model, id.revision)
    const files = commit === undefined ? undefined : await cachedFiles(model, commit)
    if (commit !== undefined && files !== undefined) return await described(id, model, commit, files, options)
  }
  if (offline) {
    const how = options.offline ? '--offline' : 'HF_HUB_OFFLINE'
    throw new RegraftError(
      'weights',
      `${hubIdText(id)} is neither a path nor whole in the cache (${inertName(settings.root)}), and ${how} forbids to fetch it.\nRun 'regraft models pull ${hubIdText(id)}' where there is a network.`,
    )
  }
  const connection = { settings, token: await hubToken(settings), signal: options.signal }
  return await fetchModel(id, model, connection, options)
}

/** The files of a whole snapshot; undefined when some are missing. */
async function cachedFiles(model: string, commit: string): Promise<readonly CachedFile[] | undefined> {
  const there = new Map((await snapshotFiles(model, commit)).map((file) => [file.path, file]))
  const weights = WEIGHT_FILES.find((name) => there.has(name))
  if (weights === undefined || !there.has(CONFIG_FILE)) return undefined
  const names = [CONFIG_FILE, weights]
  if (isIndex(weights)) {
    const index = there.get(weights)?.place ?? ''
    names.push(...shardsOf(await readJson(index, { code: 'weights', allowProtoKey: true }), inertName(index)))
  }
  names.push(...[SAVED_FILE, HEAD_FILE].filter((name) => there.has(name)))
  const files = names.map((name) => there.get(name))
  return files.every((file) => file !== undefined) ? files : undefined
}

/** A model whose files are there: what it is, and, where that is not known yet, what its files are from now on. */
async function described(
  id: HubId,
  model: string,
  commit: string,
  files: readonly CachedFile[],
  options: HubModelOptions,
  fetched?: { readonly bytes: number; readonly source: string; readonly licence: string | undefined },
): Promise<HubModel> {
  const known = await readPins(model, commit)
  const pins = new Map(known.files)
  for (const file of files) if (!pins.has(file.path)) pins.set(file.path, await pinOf(file, options.signal))
  const source = known.source ?? fetched?.source
  const licence = fetched?.licence ?? known.licence ?? options.licence
  // A cache that may only be read serves as well.
  if (pins.size > known.files.size || licence !== known.licence)
    await writePins(model, commit, { source, licence, files: pins }).catch(() => undefined)
  const place = (names: readonly string[]) => files.find((file) => names.includes(file.path))?.place ?? ''
  return {
    id,
    commit,
    folder: snapshotFolder(model, commit),
    cache: model,
    config: place([CONFIG_FILE]),
    weights: place(WEIGHT_FILES),
    licence,
    source,
    pins,
    fetchedBytes: fetched?.bytes ?? 0,
  }
}

/** The digest of a file: its name in the blobs where that is one, so that nothing large is read twice. */
async function pinOf(
  { blob, bytes }: Pick<CachedFile, 'blob' | 'bytes'>,
  signal: AbortSignal | undefined,
): Promise<Pin> {
  const name = path.basename(blob)
  const sha256 = /^[0-9a-f]{64}$/.test(name) ? name : await sha256OfFile(blob, { code: 'weights', signal })
  return { bytes, sha256 }
}

async function fetchModel(
  id: HubId,
  model: string,
  connection: Connection,
  options: HubModelOptions,
): Promise<HubModel> {
  const { settings, signal } = connection
  const note = (message: string) => options.listener?.({ type: 'note', message })
  const config = await lookAt(id, CONFIG_FILE, connection)
  if (config === undefined) {
    throw new RegraftError(
      'weights',
      `${hubIdText(id)} has no config.json on the hub, so it is no model of timm or regraft.\nDownload its weight file and give the path.`,
    )
  }
  // From here on one commit, so that files of two never come together.
  const fixed: HubId = { ...id, revision: config.commit }
  const known = await readPins(model, config.commit)
  let beforeBytes = 0
  let totalBytes = 0
  const get = async (remote: RemoteFile): Promise<string> => {
    const blob = await fetchBlob(remote, connection, {
      model,
      onNote: note,
      onProgress(bytes) {
        if (totalBytes === 0) return
        const done = beforeBytes + bytes
        options.listener?.({ type: 'progress', phase: 'download', done, total: totalBytes, detail: remote.path })
      },
    })
    const pin = await pinOf({ blob, bytes: remote.bytes }, signal)
    refuseChanged(remote.path, pin, known, fixed)
    return await placeInSnapshot(settings, model, config.commit, remote.path, remote.etag)
  }
  // It is small, and says whether the rest is of use.
  const configFile = await get(config)
  const saidLicence = await options.check?.(configFile)
  const files = await neededBesides(fixed, connection, get)
  const licence = saidLicence ?? options.licence ?? (await licenceOf(fixed, connection))
  const missing: RemoteFile[] = []
  for (const remote of files) if (!(await hasBlob(model, remote))) missing.push(remote)
  if (missing.length > 0) {
    totalBytes = missing.reduce((sum, { bytes }) => sum + bytes, 0)
    await checkRoom(id, settings, totalBytes)
    note(
      `${hubIdText(id)}: fetching ${formatBytes(totalBytes)} from ${settings.endpoint}, licence ${inertName(licence ?? 'not stated', 100)}`,
    )
    options.listener?.({ type: 'phase', phase: 'download', total: totalBytes, unit: 'bytes' })
    for (const remote of missing) {
      await get(remote)
      beforeBytes += remote.bytes
    }
    options.listener?.({ type: 'phaseEnd', phase: 'download' })
  }
  for (const remote of files) if (!missing.includes(remote)) await get(remote)
  const there = await cachedFiles(model, config.commit)
  if (there === undefined) throw new Error(`the snapshot of ${hubIdText(fixed)} is not whole after it was fetched`)
  await writeRef(model, id.revision, config.commit)
  return await described(id, model, config.commit, there, options, {
    bytes: totalBytes,
    source: settings.endpoint,
    licence,
  })
}

/** @throws RegraftError 'memory' when the disk is too full */
async function checkRoom(id: HubId, { root }: HubSettings, neededBytes: number): Promise<void> {
  const free = await freeBytes(root)
  if (free === undefined || free >= neededBytes) return
  throw new RegraftError(
    'memory',
    `${hubIdText(id)} needs ${formatBytes(neededBytes)} on the disk of ${inertName(root)}, where ${formatBytes(free)} are free.\nFree some space, or set HF_HUB_CACHE to another disk.`,
  )
}

/** The same commit is the same files for ever. */
function refuseChanged(file: string, now: Pin, { files }: Pins, id: HubId): void {
  const pin = files.get(file)
  if (pin === undefined || pin.sha256 === now.sha256) return
  throw new RegraftError(
    'weights',
    `${hubIdText(id)}: the hub gives another ${inertName(file)} for this commit than when it was first used here.\nA commit never changes, so do not trust it. If you know why: 'regraft models rm ${repositoryOf(id)}', then pull it again.`,
  )
}

/** What is to be fetched beside the configuration. */
async function neededBesides(
  id: HubId,
  connection: Connection,
  get: (remote: RemoteFile) => Promise<string>,
): Promise<readonly RemoteFile[]> {
  const weights = await firstOf(id, WEIGHT_FILES, connection)
  if (weights === undefined) {
    throw new RegraftError(
      'weights',
      `${hubIdText(id)} has none of these files on the hub: ${WEIGHT_FILES.join(', ')}.`,
    )
  }
  const files: RemoteFile[] = []
  if (isIndex(weights.path)) {
    const index = await get(weights)
    const shards = shardsOf(await readJson(index, { code: 'weights', allowProtoKey: true }), inertName(index))
    for (const shard of shards) {
      throwIfAborted(connection.signal)
      const remote = await lookAt(id, shard, connection)
      if (remote === undefined)
        throw new RegraftError('weights', `${hubIdText(id)}: ${shard} is named by its index but is not on the hub.`)
      files.push(remote)
    }
  } else files.push(weights)
  const saved = await lookAt(id, SAVED_FILE, connection)
  const head = saved && (await lookAt(id, HEAD_FILE, connection))
  return [...[saved, head].filter((file) => file !== undefined), ...files]
}

async function firstOf(id: HubId, names: readonly string[], connection: Connection): Promise<RemoteFile | undefined> {
  for (const name of names) {
    const remote = await lookAt(id, name, connection)
    if (remote !== undefined) return remote
  }
  return undefined
}

const mostDescriptionBytes = 4 << 20

/** What the model's page says of its licence; undefined when nothing, or when nobody answers. */
async function licenceOf(id: HubId, { settings, token, signal }: Connection): Promise<string | undefined> {
  try {
    const address = `${settings.endpoint}/api/models/${repositoryOf(id)}/revision/${id.revision}`
    const answer = await ask(address, settings, { method: 'GET', token, signal })
    const parts: Uint8Array[] = []
    let bytes = 0
    for await (const piece of answer.pieces()) {
      parts.push(piece)
      bytes += piece.length
      if (answer.status !== 200 || bytes > mostDescriptionBytes) return undefined
    }
    const root = parseStrictJson(Buffer.concat(parts), { file: address, maxBytes: mostDescriptionBytes })
    const card = isJsonObject(root) ? root['cardData'] : undefined
    const licence = isJsonObject(card) ? (card['license_name'] ?? card['license']) : undefined
    return typeof licence === 'string' && licence !== '' ? licence : undefined
  } catch {
    throwIfAborted(signal)
    return undefined
  }
}
