import * as path from 'node:path'
import { diskError } from './disk-error.ts'
import { fileSystem } from './file-system.ts'
import { pathFacts, removeFolder, syncFolder } from './folder.ts'

/**
 * Puts a freshly written folder in the place of another. A folder cannot be replaced in one step; between the two renames the
 * former one lies beside it under `.old`, whole.
 */
export async function replaceFolder(fresh: string, target: string): Promise<void> {
  const old = `${target}.old`
  const present = (await pathFacts(target)) !== undefined
  // Without one in its place, what a crash left under `.old` is the only one there is.
  if (present) await removeFolder(old)
  try {
    if (present) await fileSystem().rename(target, old)
    await fileSystem().rename(fresh, target)
  } catch (error) {
    throw diskError(error, { verb: 'put in place', path: target })
  }
  await syncFolder(path.dirname(target))
  await removeFolder(old)
}
