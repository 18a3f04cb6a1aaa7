import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { createEngine } from '../../src/kernels/engine.ts'
import { DEFAULT_MODEL, embeddedModels } from '../../src/model/find-model.ts'
import { demo } from '../../src/transfer/demo.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'

const folder = temporaryFolder()

describe.skipIf(!embeddedModels().includes(DEFAULT_MODEL))('the demo with the embedded network', () => {
  const engine = createEngine()
  afterAll(() => engine.close())

  test('tells unseen pictures apart by what the network knew before', { timeout: 300_000 }, async () => {
    const { accuracy, best } = await demo({ engine, out: join(folder, 'demo') })
    expect(best).toBe('finetune')
    expect(accuracy.best).toBeGreaterThanOrEqual(0.9)
    expect(accuracy.thumbnails).toBeLessThanOrEqual(0.6)
    expect(Math.max(accuracy.untrainedHead, accuracy.untrainedFinetune)).toBeLessThanOrEqual(0.8)
  })
})
