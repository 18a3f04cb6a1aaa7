// Where colours tell the classes apart, the probe has to say so.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, expect, test } from 'vitest'
import { probe } from '../../scripts/pretrain/probe.ts'
import { createEngine } from '../../src/kernels/engine.ts'
import { randomStream } from '../../src/random.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'

const folder = temporaryFolder()
const engine = createEngine()
afterAll(() => engine.close())

/** Pictures of noise: one class has stripes across, one has stripes down; all have the same colours. */
async function stripes(root: string, sameColours: boolean) {
  for (const [kind, across] of [
    ['across', true],
    ['down', false],
  ] as const) {
    await mkdir(join(root, kind), { recursive: true })
    for (let picture = 0; picture < 20; picture++) {
      const random = randomStream({ seed: 1, sample: picture, purpose: kind })
      const bytes = Uint8Array.from({ length: 32 * 32 * 3 }, (_, at) => {
        const pixel = Math.floor(at / 3)
        const line = across ? Math.floor(pixel / 32) : pixel % 32
        const light = Math.floor(line / 4) % 2 === 0 ? 150 : 20
        const tint = !sameColours && at % 3 === (across ? 0 : 2) ? 60 : 0
        return light + tint + random.integer(40)
      })
      const raw = { width: 32, height: 32, channels: 3 } as const
      await sharp(bytes, { raw })
        .png()
        .toFile(join(root, kind, `${picture}.png`))
    }
  }
}

test('features, random features and colours are each judged on the validation pictures', async () => {
  const tinted = join(folder, 'tinted')
  const grey = join(folder, 'grey')
  await stripes(tinted, false)
  await stripes(grey, true)
  const finetune = { unfreeze: 'last:1', epochs: 2, lr: 1e-3 }
  const byColour = await probe({ engine, model: 'default', data: tinted, size: 32, seed: 0, finetune })
  expect(byColour.colours).toBe(1)
  const byForm = await probe({ engine, model: 'default', data: grey, size: 32, seed: 0 })
  expect(byForm.colours).toBeLessThan(0.9)
  expect(byForm.features).toBe(1)
  expect(byForm.finetuned).toBeUndefined()
  for (const value of Object.values(byColour)) expect(value).toBeGreaterThanOrEqual(0.5)
  expect(Object.keys(byColour)).toEqual(['features', 'untrained', 'colours', 'finetuned'])
})
