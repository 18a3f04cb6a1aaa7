import { breathing } from '../breath.ts'
import { RegraftError } from '../errors.ts'
import { inertName } from '../inert-text.ts'
import type { LabelledFile, Sample } from './sample.ts'

/** `--group-by` as a regular expression. @throws 'usage' */
export function groupPattern(text: string): RegExp {
  try {
    return new RegExp(text, 'u')
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new RegraftError(
      'usage',
      `--group-by '${inertName(text, 200)}' is no column and no regular expression: ${reason}.`,
      {
        cause,
      },
    )
  }
}

/**
 * Names each file's group by its path, unless a manifest has named it: the expression's first group, else all that matched. What
 * does not match stands alone.
 * @param notes  hears how many did not match
 */
export async function withGroups(
  files: readonly LabelledFile[],
  pattern: RegExp,
  notes: string[],
): Promise<LabelledFile[]> {
  const grouped: LabelledFile[] = []
  let alone = 0
  const breath = breathing()
  for (const file of files) {
    const match = file.group === undefined ? pattern.exec(file.path) : null
    const group = file.group ?? match?.[1] ?? match?.[0]
    if (group === undefined) alone += 1
    grouped.push(group === undefined ? file : { ...file, group })
    if (breath.due()) await breath.pause()
  }
  if (alone > 0)
    notes.push(`--group-by matches ${files.length - alone} of ${files.length} paths; the others stand alone.`)
  return grouped
}

/** What has to be said about groups that were divided before they came here. */
export function groupsAcrossParts(parts: Readonly<Record<string, readonly Sample[]>>): string[] {
  const partsOf = new Map<string, Set<string>>()
  for (const [part, samples] of Object.entries(parts)) {
    for (const { group } of samples) {
      if (group === undefined) continue
      const known = partsOf.get(group)
      if (known) known.add(part)
      else partsOf.set(group, new Set([part]))
    }
  }
  const divided = [...partsOf].filter(([, inParts]) => inParts.size > 1)
  if (divided.length === 0) return []
  const shown = divided
    .slice(0, 3)
    .map(([group, inParts]) => `'${inertName(group, 100)}' (${[...inParts].join(' and ')})`)
  const more = divided.length > 3 ? ` and ${divided.length - 3} more` : ''
  return [
    `${divided.length === 1 ? 'One group stands' : `${divided.length} groups stand`} in two parts of the data: ${shown.join(', ')}${more}.`,
  ]
}
