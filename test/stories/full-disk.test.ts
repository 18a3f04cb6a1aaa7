// Disks that are full, or that nothing may be written to.
import { chmodSync, existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { diskFileSystem, type FileSystem, withFileSystem } from '../../src/files/file-system.ts'
import { createEngine } from '../../src/kernels/engine.ts'
import { checkpointFolders } from '../../src/train/checkpoint.ts'
import type { TrainOptions } from '../../src/transfer/options.ts'
import { train } from '../../src/transfer/train.ts'
import { systemError } from '../files/faulty-file-system.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { drawFolder } from './drawn-pictures.ts'
import { expectWhole, leftovers } from './injected-faults.ts'
import { errorOf } from './interrupted.ts'
import { savedModel } from './random-model.ts'
import { resultOf } from './run-result.ts'

const folder = temporaryFolder()
const data = join(folder, 'data')
const trunk = join(folder, 'trunk')
const engine = createEngine({ threads: 1, simd: 'baseline' })
afterAll(() => engine.close())
const optionsOf = (out: string): TrainOptions => ({
  data,
  model: trunk,
  out,
  engine,
  mode: 'head',
  epochs: 3,
  batchSize: 6,
  saveEvery: '1',
  keepCheckpoints: 9,
  // They would try how fast the disk is, with room that is not given back here.
  checks: false,
})
let expected: ReturnType<typeof resultOf>

beforeAll(async () => {
  await drawFolder(data, 5)
  await savedModel(trunk, 'mobilenetv1_025')
  await train(optionsOf(join(folder, 'undisturbed')))
  expected = resultOf(join(folder, 'undisturbed'))
})

/** A disk with room for so many bytes more; what is removed makes no room. */
function smallFileSystem(room: number): FileSystem {
  let left = room
  return {
    ...diskFileSystem,
    async open(path, mode) {
      const file = await diskFileSystem.open(path, mode)
      return {
        ...file,
        async write(from) {
          if (left === 0) throw systemError('ENOSPC')
          const written = await file.write(from.subarray(0, left))
          left -= written
          return written
        },
      }
    },
  }
}

test.each([0.5, 1, 1.5, 2.5])('with room for %d checkpoints the last good one survives', async (checkpoints) => {
  // A head of 3 classes on 256 features, with two values of the optimiser for each weight, and the best one.
  const room = checkpoints * 4 * (3 * 256) * 4
  const out = join(folder, `room for ${checkpoints}`)
  const error = await errorOf(withFileSystem(smallFileSystem(room + 6000), () => train(optionsOf(out))))
  expect(error).toMatchObject({ code: 'memory', exitCode: 6 })
  expect(error.message).toMatch(/Could not write .*: the disk is full\. It needs .*\nFree some space/)
  expect(error.message).toContain(folder)
  if (existsSync(out)) await expectWhole(out)
  const resumable = existsSync(out) && (await checkpointFolders(out)).length > 0
  expect(resumable).toBe(checkpoints > 1)
  if (resumable) await train({ data: '', out: '', resume: out, engine })
  else await train({ ...optionsOf(out), overwrite: true })
  expect(resultOf(out)).toEqual(expected)
  expect(leftovers(out)).toEqual([])
})

test.skipIf(process.platform === 'win32' || process.getuid?.() === 0)(
  'a folder that may not be written to is refused before anything is computed',
  async () => {
    const locked = join(folder, 'locked')
    mkdirSync(locked)
    chmodSync(locked, 0o500)
    const error = await errorOf(train(optionsOf(join(locked, 'run'))))
    expect(error).toMatchObject({ code: 'usage', message: expect.stringMatching(/permission denied/) })
    expect(readdirSync(locked)).toEqual([])
  },
)
