// `--augment`, as a preset's name, a file or a list.
import { type AugmentEntry, augmentPresets, completeEntries, readAugmentFile } from '../data/augmentations/index.ts'
import { RegraftError } from '../errors.ts'
import { pathFacts } from '../files/folder.ts'
import { inertName } from '../inert-text.ts'
import { nearestName } from '../nearest-name.ts'
import type { Augment } from './options.ts'

/** What `--augment` may be called. */
export const augmentNames = ['none', 'light', 'medium', 'strong'] as const

/**
 * The complete list that a preset's name or a list stands for.
 * @throws RegraftError 'usage' naming the entry
 */
export function completeAugment(given: Augment): 'none' | readonly AugmentEntry[] {
  if (typeof given !== 'string') return completeEntries(given, 'augment')
  const name = augmentNames.find((known) => known === given)
  if (name !== undefined) return name === 'none' ? name : augmentPresets[name]
  throw new RegraftError('usage', `--augment ${inertName(given)}: ${problemOf(given)}`)
}

/**
 * The same for the path of a file, too.
 * @throws RegraftError 'usage' naming the entry, or when there is no such file
 */
export async function readAugment(given: Augment): Promise<'none' | readonly AugmentEntry[]> {
  const isFile = typeof given === 'string' && !augmentNames.some((known) => known === given)
  if (isFile && (await pathFacts(given)) !== undefined) return await readAugmentFile(given)
  return completeAugment(given)
}

function problemOf(given: string): string {
  const near = nearestName(given, augmentNames)
  const meant = near === undefined ? '' : ` Did you mean '${near}'?`
  return `this is neither ${augmentNames.join(', ')} nor a file.${meant}`
}
