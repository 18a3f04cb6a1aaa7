import { join } from 'node:path'
import { RegraftError } from '../errors.ts'
import { filePieces } from '../files/pieces.ts'
import { inertName } from '../inert-text.ts'
import { lookAt } from './disk.ts'
import { type ListedPath, pathLines } from './path-lines.ts'
import { extensionOf, type FoundFile } from './walk-files.ts'

/** Whether a file is a list of paths by its name. */
export function isList(path: string): boolean {
  return extensions.has(extensionOf(path))
}

const extensions: ReadonlySet<string> = new Set(['txt', 'lst', 'list'])

/** The paths of a list file, one a line. Empty lines are left out; Windows' line ends are understood. */
async function listedPaths(listFile: string): Promise<ListedPath[]> {
  const paths: ListedPath[] = []
  try {
    for await (const listed of pathLines(filePieces(listFile, { code: 'data' }), 'newline')) paths.push(listed)
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause
    throw new RegraftError('data', `${inertName(listFile)}: ${cause.message}.`, { file: listFile, cause })
  }
  return paths
}

/**
 * The pictures that a list names relative to a data folder; the first folder of each line is its label.
 * @throws 'data', naming the lines, when a file is missing, is named twice, has no folder or lies outside
 */
export async function filesFromList(listFile: string, root: string): Promise<FoundFile[]> {
  const listed = await listedPaths(listFile)
  const problems: string[] = []
  const firstLines = new Map<string, number>()
  const files: FoundFile[] = []
  for (const { path: written, line } of listed) {
    const path = written.replace(/^(\.\/+)+/, '').replace(/\/{2,}/g, '/')
    const segments = path.split('/')
    const former = firstLines.get(path)
    const problem =
      former !== undefined
        ? `is named on line ${former} already`
        : path.startsWith('/') || segments.includes('..') || segments.includes('.')
          ? 'is not relative to the data folder'
          : segments.length < 2
            ? 'has no folder before it that would be its label'
            : undefined
    if (problem === undefined) {
      firstLines.set(path, line)
      files.push({ path, file: join(root, path) })
    } else problems.push(`line ${line}: '${inertName(written, 200)}' ${problem}`)
  }
  problems.push(...(await missingFiles(files, firstLines)))
  if (problems.length > 0) {
    const more = problems.length > 10 ? `\n… and ${problems.length - 10} more` : ''
    const name = inertName(listFile)
    throw new RegraftError(
      'data',
      `${name}: ${problems.length} of ${listed.length} lines cannot be used:\n${problems.slice(0, 10).join('\n')}${more}\n` +
        `The paths of a list are relative to ${inertName(root)}.`,
      { file: listFile },
    )
  }
  if (files.length === 0)
    throw new RegraftError('data', `${inertName(listFile)}: the list names no picture.`, { file: listFile })
  return files
}

async function missingFiles(files: readonly FoundFile[], lines: ReadonlyMap<string, number>): Promise<string[]> {
  const problems: string[] = []
  const atOnce = 64
  for (let start = 0; start < files.length; start += atOnce) {
    const found = await Promise.all(files.slice(start, start + atOnce).map(problemOf))
    for (const [offset, problem] of found.entries()) {
      const path = files[start + offset]?.path ?? ''
      if (problem !== undefined) problems.push(`line ${lines.get(path)}: '${inertName(path, 200)}' ${problem}`)
    }
  }
  return problems
}

async function problemOf({ file }: FoundFile): Promise<string | undefined> {
  const facts = await lookAt(file)
  if (typeof facts === 'string') return facts
  return facts.kind === 'file' ? undefined : 'is not a file'
}
