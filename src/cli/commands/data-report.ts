// What the data commands print.
import { formatBytes } from '../../format-bytes.ts'
import { inertName } from '../../inert-text.ts'
import type { DataProblem, DataReport, DataStats, PictureFacts, PictureGroup } from '../../transfer/data-options.ts'
import { significant } from '../format.ts'

/** Files that are shown of a problem; `--json` has all. */
const SHOWN_FILES = 5

/** `data check --json`. */
export function checkDocument(report: DataReport): unknown {
  const { data, harmful, images, classes, facts, problems, unreadable, copies, nearCopies } = report
  const groups = (all: readonly PictureGroup[]) => all.map(({ files }) => files)
  return {
    data,
    harmful,
    images,
    classes,
    facts,
    problems,
    unreadable,
    duplicates: groups(copies),
    near_duplicates: groups(nearCopies),
  }
}

/** `data check`. */
export function checkText({ data, images, classes, facts, problems, unreadable }: DataReport): string {
  const { train, validation, test } = images
  const parts = [`${train} to train on`]
  if (validation > 0) parts.push(`${validation} to validate`)
  if (test > 0) parts.push(`${test} for the test`)
  if (images.unreadable > 0) parts.push(`${images.unreadable} unusable`)
  const names = classes.map(({ name }) => inertName(name, 60) || '-')
  const width = Math.max(5, ...names.map((name) => name.length))
  const rows = classes.map(
    (each, at) =>
      `${(names[at] ?? '').padEnd(width)}  ${[each.train, each.validation, each.test, each.unreadable].map((n) => String(n).padStart(8)).join('  ')}`,
  )
  const errors = problems.filter(({ severity }) => severity === 'error')
  const warnings = problems.filter(({ severity }) => severity === 'warning')
  return [
    `${data.map((place) => inertName(place)).join(', ')}: ${parts.join(', ')}; ${classes.length} classes`,
    '',
    `${'class'.padEnd(width)}  ${['train', 'val', 'test', 'unusable'].map((head) => head.padStart(8)).join('  ')}`,
    ...rows,
    '',
    ...factLines(facts),
    '',
    ...(errors.length > 0
      ? ['What would harm a training:', ...errors.flatMap((problem) => problemLines(problem, unreadable))]
      : []),
    ...(warnings.length > 0
      ? ['Worth knowing:', ...warnings.flatMap((problem) => problemLines(problem, unreadable))]
      : []),
    ...(problems.length === 0 ? ['No problem found.'] : []),
    '',
  ].join('\n')
}

function problemLines({ kind, message, files }: DataProblem, unreadable: DataReport['unreadable']): string[] {
  const reasons = new Map(kind === 'unreadable' ? unreadable.map(({ path, reason }) => [path, reason]) : [])
  const shown = files.slice(0, SHOWN_FILES).map((file) => {
    const reason = reasons.get(file)
    return `      ${inertName(file)}${reason === undefined ? '' : `: ${inertName(reason)}`}`
  })
  const more = files.length > SHOWN_FILES ? [`      and ${files.length - SHOWN_FILES} more (--json has all)`] : []
  return [`  - ${message.replaceAll('\n', '\n    ')}`, ...shown, ...more]
}

/** `data stats --json`. */
export function statsDocument({ images, unreadable, bytes, classes, facts, meanRgb, stdRgb }: DataStats): unknown {
  return { images, unreadable, bytes, classes, facts, mean_rgb: meanRgb, std_rgb: stdRgb }
}

/** `data stats`. */
export function statsText({ images, unreadable, bytes, classes, facts, meanRgb, stdRgb }: DataStats): string {
  const names = classes.map(({ name }) => inertName(name, 60) || '-')
  const width = Math.max(5, ...names.map((name) => name.length))
  const triple = (values: readonly number[] | null) => values?.map((value) => significant(value, 4)).join(', ') ?? '-'
  return [
    `images    ${images}${unreadable > 0 ? ` and ${unreadable} that cannot be used` : ''}, ${formatBytes(bytes)}`,
    ...factLines(facts),
    `mean      ${triple(meanRgb)}`,
    `std       ${triple(stdRgb)}`,
    '',
    `${'class'.padEnd(width)}  ${'images'.padStart(8)}  ${'unusable'.padStart(8)}`,
    ...classes.map(
      (each, at) =>
        `${(names[at] ?? '').padEnd(width)}  ${String(each.images).padStart(8)}  ${String(each.unreadable).padStart(8)}`,
    ),
    '',
  ].join('\n')
}

function factLines({ formats, colours, width, height, ...counts }: PictureFacts): string[] {
  const listed = (table: Readonly<Record<string, number>>) =>
    Object.entries(table)
      .map(([name, count]) => `${name} ${count}`)
      .join(', ') || '-'
  const [small, middle, large] = [0, 1, 2].map((at) => `${width?.[at] ?? '-'} x ${height?.[at] ?? '-'}`)
  const others = [
    [counts.turned, 'turned upright'],
    [counts.alpha, 'with transparency'],
    [counts.deep, 'of more than 8 bits'],
    [counts.profiles, 'with a colour profile'],
    [counts.animated, 'of several frames'],
  ] as const
  const rest = others.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`)
  return [
    `formats   ${listed(formats)}`,
    `colours   ${listed(colours)}${rest.length > 0 ? `; ${rest.join(', ')}` : ''}`,
    `sizes     from ${small} to ${large}, median ${middle}`,
  ]
}
