import { breathing } from '../breath.ts'
import { compareCodePoints } from '../files/folder.ts'

/** The items by code point of their text, sorted in slices so that a million names do not hold up the main thread. */
export async function sortedByCodePoint<T>(items: readonly T[], textOf: (item: T) => string): Promise<T[]> {
  const compare = (a: T, b: T) => compareCodePoints(textOf(a), textOf(b))
  const breath = breathing()
  const slice = 4096
  let runs: T[][] = []
  for (let start = 0; start < items.length; start += slice) {
    runs.push(items.slice(start, start + slice).sort(compare))
    if (breath.due()) await breath.pause()
  }
  while (runs.length > 1) {
    const merged: T[][] = []
    for (let i = 0; i < runs.length; i += 2) merged.push(await merge(runs[i] ?? [], runs[i + 1] ?? [], compare))
    runs = merged
  }
  return runs[0] ?? []
}

async function merge<T>(left: readonly T[], right: readonly T[], compare: (a: T, b: T) => number): Promise<T[]> {
  const breath = breathing()
  const output: T[] = []
  let i = 0
  let j = 0
  while (i < left.length && j < right.length) {
    // In range by the condition of the loop.
    const a = left[i] as T
    const b = right[j] as T
    if (compare(a, b) <= 0) {
      output.push(a)
      i += 1
    } else {
      output.push(b)
      j += 1
    }
    if (output.length % 1024 === 0 && breath.due()) await breath.pause()
  }
  while (i < left.length) output.push(left[i++] as T)
  while (j < right.length) output.push(right[j++] as T)
  return output
}
