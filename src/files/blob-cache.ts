// A folder of small files that can all be made again: bounded, shared by whoever runs at the same time, and never trusted. Entries of
// one kind and size lie in a shelf. Nothing is synced: what a power cut spoils is found by its checksum and made again.
import * as path from 'node:path'
import { RegraftError } from '../errors.ts'
import { writeAll } from './atomic-write.ts'
import { sha256 } from './digest.ts'
import { systemCode } from './disk-error.ts'
import { fileSystem } from './file-system.ts'
import { createFolder, listFolder, pathFacts, removeFolder } from './folder.ts'
import { readFileLimited } from './read-file.ts'
import { readJson, writeJson } from './strict-json.ts'
import { leftoversIn, releaseTemporaryName, takeTemporaryName } from './temporary-names.ts'

export interface BlobShelf {
  /** Whether there seems to be such an entry; `read` knows better. */
  has(key: string): boolean
  /** The bytes as they were written, or undefined: missing, or damaged and therefore removed. */
  read(key: string): Promise<Uint8Array | undefined>
  /** Keeps an entry if there is room for it. @throws nothing: a disk that takes no more only ends the keeping */
  write(key: string, bytes: Uint8Array): Promise<void>
}

export interface ShelfOptions {
  /** Bytes of all shelves of the folder together. */
  readonly maxBytes: number
  /** What lies here, in hexadecimal; others in the same folder give way, the longest unused first. */
  readonly shelf: string
  /** Bytes of every entry. */
  readonly entryBytes: number
  /** Hears once of a disk that takes no more. */
  readonly onProblem: (message: string) => void
}

const CHECKSUM_BYTES = 32
const NOTE = 'shelf.json'
const shelfName = /^[0-9a-f]{64}$/
const entryName = /^[0-9a-f]{64}$/
/** Others may write as well: how much there is is counted anew after so many entries. */
const COUNT_EVERY = 512

/**
 * Opens a shelf of a folder, making both if needed. The shelves of the folder are known by their names and notes; anything else in it
 * is left alone.
 * @throws RegraftError of the disk when the folder cannot be used at all
 */
export async function openShelf(folder: string, options: ShelfOptions): Promise<BlobShelf> {
  const { maxBytes, shelf, entryBytes } = options
  const at = path.join(folder, shelf)
  await createFolder(at)
  // Written at each opening: its time says when the shelf was last used.
  await writeJson(path.join(at, NOTE), { regraft: 'cache', entryBytes })
  for (const leftover of await leftoversIn(at)) await remove(leftover)
  const fileBytes = entryBytes + CHECKSUM_BYTES
  const known = new Set((await listFolder(at)).flatMap(({ name }) => (entryName.test(name) ? [name] : [])))
  let otherBytes = await bytesOfOthers(folder, shelf)
  let sinceCount = 0
  let taking = true

  /** Whether there is room for one more, after others had to give way. */
  const makeRoom = async (): Promise<boolean> => {
    const room = () => otherBytes + (known.size + 1) * fileBytes <= maxBytes
    if (sinceCount++ >= COUNT_EVERY) {
      sinceCount = 0
      otherBytes = await bytesOfOthers(folder, shelf)
    }
    if (room()) return true
    if ((known.size + 1) * fileBytes > maxBytes) return false
    for (const other of await othersByAge(folder, shelf)) {
      await removeFolder(path.join(folder, other.name)).catch(() => undefined)
      otherBytes = await bytesOfOthers(folder, shelf)
      if (room()) return true
    }
    return room()
  }

  return {
    has: (key) => known.has(key),
    async read(key) {
      const file = path.join(at, key)
      try {
        const bytes = await readFileLimited(file, fileBytes, { code: 'data' })
        const contents = bytes.subarray(CHECKSUM_BYTES)
        const whole = bytes.length === fileBytes && Buffer.from(bytes.subarray(0, CHECKSUM_BYTES)).toString('hex')
        if (whole === checksum(key, contents)) return contents
      } catch (error) {
        if (!(error instanceof RegraftError)) throw error
      }
      known.delete(key)
      await remove(file)
      return undefined
    },
    async write(key, bytes) {
      if (bytes.length !== entryBytes) throw new Error(`an entry of ${bytes.length} bytes, not ${entryBytes}`)
      if (!taking || known.has(key)) return
      try {
        if (!(await makeRoom())) return
        await put(path.join(at, key), [Buffer.from(checksum(key, bytes), 'hex'), bytes])
        known.add(key)
      } catch (error) {
        taking = false
        const reason = systemCode(error) ?? (error instanceof Error ? error.message : String(error))
        options.onProblem(`The cache ${folder} takes no more (${reason}); what is not in it is computed each time.`)
      }
    },
  }
}

/** Of the key too, so that an entry under another's name is found. */
function checksum(key: string, contents: Uint8Array): string {
  return sha256(Buffer.concat([Buffer.from(key), contents]))
}

/** Another process that writes the same entry at the same time writes the same bytes: the last one stays. */
async function put(target: string, pieces: readonly Uint8Array[]): Promise<void> {
  const temporary = takeTemporaryName(target)
  try {
    const handle = await fileSystem().open(temporary, 'create')
    try {
      for (const piece of pieces) await writeAll(handle, piece)
    } finally {
      await handle.close()
    }
    await fileSystem().rename(temporary, target)
  } catch (error) {
    await remove(temporary)
    throw error
  } finally {
    releaseTemporaryName(temporary)
  }
}

/** Failing to do so harms nothing. */
async function remove(file: string): Promise<void> {
  await fileSystem()
    .unlink(file)
    .catch(() => undefined)
}

interface Other {
  readonly name: string
  readonly usedMs: number
  readonly bytes: number
}

async function bytesOfOthers(folder: string, own: string): Promise<number> {
  return (await othersByAge(folder, own)).reduce((sum, { bytes }) => sum + bytes, 0)
}

/** The other shelves, the longest unused first. What is none, or cannot be looked at, is left out. */
async function othersByAge(folder: string, own: string): Promise<readonly Other[]> {
  const others: Other[] = []
  for (const { name, kind } of await listFolder(folder)) {
    if (kind !== 'folder' || name === own || !shelfName.test(name)) continue
    const note = path.join(folder, name, NOTE)
    try {
      const facts = await pathFacts(note)
      const said: unknown = facts && (await readJson(note, { code: 'data' }))
      const { regraft, entryBytes } = (said ?? {}) as { regraft?: unknown; entryBytes?: unknown }
      if (facts === undefined || regraft !== 'cache' || typeof entryBytes !== 'number') continue
      const entries = (await listFolder(path.join(folder, name))).filter((entry) => entryName.test(entry.name))
      others.push({ name, usedMs: facts.modifiedMs, bytes: entries.length * (entryBytes + CHECKSUM_BYTES) })
    } catch {
      // Another process may be removing it.
    }
  }
  return others.sort((a, b) => a.usedMs - b.usedMs)
}
