// Results as text for people.
import type { Comparison, Result, Verdict } from './line.ts'
import type { Statistic } from './timing.ts'

const NAME_WIDTH = 64

/** Median (lowest … highest). */
export function spread({ median, lowest, highest }: Statistic, digits: number): string {
  const middle = median.toFixed(digits)
  return lowest === highest ? middle : `${middle} (${lowest.toFixed(digits)}…${highest.toFixed(digits)})`
}

/** Three digits of a speed are enough. */
export function digitsOf({ median }: Statistic): number {
  return median >= 100 ? 0 : 1
}

export function speedText(value: Statistic, unit: Result['unit']): string {
  return `${spread(value, digitsOf(value))} ${unit}`
}

export function shareText(share: Statistic): string {
  return `${spread(scaled(share, 100), 0)} % of the register peak`
}

/** Speeds are told as ours over theirs; of memory it says which part of theirs ours is. */
export function ratioText({ ratio }: Comparison, unit: Result['unit']): string {
  return unit === 'MiB' ? `${(100 / ratio.median).toFixed(0)} % of it` : `${spread(ratio, 2)}x`
}

export function barText({ bar }: Comparison, unit: Result['unit']): string {
  if (bar === undefined) return ''
  return unit === 'MiB' ? `at most ${(100 / bar).toFixed(0)} %` : `at least ${bar}x`
}

export const holdsText = (holds: boolean | undefined): string => (holds === undefined ? '' : holds ? 'pass' : 'FAIL')

/** A result and its comparisons, a line each. */
export function resultText(result: Result): string {
  const { name, unit, ours, gflops, gigabytes, share, comparisons } = result
  const more = [
    speedText(ours, unit),
    ...(gflops && unit !== 'GFLOP/s' ? [speedText(gflops, 'GFLOP/s')] : []),
    ...(gigabytes && unit !== 'GB/s' ? [speedText(gigabytes, 'GB/s')] : []),
    ...(share ? [shareText(share)] : []),
  ]
  const lines = comparisons.map((comparison) => {
    const { label, value, bar, holds } = comparison
    const against = `${speedText(value, unit).padEnd(32)}${ratioText(comparison, unit)}`
    const verdict = bar === undefined ? '' : `  ${barText(comparison, unit)}: ${holdsText(holds)}`
    return `  ${label.padEnd(NAME_WIDTH - 2)}${against}${verdict}`
  })
  return [`${name.padEnd(NAME_WIDTH)}${more.join('  ')}`, ...lines].join('\n')
}

export function verdictText({ text, holds }: Verdict): string {
  return `${text}: ${holdsText(holds)}`
}

function scaled({ median, lowest, highest }: Statistic, factor: number): Statistic {
  return { median: median * factor, lowest: lowest * factor, highest: highest * factor }
}
