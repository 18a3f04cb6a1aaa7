import { join } from 'node:path'
import { breathing } from '../breath.ts'
import { throwIfAborted } from '../errors.ts'
import { reasonOf } from './bad-file.ts'
import { sortedByCodePoint } from './code-point-order.ts'
import { entriesOf, lookAt, realPathOf } from './disk.ts'
import { imageExtensions, unreadable, unreadableExtensions } from './image-kind.ts'
import { extensionOf, isInside, isJunk } from './walk-files.ts'

/** A picture by its name, or why what looks like one is none. */
export interface WalkedFile {
  /** Relative to the folder walked, with '/'. */
  readonly path: string
  /** Absolute. */
  readonly file: string
  readonly reason?: string
}

/**
 * The pictures under a folder in code point order of their paths, as they are found: what is kept in memory are the names of one
 * folder and of those above it. Hidden and system files never count. A link to a folder outside is followed, once; the inside is
 * read anyway.
 */
export async function* walkInOrder(root: string, signal?: AbortSignal): AsyncGenerator<WalkedFile, void, undefined> {
  const realRoot = await realPathOf(root)
  const followed = new Set([realRoot])
  const breath = breathing()
  const open: Named[][] = [[{ path: '', kind: 'folder' }]]
  for (let names = open.at(-1); names !== undefined; names = open.at(-1)) {
    throwIfAborted(signal)
    const next = names.shift()
    if (next === undefined) {
      open.pop()
      continue
    }
    const { path, kind } = next
    const file = join(root, path)
    if (breath.due()) await breath.pause()
    if (kind === 'folder') {
      try {
        open.push(await namesIn(root, path))
      } catch (cause) {
        const reason = path === '' ? undefined : reasonOf(cause)
        if (reason === undefined) throw cause
        yield { path, file, reason: `cannot be looked into: it ${reason}` }
      }
    } else if (kind === 'file') {
      const extension = extensionOf(path)
      const format = unreadableExtensions.get(extension)
      if (imageExtensions.has(extension)) yield { path, file }
      else if (format !== undefined) yield { path, file, reason: unreadable(format) }
    } else if (kind === 'linked folder') {
      const real = await realPathOf(file)
      if (isInside(real, realRoot) || isInside(realRoot, real) || followed.has(real)) {
        yield { path, file, reason: 'is a link to a folder that is read anyway' }
      } else {
        followed.add(real)
        names.unshift({ path, kind: 'folder' })
      }
    } else yield { path, file, reason: kind }
  }
}

interface Named {
  readonly path: string
  /** Anything else is a reason. */
  readonly kind: 'folder' | 'file' | 'linked folder' | (string & {})
}

/** The entries of a folder in the order of the paths that they lead to: a folder counts with the slash behind it. */
async function namesIn(root: string, folder: string): Promise<Named[]> {
  const names: Named[] = []
  const breath = breathing()
  for await (const { name, kind } of entriesOf(join(root, folder))) {
    if (isJunk(name)) continue
    const path = folder === '' ? name : `${folder}/${name}`
    if (kind !== 'other') names.push({ path, kind })
    else {
      const target = await lookAt(join(root, path))
      if (typeof target === 'string')
        names.push({ path, kind: target === 'does not exist' ? 'is a link to nothing' : target })
      else if (target.kind === 'folder') names.push({ path, kind: 'linked folder' })
      else names.push({ path, kind: target.kind === 'file' ? 'file' : 'is a pipe, socket or device' })
    }
    if (breath.due()) await breath.pause()
  }
  return await sortedByCodePoint(names, ({ path, kind }) =>
    kind === 'folder' || kind === 'linked folder' ? `${path}/` : path,
  )
}
