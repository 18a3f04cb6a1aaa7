// Trainings on disks that fail, one call after the other.
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { withFileSystem } from '../../src/files/file-system.ts'
import { createEngine } from '../../src/kernels/engine.ts'
import type { TrainOptions } from '../../src/transfer/options.ts'
import { train } from '../../src/transfer/train.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { drawFolder } from './drawn-pictures.ts'
import { faultsOfReading, faultsOfWriting, injected, survives } from './injected-faults.ts'
import { savedModel } from './random-model.ts'
import { resultOf } from './run-result.ts'

/** @param most  faults of each kind, evenly over the training */
export function describeFaults(most: number): void {
  const folder = temporaryFolder()
  const data = join(folder, 'data')
  const trunk = join(folder, 'trunk')
  const engine = createEngine({ threads: 1, simd: 'baseline' })
  afterAll(() => engine.close())
  let expected: ReturnType<typeof resultOf>

  const optionsOf = (out: string): TrainOptions => ({
    data,
    model: trunk,
    out: join(folder, out),
    engine,
    mode: 'finetune',
    unfreeze: 'last:1',
    augment: 'none',
    epochs: 2,
    batchSize: 6,
    saveEvery: '1',
    keepCheckpoints: 1,
    ema: 0.9,
  })

  beforeAll(async () => {
    await drawFolder(data, 4)
    await savedModel(trunk, 'mobilenetv1_025')
    await train(optionsOf('undisturbed'))
    expected = resultOf(join(folder, 'undisturbed'))
  })

  describe.each([...faultsOfWriting, ...faultsOfReading])('when a call of kind %s fails (%s)', (kind, fault) => {
    test('a training ends with a clear error or not at all, and loses nothing', async () => {
      const counting = injected(kind, fault, 0)
      await withFileSystem(counting.disk, () => train(optionsOf(`counted ${kind} ${fault}`)))
      const calls = counting.count()
      expect(calls).toBeGreaterThan(2)
      const step = Math.max(1, Math.floor(calls / most))
      let struck = 0
      for (let n = 1 + Math.floor(step / 2); n <= calls; n += step)
        if (await survives(optionsOf(`${kind} ${fault} ${n}`), injected(kind, fault, n), expected)) struck += 1
      expect(struck).toBeGreaterThanOrEqual(Math.min(most, calls) - 1)
      process.stderr.write(`${kind} ${fault}: ${struck} of ${calls} calls failed\n`)
    })
  })
}
