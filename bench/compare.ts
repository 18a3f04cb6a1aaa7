// Whether two contestants computed the same.
import { Unequal } from './line.ts'
import type { Checked } from './protocol.ts'
import { readFloats } from './serve.ts'

/**
 * The largest relative difference of what two of them say, over the names that both give.
 * @throws Unequal when it is more than `within`
 */
export function compareChecked(
  line: string,
  ours: Checked,
  theirs: Checked,
  { label, within }: { readonly label: string; readonly within: number },
): number {
  const differences = new Map<string, number>()
  for (const [name, file] of Object.entries(ours.arrays)) {
    const other = theirs.arrays[name]
    if (other !== undefined) differences.set(name, relativeDifference(readFloats(file), readFloats(other)))
  }
  for (const [name, value] of Object.entries(ours.numbers)) {
    const other = theirs.numbers[name]
    if (other !== undefined) differences.set(name, Math.abs(value - other) / Math.abs(other))
  }
  if (differences.size === 0) throw new Unequal(`${line}: ${label} gave nothing to compare`)
  refuse(line, label, differences, within)
  return Math.max(...differences.values())
}

/** As `compareChecked`, with what must come out; it may be the first part of each array. */
export function compareToTruth(
  line: string,
  ours: Checked,
  truth: Readonly<Record<string, ArrayLike<number>>>,
  within: number,
): void {
  const differences = new Map<string, number>()
  for (const [name, expected] of Object.entries(truth)) {
    const file = ours.arrays[name]
    if (file === undefined) throw new Unequal(`${line}: there is no '${name}' to compare with plain loops`)
    differences.set(name, relativeDifference(readFloats(file).subarray(0, expected.length), expected))
  }
  refuse(line, 'plain loops', differences, within)
}

/** Norm of a - b over the norm of b; infinite where they cannot be compared. */
export function relativeDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length || a.length === 0) return Number.POSITIVE_INFINITY
  let difference = 0
  let size = 0
  for (let at = 0; at < b.length; at++) {
    const [x = Number.NaN, y = Number.NaN] = [a[at], b[at]]
    difference += (x - y) ** 2
    size += y ** 2
  }
  const relative = Math.sqrt(difference / size)
  return Number.isNaN(relative) ? Number.POSITIVE_INFINITY : relative
}

function refuse(line: string, label: string, differences: ReadonlyMap<string, number>, within: number): void {
  const far = [...differences].filter(([, difference]) => !(difference <= within))
  if (far.length === 0) return
  const texts = far.map(([name, difference]) => `${name} by ${difference.toExponential(1)}`)
  throw new Unequal(`${line}: ${label} differs in ${texts.join(', ')}; allowed are ${within}`)
}
