import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path'
import { breathing } from '../breath.ts'
import { RegraftError } from '../errors.ts'
import { inertName } from '../inert-text.ts'
import { sortedByCodePoint } from './code-point-order.ts'
import { lookAt } from './disk.ts'
import { inOrder } from './in-order.ts'
import { type ManifestRow, manifestRows, type Part } from './manifest.ts'
import type { LabelledFile, LabelledFiles, Skipped } from './sample.ts'

/** A picture of a manifest, and the part that the manifest puts it into. */
export interface ManifestFile extends LabelledFile {
  readonly part?: Part
}

export interface ManifestFiles extends LabelledFiles {
  readonly files: readonly ManifestFile[]
}

/**
 * The labelled pictures of a manifest, by code point of their paths. What is not there is skipped and named.
 * @throws 'data' naming the lines, for rows without a label, files that are named twice, and when no file is there at all
 */
export async function manifestFiles(
  manifest: string,
  options: {
    readonly base?: string | undefined
    readonly groupColumn?: string | undefined
    readonly signal?: AbortSignal | undefined
  } = {},
): Promise<ManifestFiles> {
  const rows: ManifestRow[] = []
  const lines = new Map<string, number>()
  const problems: string[] = []
  const breath = breathing()
  for await (const row of manifestRows(manifest, options.groupColumn)) {
    const former = lines.get(row.file)
    const name = `line ${row.line}: '${inertName(row.path, 200)}'`
    if (former !== undefined) problems.push(`${name} is named on line ${former} already`)
    else if (row.label === undefined) problems.push(`${name} has no label`)
    else rows.push(row)
    lines.set(row.file, row.line)
    if (breath.due()) await breath.pause()
  }
  const refuse = (problem: string) => new RegraftError('data', `${inertName(manifest)}: ${problem}`, { file: manifest })
  if (problems.length > 0) {
    const more = problems.length > 10 ? `\n… and ${problems.length - 10} more` : ''
    throw refuse(`${problems.length} lines cannot be used:\n${problems.slice(0, 10).join('\n')}${more}`)
  }
  if (rows.length === 0) throw refuse('the manifest names no picture.')

  const folder = dirname(resolve(manifest))
  const start = prefixOf(options.base, folder)
  const found: ManifestFile[] = []
  const skipped: Skipped[] = []
  const look = (position: number) => lookAt(rows[position]?.file ?? '')
  let position = 0
  for await (const facts of inOrder(rows.length, look, { concurrency: 32, ahead: 128, signal: options.signal })) {
    const row = rows[position++]
    if (row === undefined) break
    const path = isAbsolute(row.path) ? row.path : start + row.path.replace(/^(\.\/+)+/, '')
    if (typeof facts === 'string') skipped.push({ path, reason: facts })
    else if (facts.kind !== 'file')
      skipped.push({ path, reason: facts.kind === 'folder' ? 'is a folder' : 'is a pipe, socket or device' })
    else {
      const { file, label = '', split, group, weight } = row
      found.push({
        path,
        file,
        label,
        ...(split === undefined ? {} : { part: split }),
        ...(group === undefined ? {} : { group }),
        ...(weight === undefined ? {} : { weight }),
      })
    }
    if (breath.due()) await breath.pause()
  }
  if (found.length === 0) {
    const first = rows[0]
    throw refuse(
      `none of its ${rows.length} pictures is there; the first is looked for at ${inertName(first?.file ?? '')}.\n` +
        `Relative paths start at the manifest's folder, ${inertName(folder)}.`,
    )
  }
  const byPath = <T extends { readonly path: string }>(items: readonly T[]) =>
    sortedByCodePoint(items, ({ path }) => path)
  return { files: await byPath(found), skipped: await byPath(skipped), ignored: [] }
}

/** A manifest's folder as the beginning of paths relative to another, with '/' at its end; nothing when they are the same. */
function prefixOf(base: string | undefined, folder: string): string {
  const way = base === undefined ? '' : relative(resolve(base), folder)
  return way === '' ? '' : join(way, '/').split(sep).join('/')
}
