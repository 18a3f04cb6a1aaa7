// A network that saw turned pictures in training knows turned pictures. Two trainings, some minutes.
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import sharp from 'sharp'
import { afterAll, describe, expect, test } from 'vitest'
import { createEngine } from '../../src/kernels/engine.ts'
import { randomStream } from '../../src/random.ts'
import { evaluate } from '../../src/transfer/evaluate.ts'
import type { Augment } from '../../src/transfer/options.ts'
import { train } from '../../src/transfer/train.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'

const images = join(fileURLToPath(new URL('../../../shared/', import.meta.url)), 'images')
const folder = temporaryFolder()

/** The validation pictures, each turned by an angle of its own about the middle, by libvips. */
async function turnedPictures(): Promise<string> {
  const root = join(folder, 'turned')
  const names = readFileSync(join(images, 'clothing.val.txt'), 'utf8').trim().split('\n')
  for (const [sample, name] of names.entries()) {
    const angle = 360 * randomStream({ seed: 1, sample, purpose: 'turned validation pictures' }).uniform()
    const upright = await sharp(join(images, 'clothing', name))
      .autoOrient()
      .png()
      .toBuffer({ resolveWithObject: true })
    const { width, height } = upright.info
    const turned = await sharp(upright.data)
      .rotate(angle, { background: '#7c7468' })
      .toBuffer({ resolveWithObject: true })
    const left = Math.floor((turned.info.width - width) / 2)
    const top = Math.floor((turned.info.height - height) / 2)
    // What a turn makes narrower than the picture was is kept as it is.
    const box = {
      left: Math.max(0, left),
      top: Math.max(0, top),
      width: Math.min(width, turned.info.width),
      height: Math.min(height, turned.info.height),
    }
    const file = join(root, name.replace(/\.\w+$/, '.png'))
    mkdirSync(dirname(file), { recursive: true })
    await sharp(turned.data).extract(box).toFile(file)
  }
  return root
}

describe.skipIf(!existsSync(images))('fine-tuning on real photos', () => {
  const engine = createEngine({ allowV8Flags: true })
  afterAll(() => engine.close())

  test('with rotation gains five points on turned validation pictures', async () => {
    const turned = await turnedPictures()
    const accuracies: { readonly upright: number; readonly turned: number }[] = []
    const crops = [{ randomResizedCrop: [0.5, 1] }, 'horizontalFlip']
    for (const [name, augment] of [
      ['without', crops],
      ['with', [...crops, { rotate: 180 }]],
    ] satisfies [string, Augment][]) {
      const out = join(folder, name)
      const { best } = await train({
        engine,
        data: join(images, 'clothing'),
        trainList: join(images, 'clothing.train.txt'),
        val: join(images, 'clothing.val.txt'),
        model: join(images, '..', 'weights', 'mobilenet_v1_0.25_128'),
        mode: 'finetune',
        unfreeze: 'last:7',
        augment,
        out,
      })
      const { accuracy } = await evaluate(out, turned, { engine })
      accuracies.push({ upright: best.valAccuracy, turned: accuracy })
    }
    const [without, withRotation] = accuracies
    expect((withRotation?.turned ?? 0) - (without?.turned ?? 1), JSON.stringify(accuracies)).toBeGreaterThanOrEqual(
      0.05,
    )
  })
})
