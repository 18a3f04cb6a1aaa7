import { breathing } from '../breath.ts'

/** A file and the SHA-256 of its contents, if it could be read. */
interface Digested {
  readonly file: string
  readonly contents?: { readonly sha256: string } | null
}

/**
 * Files with the same bytes: groups of two and more, in their order. The same file named twice is no copy of itself, and files without
 * a digest are like no other.
 */
export async function exactDuplicates<T extends Digested>(files: readonly T[]): Promise<T[][]> {
  const groups = new Map<string, Map<string, T>>()
  const breath = breathing()
  for (const item of files) {
    if (!item.contents) continue
    const group = groups.get(item.contents.sha256)
    if (group === undefined) groups.set(item.contents.sha256, new Map([[item.file, item]]))
    else if (!group.has(item.file)) group.set(item.file, item)
    if (breath.due()) await breath.pause()
  }
  return [...groups.values()].filter((group) => group.size > 1).map((group) => [...group.values()])
}
