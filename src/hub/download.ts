// One file from the hub into the blobs of the cache: resumed, checked, and under its name only when it is whole.
import { createHash } from 'node:crypto'
import * as path from 'node:path'
import { RegraftError, throwIfAborted } from '../errors.ts'
import { writeAll } from '../files/atomic-write.ts'
import { diskError } from '../files/disk-error.ts'
import { fileSystem, type OpenFile } from '../files/file-system.ts'
import { createFolder, pathFacts, removeFile, syncFolder } from '../files/folder.ts'
import { readRange, withOpenFile } from '../files/read-file.ts'
import { describeContent, recogniseContent } from '../files/recognise.ts'
import { inertName } from '../inert-text.ts'
import { blobsFolder } from './cache-layout.ts'
import { type Answer, ask, ConnectionTrouble } from './http.ts'
import { type LockTimes, withLock } from './lock.ts'
import { type Connection, isPassing, pause, type RemoteFile, unreachable } from './remote-file.ts'

export interface DownloadOptions {
  /** Folder of the model in the cache. */
  readonly model: string
  /** Bytes of this file that are there, each time some more are. */
  readonly onProgress: (bytes: number) => void
  readonly onNote: (message: string) => void
  readonly lockTimes?: LockTimes
}

/** Attempts that bring nothing. */
const mostFruitless = 4
const firstPauseMs = 500

/**
 * Fetches a file, or goes on with what an interrupted attempt has left.
 * @returns the path of the blob
 * @throws RegraftError 'weights' when the hub cannot be reached, or what it gives is not what it promised; 'memory' of the disk
 */
export async function fetchBlob(remote: RemoteFile, connection: Connection, options: DownloadOptions): Promise<string> {
  const blobs = blobsFolder(options.model)
  const blob = path.join(blobs, remote.etag)
  if (await hasBlob(options.model, remote)) return blob
  await createFolder(blobs)
  const lock = path.join(path.dirname(options.model), '.locks', path.basename(options.model), `${remote.etag}.regraft`)
  const lockOptions = {
    signal: connection.signal,
    onWait: () => options.onNote(`${remote.path}: another process fetches it; waiting for that.`),
    ...(options.lockTimes && { times: options.lockTimes }),
  }
  await withLock(lock, lockOptions, async () => {
    if (await hasBlob(options.model, remote)) return
    const partial = `${blob}.incomplete`
    await complete(remote, partial, connection, options)
    try {
      await fileSystem().rename(partial, blob)
    } catch (error) {
      throw diskError(error, { verb: 'put in place', path: blob })
    }
    await syncFolder(blobs)
  })
  return blob
}

/** Whether the contents are in the cache; one of another length is none. */
export async function hasBlob(model: string, { etag, bytes }: RemoteFile): Promise<boolean> {
  return (await pathFacts(path.join(blobsFolder(model), etag)))?.sizeBytes === bytes
}

/** Makes the partial file whole. */
async function complete(
  remote: RemoteFile,
  partial: string,
  connection: Connection,
  options: DownloadOptions,
): Promise<void> {
  let fruitless = 0
  let ranges = true
  for (;;) {
    const before = ranges ? ((await pathFacts(partial))?.sizeBytes ?? 0) : 0
    const start = before <= remote.bytes ? before : 0
    try {
      if (start < remote.bytes || start === 0) await receive(remote, partial, start, connection, options)
    } catch (error) {
      if (!(error instanceof ConnectionTrouble)) throw error
      const now = (await pathFacts(partial))?.sizeBytes ?? 0
      fruitless = now > before ? 1 : fruitless + 1
      if (fruitless === mostFruitless) throw await stuck(error, partial, remote, connection)
      await pause(firstPauseMs * 2 ** (fruitless - 1), connection.signal)
      throwIfAborted(connection.signal)
      continue
    }
    const problem = await problemOf(remote, partial)
    if (problem === undefined) return
    await removeFile(partial)
    // What was left of another attempt may be to blame: once from the beginning.
    if (start > 0 && ranges) ranges = false
    else throw new RegraftError('weights', `${remote.address}: ${problem}`, { file: partial })
  }
}

async function stuck(trouble: ConnectionTrouble, partial: string, remote: RemoteFile, connection: Connection) {
  const bytes = (await pathFacts(partial))?.sizeBytes ?? 0
  const { message, cause } = unreachable(connection.settings, trouble)
  const kept =
    bytes > 0 ? `\n${bytes} of ${remote.bytes} bytes of ${remote.path} are kept; the next attempt goes on there.` : ''
  return new RegraftError('weights', message + kept, { cause })
}

/** One request: appends what comes, or begins anew where the server knows no ranges. */
async function receive(
  remote: RemoteFile,
  partial: string,
  start: number,
  connection: Connection,
  options: DownloadOptions,
): Promise<void> {
  const answer = await ask(remote.address, connection.settings, {
    ...connection,
    method: 'GET',
    ...(start > 0 && { headers: { range: `bytes=${start}-` } }),
  })
  const from = await beginningOf(answer, remote, start)
  const fail = (problem: string) => new RegraftError('weights', `${remote.address}: ${problem}`)
  const handle = await opened(partial, from)
  let at = from
  let whole = false
  let worthless = false
  try {
    for await (const piece of answer.pieces()) {
      throwIfAborted(connection.signal)
      if (at === from) checkBeginning(answer, piece, from, remote)
      if (at + piece.length > remote.bytes) {
        worthless = true
        throw fail(
          `more comes than the ${remote.bytes} bytes that the hub promised.\nTry again later, or use another network.`,
        )
      }
      if ((await handle.facts()).sizeBytes !== at) {
        throw new RegraftError(
          'weights',
          `Another program writes to ${inertName(partial)} too.\nTry again when it is done.`,
          {
            file: partial,
          },
        )
      }
      await write(handle, piece, partial, remote)
      at += piece.length
      options.onProgress(at)
    }
    whole = at === remote.bytes
    if (whole) await handle.sync()
  } catch (error) {
    if (worthless || at === 0) await removeFile(partial)
    throw error
  } finally {
    await handle.close()
  }
  if (!whole) throw new ConnectionTrouble(`the connection ended after ${at} of ${remote.bytes} bytes`, undefined)
}

async function opened(partial: string, from: number): Promise<OpenFile> {
  try {
    return await fileSystem().open(partial, from > 0 ? 'append' : 'overwrite')
  } catch (error) {
    throw diskError(error, { verb: 'write', path: partial })
  }
}

async function write(handle: OpenFile, piece: Uint8Array, partial: string, { bytes }: RemoteFile): Promise<void> {
  try {
    await writeAll(handle, piece)
  } catch (error) {
    throw diskError(error, { verb: 'write', path: partial, neededBytes: bytes })
  }
}

/** From which byte on the answer is. @throws ConnectionTrouble, RegraftError */
async function beginningOf(answer: Answer, remote: RemoteFile, start: number): Promise<number> {
  const { status, headers } = answer
  if (status === 200) return 0
  const [, from, , size] = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(headers.get('content-range') ?? '') ?? []
  if (status === 206 && start > 0 && Number(from) === start && (size === '*' || Number(size) === remote.bytes))
    return start
  await answer.close()
  if (isPassing(status)) throw new ConnectionTrouble(`the server answers with status ${status}`, undefined)
  const what = status === 206 || status === 416 ? 'gives another part than the one asked for' : 'refuses the file'
  throw new RegraftError('weights', `${answer.url.origin} ${what} (status ${status}): ${remote.address}`)
}

/** @throws RegraftError 'weights' for what is seen at once not to be the file */
function checkBeginning({ headers, url }: Answer, piece: Uint8Array, from: number, remote: RemoteFile): void {
  const fail = (problem: string) => new RegraftError('weights', `${remote.address}: ${url.origin} ${problem}`)
  const content = from === 0 ? recogniseContent(piece) : undefined
  if (content === 'html' || content === 'git-lfs-pointer') throw fail(`gives ${describeContent(content)}`)
  const declared = headers.get('content-length')
  if (declared === null || Number(declared) === remote.bytes - from) return
  throw fail(
    `announces ${declared} bytes where ${remote.bytes - from} are to come.\nTry again later, or use another network.`,
  )
}

/** What is wrong with a file of the right length. */
async function problemOf(remote: RemoteFile, file: string): Promise<string | undefined> {
  return withOpenFile(file, { code: 'weights' }, async (handle) => {
    const content = recogniseContent(await readRange(handle, 0, 512))
    if (content === 'html' || content === 'git-lfs-pointer') return `the file is ${describeContent(content)}`
    const digest = await blobDigest(handle, remote.etag, remote.bytes)
    if (digest === undefined || digest === remote.etag) return undefined
    return `what came is not what the hub promised: its digest begins with ${digest.slice(0, 12)}, not with ${remote.etag.slice(0, 12)}.\nNothing was kept. Try again later, or use another network.`
  })
}

/**
 * The digest by which the hub names contents: SHA-256 where the name has 64 digits, git's SHA-1 where it has 40.
 * @returns undefined for other names, which tell nothing of the contents
 */
export async function blobDigest(handle: OpenFile, name: string, bytes: number): Promise<string | undefined> {
  const kind = /^[0-9a-f]{64}$/.test(name) ? 'sha256' : /^[0-9a-f]{40}$/.test(name) ? 'sha1' : undefined
  if (kind === undefined) return undefined
  const hash = createHash(kind)
  if (kind === 'sha1') hash.update(`blob ${bytes}\0`)
  const piece = new Uint8Array(1 << 20)
  for (let at = 0; ; ) {
    const count = await handle.read(piece, at)
    if (count === 0) return hash.digest('hex')
    hash.update(piece.subarray(0, count))
    at += count
  }
}
