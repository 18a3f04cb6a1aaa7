// Twenty thousand damaged files for each reader; `npm run fuzz` does more.
import { expect, test } from 'vitest'
import { withFileSystem } from '../../src/files/file-system.ts'
import { fuzz } from './fuzz.ts'
import { memoryFiles } from './memory-files.ts'
import { targets } from './targets.ts'

test.each(targets.map((target) => [target.name, target] as const))(
  '%s refuses damage in words, or is not hurt by it',
  async (_, target) => {
    await withFileSystem(memoryFiles(target.sound), () => target.read(target.file, target.sound))
    const { findings, accepted, refused } = await fuzz(target, { count: 20_000, seed: 1 })
    expect(findings).toEqual([])
    expect(Math.min(accepted, refused)).toBeGreaterThan(0)
  },
  300_000,
)
