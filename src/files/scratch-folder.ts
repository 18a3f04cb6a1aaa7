import * as path from 'node:path'
import { createFolder, pathFacts, removeFolder } from './folder.ts'
import { releaseTemporaryName, takeTemporaryName } from './temporary-names.ts'

/**
 * Lends a fresh folder on the disk on which a path lies or will lie, and removes it with all that was put into it.
 * @throws RegraftError of the disk
 */
export async function withScratchFolder<T>(beside: string, use: (folder: string) => Promise<T>): Promise<T> {
  let at = path.resolve(beside)
  while ((await pathFacts(path.dirname(at))) === undefined) at = path.dirname(at)
  const folder = takeTemporaryName(at)
  try {
    await removeFolder(folder)
    await createFolder(folder)
    return await use(folder)
  } finally {
    await removeFolder(folder).catch(() => undefined)
    releaseTemporaryName(folder)
  }
}
