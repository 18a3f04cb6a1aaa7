// Names for what is being written: hidden, beside the target, and saying which process writes, so that two never share one and
// what a killed process left can be told from what a living one still needs.
import * as path from 'node:path'
import { systemCode } from './disk-error.ts'
import { fileSystem } from './file-system.ts'

// Names of this process that are in use now.
const inUse = new Set<string>()
let counter = 0

/** A path beside `target` that is this process's until it is released. What lies there may be a leftover. */
export function takeTemporaryName(target: string): string {
  counter += 1
  const taken = path.join(path.dirname(target), `${prefixOf(target)}${process.pid}-${counter}`)
  inUse.add(taken)
  return taken
}

/** From now on whatever lies there is a leftover. */
export function releaseTemporaryName(taken: string): void {
  inUse.delete(taken)
}

/**
 * Paths in a folder that nobody writes any more: left by killed processes, or by this one after a fault of the disk.
 * @param target  only those of this target; of all when left out
 */
export async function leftoversIn(folder: string, target?: string): Promise<readonly string[]> {
  const entries = await fileSystem().list(folder)
  const prefix = target === undefined ? '.' : prefixOf(target)
  return entries.flatMap(({ name }) => {
    const owner = name.startsWith(prefix) ? temporaryName.exec(name)?.[2] : undefined
    const leftover = path.join(folder, name)
    return owner === undefined || inUse.has(leftover) || isOtherLiveProcess(Number(owner)) ? [] : [leftover]
  })
}

/** The path without the marks of a temporary name in any of its parts: what it would have become. */
export function withoutTemporaryNames(relativePath: string): string {
  const parts = relativePath.split('/')
  return parts.map((part) => temporaryName.exec(part)?.[1] ?? part).join('/')
}

const temporaryName = /^\.(.+)\.tmp-(\d+)-\d+$/s

/** Shortened so that a long name does not become too long. */
function prefixOf(target: string): string {
  return `.${Array.from(path.basename(target)).slice(0, 50).join('')}.tmp-`
}

function isOtherLiveProcess(id: number): boolean {
  if (id === process.pid) return false
  try {
    process.kill(id, 0) // signal 0 only asks
    return true
  } catch (error) {
    return systemCode(error) === 'EPERM'
  }
}
