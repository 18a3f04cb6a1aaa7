import type { ImageHeader } from './decode.ts'

/** Counts what pictures are, one after the other. */
export interface FactCounter {
  add(header: ImageHeader): void
  facts(): {
    readonly formats: Readonly<Record<string, number>>
    readonly colours: Readonly<Record<string, number>>
    readonly width: readonly [number, number, number] | null
    readonly height: readonly [number, number, number] | null
    readonly turned: number
    readonly alpha: number
    readonly deep: number
    readonly profiles: number
    readonly animated: number
  }
}

export function factCounter(): FactCounter {
  const formats = new Map<string, number>()
  const colours = new Map<string, number>()
  const widths = new Map<number, number>()
  const heights = new Map<number, number>()
  const counts = { turned: 0, alpha: 0, deep: 0, profiles: 0, animated: 0 }
  return {
    add(header) {
      count(formats, header.kind)
      count(colours, header.colours)
      count(widths, header.width)
      count(heights, header.height)
      if (header.orientation > 1) counts.turned += 1
      if (header.alpha) counts.alpha += 1
      if (header.bits > 8) counts.deep += 1
      if (header.profile) counts.profiles += 1
      if (header.frames > 1) counts.animated += 1
    },
    facts: () => ({
      formats: Object.fromEntries([...formats].sort(byCount)),
      colours: Object.fromEntries([...colours].sort(byCount)),
      width: spread(widths),
      height: spread(heights),
      ...counts,
    }),
  }
}

function count<T>(counts: Map<T, number>, key: T): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}

/** The most frequent first. */
function byCount(a: readonly [string, number], b: readonly [string, number]): number {
  return b[1] - a[1] || (a[0] < b[0] ? -1 : 1)
}

/** Smallest, median and largest. */
function spread(counts: ReadonlyMap<number, number>): [number, number, number] | null {
  const sorted = [...counts].sort((a, b) => a[0] - b[0])
  const first = sorted[0]?.[0]
  const last = sorted.at(-1)?.[0]
  if (first === undefined || last === undefined) return null
  const total = sorted.reduce((sum, [, number]) => sum + number, 0)
  let passed = 0
  for (const [value, number] of sorted) {
    passed += number
    if (passed * 2 >= total) return [first, value, last]
  }
  return [first, last, last]
}
