// Results as a page of Markdown.
import type { Result, Verdict } from './line.ts'
import type { Machine } from './machine.ts'
import { barText, digitsOf, holdsText, ratioText, shareText, speedText, spread, verdictText } from './report.ts'

export interface Measurement {
  /** ISO date. */
  readonly date: string
  readonly machine: Machine
  readonly rounds: number
  /** Versions of all who took part. */
  readonly present: readonly string[]
  /** Who could not take part, and why. */
  readonly absent: Readonly<Record<string, string>>
  readonly sections: readonly {
    readonly name: string
    readonly results: readonly Result[]
    readonly verdicts: readonly Verdict[]
  }[]
}

export function recordText({ date, machine, rounds, present, absent, sections }: Measurement): string {
  const facts = [
    `- ${date}, ${machine.system}, ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, Node ${machine.node}`,
    `- Medians of ${rounds} rounds (lowest…highest). In a round each has its turn; ratios are those within a round, ours over theirs.`,
    ...present.map((version) => `- ${version}`),
    ...Object.entries(absent).map(([label, why]) => `- ${label} did not take part: ${why}`),
  ]
  const parts = sections.map(({ name, results, verdicts }) =>
    [`## ${name}`, '', ...table(results), ...verdicts.map((verdict) => `\n${verdictText(verdict)}`)].join('\n'),
  )
  return `${['# What was measured', '', 'Written by `npm run bench -- --record`.', '', ...facts, '', parts.join('\n\n')].join('\n')}\n`
}

function table(results: readonly Result[]): string[] {
  const rows = results.flatMap(({ name, unit, ours, gflops, gigabytes, share, comparisons }) => {
    const more = [
      ...(gflops && unit !== 'GFLOP/s' ? [`${spread(gflops, digitsOf(gflops))} GFLOP/s`] : []),
      ...(gigabytes && unit !== 'GB/s' ? [`${spread(gigabytes, digitsOf(gigabytes))} GB/s`] : []),
      ...(share ? [shareText(share)] : []),
    ]
    const own = [`**${name}**`, `**${speedText(ours, unit)}**`, more.join(', '), '', '']
    const theirs = comparisons.map((comparison) => [
      comparison.label,
      speedText(comparison.value, unit),
      ratioText(comparison, unit),
      barText(comparison, unit),
      holdsText(comparison.holds),
    ])
    return [own, ...theirs]
  })
  return [
    '| | speed | ratio | hoped for | |',
    '| --- | --- | --- | --- | --- |',
    ...rows.map((cells) => `| ${cells.join(' | ')} |`),
  ]
}
