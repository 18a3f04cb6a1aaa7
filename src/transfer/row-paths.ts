// Rows of vectors by the paths that people write for them.
import * as path from 'node:path'
import { RegraftError } from '../errors.ts'
import { inertName } from '../inert-text.ts'

/** Rows by their paths, and by the last part of these. */
export interface PathIndex {
  readonly exact: ReadonlyMap<string, readonly number[]>
  readonly byName: ReadonlyMap<string, readonly string[]>
}

/** @param paths  of the rows, as index.csv has them */
export function pathIndex(paths: readonly string[]): PathIndex {
  const exact = new Map<string, number[]>()
  const byName = new Map<string, string[]>()
  for (const [row, name] of paths.entries()) {
    const rows = exact.get(name)
    if (rows) {
      rows.push(row)
      continue
    }
    exact.set(name, [row])
    const last = path.posix.basename(name)
    const same = byName.get(last)
    if (same) same.push(name)
    else byName.set(last, [name])
  }
  return { exact, byName }
}

/**
 * The rows of a path: those of that very path, else of the file that it is, else those whose path ends with it.
 * @param file    absolute
 * @param source  where it is written, for messages
 * @throws RegraftError 'data' when several different paths end with it
 */
export function matchingRows(index: PathIndex, name: string, file: string, source: string): readonly number[] {
  const rows = index.exact.get(name) ?? index.exact.get(file)
  if (rows) return rows
  const alike = index.byName.get(path.posix.basename(name)) ?? []
  const same = alike.filter((other) => path.resolve(other) === file)
  const found = same.length > 0 ? same : alike.filter((other) => other.endsWith(`/${name}`))
  if (found.length > 1) {
    throw new RegraftError(
      'data',
      `${inertName(source)}: '${inertName(name, 200)}' can be ${inertName(found[0] ?? '', 200)} or ${inertName(found[1] ?? '', 200)}. Write more of the path.`,
      { file: source },
    )
  }
  return index.exact.get(found[0] ?? '') ?? []
}
