import { inertName } from '../inert-text.ts'
import type { Sample, Skipped } from './sample.ts'

/** Samples by part; validation is undefined as long as it is not chosen. */
export interface Parts {
  readonly train: readonly Sample[]
  readonly validation: readonly Sample[] | undefined
  readonly test: readonly Sample[]
}

/**
 * Leaves one of each group of copies: of the test pictures, else of validation, else the first to train on. Where labels differ
 * nobody knows which is right, so none is left.
 * @param copies  groups of samples with the same contents
 */
export function withoutCopies(
  parts: Parts,
  copies: readonly (readonly Sample[])[],
): {
  readonly parts: { train: Sample[]; validation: Sample[] | undefined; test: Sample[] }
  readonly skipped: Skipped[]
} {
  const inTest = new Set(parts.test)
  const inValidation = new Set(parts.validation)
  const out = new Set<Sample>()
  const skipped: Skipped[] = []
  const leave = (sample: Sample, reason: string) => {
    out.add(sample)
    skipped.push({ path: sample.path, reason })
  }
  for (const group of copies) {
    const kept =
      group.find((sample) => inTest.has(sample)) ?? group.find((sample) => inValidation.has(sample)) ?? group[0]
    for (const sample of group) {
      const other = group.find(({ label }) => label !== sample.label)
      if (other !== undefined)
        leave(sample, `has the same contents as ${inertName(other.path)}, which has another label`)
      else if (sample !== kept) leave(sample, `has the same contents as ${inertName(kept?.path ?? '')}`)
    }
  }
  const rest = (samples: readonly Sample[]) => samples.filter((sample) => !out.has(sample))
  return {
    parts: {
      train: rest(parts.train),
      validation: parts.validation === undefined ? undefined : rest(parts.validation),
      test: rest(parts.test),
    },
    skipped,
  }
}

/** What has to be said about copies that stay: in two parts at once, or under two labels. */
export function copyNotes(
  parts: Readonly<Record<string, readonly Sample[]>>,
  classes: readonly string[],
  copies: readonly (readonly Sample[])[],
): string[] {
  const partOf = new Map(
    Object.entries(parts).flatMap(([part, samples]) => samples.map((sample) => [sample, part] as const)),
  )
  const across = copies.filter((group) => new Set(group.map((sample) => partOf.get(sample))).size > 1)
  const clashing = copies.filter((group) => new Set(group.map(({ label }) => label)).size > 1)
  const notes: string[] = []
  if (across.length > 0) {
    const say = (sample: Sample) => `'${inertName(sample.path, 200)}' (${partOf.get(sample)})`
    notes.push(
      `${counted(across.length)} in two parts of the data: ${examples(across, say)}. ` +
        'What was learned by heart looks like skill there; --dedupe leaves copies out.',
    )
  }
  if (clashing.length > 0) {
    const say = (sample: Sample) => `'${inertName(sample.path, 200)}' (${inertName(classes[sample.label] ?? '', 100)})`
    notes.push(
      `${counted(clashing.length)} under two labels: ${examples(clashing, say)}. One of them is wrong; --dedupe leaves them out.`,
    )
  }
  return notes
}

function counted(groups: number): string {
  return groups === 1 ? 'One picture stands' : `${groups} pictures stand`
}

function examples(groups: readonly (readonly Sample[])[], say: (sample: Sample) => string): string {
  const shown = groups.slice(0, 3).map((group) => group.slice(0, 3).map(say).join(' = '))
  return shown.join(', ') + (groups.length > 3 ? ` and ${groups.length - 3} more` : '')
}
