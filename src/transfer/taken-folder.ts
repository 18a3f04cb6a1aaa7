// What lies in the folder that --out names, and whether it may make room.
import * as path from 'node:path'
import { RegraftError } from '../errors.ts'
import { createFolder, listFolder, pathFacts, removeFile, removeFolder } from '../files/folder.ts'
import { inertName } from '../inert-text.ts'

/** What a verb knows of the folders it writes. */
export interface FolderRules {
  readonly overwrite: boolean
  /** Whose files these are, such as "a run's". */
  readonly whose: string
  /** Paths among all in the folder that the verb did not write. They are somebody's, and never replaced. */
  foreign(out: string, names: readonly string[]): readonly string[] | Promise<readonly string[]>
  /** What else than another folder could be given where only the verb's own files are in the way. */
  readonly instead: string
}

/**
 * @returns names in the folder, which the verb may remove; none when it does not exist
 * @throws RegraftError 'usage' for a file, for files that are not the verb's, and for the verb's own without `overwrite`
 */
export async function checkTaken(out: string, rules: FolderRules): Promise<readonly string[]> {
  const shown = inertName(out)
  const facts = await pathFacts(out)
  if (facts === undefined) return []
  if (facts.kind !== 'folder') throw new RegraftError('usage', `--out ${shown} is a file, not a folder.`, { file: out })
  const names = (await listFolder(out)).map(({ name }) => name)
  if (names.length === 0) return []
  const foreign = await rules.foreign(out, names)
  if (foreign.length > 0) {
    const some = inertName(foreign.slice(0, 3).join(', '))
    throw new RegraftError(
      'usage',
      `--out ${shown} is not empty, and holds files that are not ${rules.whose} (${some}). Choose another folder.`,
      { file: out },
    )
  }
  if (!rules.overwrite)
    throw new RegraftError(
      'usage',
      `--out ${shown} is not empty. Choose another folder, ${rules.instead} (--overwrite).`,
      { file: out },
    )
  return names
}

/** An empty folder of this name. @throws as `checkTaken` */
export async function emptiedFolder(out: string, rules: FolderRules): Promise<void> {
  const taken = new Set(await checkTaken(out, rules))
  if (taken.size > 0)
    for (const { name, kind } of await listFolder(out))
      if (taken.has(name)) await (kind === 'folder' ? removeFolder : removeFile)(path.join(out, name))
  await createFolder(out)
}
