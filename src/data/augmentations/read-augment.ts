import { parse } from 'yaml'
import { RegraftError } from '../../errors.ts'
import { readTextLimited } from '../../files/read-file.ts'
import { inertName } from '../../inert-text.ts'
import { type AugmentEntry, completeEntries } from './entries.ts'

/**
 * Reads a list of augmentations from YAML (or JSON, which is YAML too).
 * @throws RegraftError 'usage' for a file that cannot be read, with the place, or an entry that is wrong, with its number
 */
export async function readAugmentFile(file: string): Promise<readonly AugmentEntry[]> {
  const text = await readTextLimited(file, 2 ** 20, { acceptPipe: true })
  let list: unknown
  try {
    // Aliases would let a small file grow large.
    list = parse(text, { schema: 'core', maxAliasCount: 0, prettyErrors: true, logLevel: 'error' })
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new RegraftError('usage', `${inertName(file)}: this YAML cannot be read: ${reason.trim()}`, { file, cause })
  }
  return completeEntries(list, file, file)
}
