import * as path from 'node:path'
import { diskError } from './disk-error.ts'
import { fileSystem } from './file-system.ts'
import { pathFacts, removeFolder, syncFolder } from './folder.ts'
import { leftoversIn, releaseTemporaryName, takeTemporaryName } from './temporary-names.ts'

/**
 * Writes a folder, in one that exists, so that its name leads to a complete one or to none, even after a power cut: it is filled under a temporary
 * name and then renamed. One that has the name already is put out of the way first; a crash at that moment leaves none.
 * On failure the temporary folder is removed, and if the disk does not even allow that, by the next folder written beside it.
 * @param fill  writes the files into the folder and syncs each of them (`writeFileAtomic` with `inFreshFolder`)
 * @throws RegraftError of the disk
 */
export async function writeFolderAtomic(target: string, fill: (folder: string) => Promise<void>): Promise<void> {
  const fresh = takeTemporaryName(path.resolve(target))
  try {
    await removeFolder(fresh)
    await makeFolder(fresh)
    await fill(fresh)
    await syncFolder(fresh)
    await removeFolderAtomic(target)
    await rename(fresh, target)
  } catch (error) {
    // The first error is the one to report.
    await removeFolder(fresh).catch(() => undefined)
    throw error
  } finally {
    releaseTemporaryName(fresh)
  }
  await syncFolder(path.dirname(target))
  await removeLeftoverFolders(path.dirname(target))
}

/** Removes a folder so that its name never leads to half of one. Fine when there is none. */
export async function removeFolderAtomic(folder: string): Promise<void> {
  if ((await pathFacts(folder)) === undefined) return
  const doomed = takeTemporaryName(path.resolve(folder))
  try {
    await removeFolder(doomed)
    await rename(folder, doomed)
    // Under its temporary name it is no longer in anybody's way: the next folder written beside it takes it along.
    await removeFolder(doomed).catch(() => undefined)
  } finally {
    releaseTemporaryName(doomed)
  }
}

/** Removes what killed processes left of folders in this one. Failing to do so harms nothing. */
export async function removeLeftoverFolders(parent: string): Promise<void> {
  for (const leftover of await leftoversIn(parent).catch(() => [])) await removeFolder(leftover).catch(() => undefined)
}

async function makeFolder(folder: string): Promise<void> {
  try {
    await fileSystem().makeFolder(folder)
  } catch (error) {
    throw diskError(error, { verb: 'create the folder', path: folder })
  }
}

async function rename(from: string, to: string): Promise<void> {
  try {
    await fileSystem().rename(from, to)
  } catch (error) {
    throw diskError(error, { verb: 'put in place', path: to })
  }
}
