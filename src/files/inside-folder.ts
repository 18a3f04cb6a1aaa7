import * as path from 'node:path'
import { type ErrorCode, RegraftError } from '../errors.ts'
import { inertName } from '../inert-text.ts'
import { diskError } from './disk-error.ts'
import { fileSystem } from './file-system.ts'

/**
 * The real path of a file that another file names (a shard, a part of a bundle), if it lies in the folder, links
 * followed. Caches keep such files as links into a folder of their own; name that as `cacheRoot` to allow it.
 * @param name  relative, with `/` between folders
 * @throws RegraftError of class `code` for absolute names, `..`, backslashes and links that lead out
 */
export async function pathInside(
  folder: string,
  name: string,
  options: { readonly code: ErrorCode; readonly cacheRoot?: string | undefined },
): Promise<string> {
  const { code, cacheRoot } = options
  const fail = (problem: string) =>
    new RegraftError(code, `${inertName(folder)}: the path '${inertName(name, 200)}' ${problem}`, { file: folder })
  const parts = name.split('/')
  // The same rules everywhere: a backslash or a drive is harmless on Linux and a way out on Windows.
  if (name === '' || /[\\:\0]/.test(name) || parts.some((part) => part === '' || part === '.' || part === '..')) {
    throw fail('is not a plain path inside the folder.')
  }
  const joined = path.join(folder, ...parts)
  try {
    const fs = fileSystem()
    const real = await fs.realPath(joined)
    const roots = [folder, ...(cacheRoot === undefined ? [] : [cacheRoot])]
    for (const root of roots) {
      const realRoot = await fs.realPath(root)
      if (real.startsWith(realRoot.endsWith(path.sep) ? realRoot : realRoot + path.sep)) return real
    }
  } catch (error) {
    throw diskError(error, { verb: 'read', path: joined, code })
  }
  throw fail('is a link that leads outside the folder.')
}
