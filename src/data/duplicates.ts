import { breathing } from '../breath.ts'
import { fileDigest } from './content-key.ts'

/**
 * Files with the same bytes: groups of two and more positions, each rising, in the order of their first.
 * @param keys  of `contentKeys`, one a file
 */
export async function exactDuplicates(
  files: readonly string[],
  keys: readonly string[],
  signal?: AbortSignal,
): Promise<number[][]> {
  const alike = await groupedBy(keys.length, (position) => keys[position])
  const groups: number[][] = []
  for (const positions of alike) {
    // A key knows the beginning only, and the same file named twice is no copy of itself.
    const digests: (string | undefined)[] = []
    for (const position of positions) digests.push(await fileDigest(files[position] ?? '', signal))
    for (const same of await groupedBy(positions.length, (at) => digests[at])) {
      const byFile = new Map(same.map((at) => [files[positions[at] ?? 0], positions[at] ?? 0] as const).reverse())
      if (byFile.size > 1) groups.push([...byFile.values()].sort((a, b) => a - b))
    }
  }
  return groups.sort((a, b) => (a[0] ?? 0) - (b[0] ?? 0))
}

/** Numbers from 0 that share a text; those without a text share nothing. */
async function groupedBy(count: number, textOf: (position: number) => string | undefined): Promise<number[][]> {
  const groups = new Map<string, number[]>()
  const breath = breathing()
  for (let position = 0; position < count; position++) {
    const text = textOf(position)
    const group = text === undefined ? undefined : groups.get(text)
    if (group) group.push(position)
    else if (text !== undefined) groups.set(text, [position])
    if (breath.due()) await breath.pause()
  }
  return [...groups.values()].filter((group) => group.length > 1)
}
