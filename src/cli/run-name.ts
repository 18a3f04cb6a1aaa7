import * as path from 'node:path'
import { pathFacts } from '../files/folder.ts'

/** The first free name of the form `runs/<data>-<n>`. */
export async function nextRun(data: string): Promise<string> {
  // A file gives its name without the ending; the root of a disk has no name.
  const { name } = path.parse(path.resolve(data))
  for (let n = 1; ; n++) {
    const run = path.join('runs', `${name === '' ? 'data' : name}-${n}`)
    if ((await pathFacts(run)) === undefined) return run
  }
}
