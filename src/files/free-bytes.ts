import * as path from 'node:path'
import { fileSystem } from './file-system.ts'

/**
 * Bytes that are free where a file or folder is or will be.
 * @returns undefined where the system does not say
 */
export async function freeBytes(place: string): Promise<number | undefined> {
  for (let at = path.resolve(place); ; at = path.dirname(at)) {
    try {
      return await fileSystem().freeBytes(at)
    } catch {
      if (at === path.dirname(at)) return undefined
    }
  }
}
