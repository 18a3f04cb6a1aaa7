import * as path from 'node:path'
import { RegraftError } from '../errors.ts'
import { inertName } from '../inert-text.ts'
import { diskError, systemCode } from './disk-error.ts'
import { type FileFacts, type FileKind, fileSystem } from './file-system.ts'

/** Makes a folder and the ones above it; fine when it is there already. */
export async function createFolder(folder: string): Promise<void> {
  const fs = fileSystem()
  const missing: string[] = []
  let at = path.resolve(folder)
  for (;;) {
    const facts = await pathFacts(at)
    if (facts?.kind === 'folder') break
    if (facts !== undefined) {
      const message = `Could not create the folder ${inertName(folder)}: ${inertName(at)} is a file.`
      throw new RegraftError('usage', message, { file: folder })
    }
    missing.push(at)
    const above = path.dirname(at)
    if (above === at) break
    at = above
  }
  for (const next of missing.reverse()) {
    try {
      await fs.makeFolder(next)
    } catch (error) {
      // Another process may have been quicker.
      if (systemCode(error) !== 'EEXIST') throw diskError(error, { verb: 'create the folder', path: next })
    }
    await syncFolder(path.dirname(next))
  }
}

/** The entries of a folder, sorted by code point so that no locale and no disk decides the order. */
export async function listFolder(
  folder: string,
): Promise<readonly { readonly name: string; readonly kind: FileKind }[]> {
  try {
    const entries = await fileSystem().list(folder)
    return entries.toSorted((a, b) => compareCodePoints(a.name, b.name))
  } catch (error) {
    throw diskError(error, { verb: 'list', path: folder })
  }
}

/** What lies at a path, links followed; undefined when nothing does. */
export async function pathFacts(at: string): Promise<FileFacts | undefined> {
  try {
    return await fileSystem().facts(at)
  } catch (error) {
    const code = systemCode(error)
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw diskError(error, { verb: 'look at', path: at })
  }
}

/** Removes a file; fine when there is none. */
export async function removeFile(file: string): Promise<void> {
  try {
    await fileSystem().unlink(file)
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw diskError(error, { verb: 'remove', path: file })
  }
}

/** Removes a folder and all in it; links are removed, not followed. Fine when there is none. */
export async function removeFolder(folder: string): Promise<void> {
  if ((await pathFacts(folder)) === undefined) return
  const folders: string[] = []
  const waiting = [folder]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    folders.push(next)
    for (const entry of await listFolder(next)) {
      const child = path.join(next, entry.name)
      if (entry.kind === 'folder') waiting.push(child)
      else await removeFile(child)
    }
  }
  for (const emptied of folders.reverse()) {
    try {
      await fileSystem().removeEmptyFolder(emptied)
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw diskError(error, { verb: 'remove the folder', path: emptied })
    }
  }
}

/**
 * Makes the names in a folder last through a power cut. Windows cannot open folders, and some network disks cannot
 * sync them; there the operating system keeps its own promises.
 */
export async function syncFolder(folder: string): Promise<void> {
  const cannot = new Set(['EACCES', 'EPERM', 'EISDIR', 'EINVAL', 'ENOTSUP', 'ENOSYS', 'EBADF'])
  try {
    const handle = await fileSystem().openFolder(folder)
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  } catch (error) {
    if (!cannot.has(systemCode(error) ?? '')) throw diskError(error, { verb: 'sync the folder', path: folder })
  }
}

/** Order of Unicode code points, the same in every locale. */
export function compareCodePoints(a: string, b: string): number {
  let i = 0
  while (i < a.length && i < b.length && a.charCodeAt(i) === b.charCodeAt(i)) i++
  if (i === a.length || i === b.length) return a.length - b.length
  const left = a.charCodeAt(i)
  const right = b.charCodeAt(i)
  // In UTF-16 surrogates (U+10000 and above) sort below U+E000…U+FFFF; lift them.
  return rank(left) - rank(right)
}

function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit
}
