// The contact sheet of an augmentation is made of what the network sees.
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { augmentPresets, compileAugmentation, completeEntries } from '../../src/data/augmentations/index.ts'
import { loadBatches } from '../../src/data/loader.ts'
import { createEngine } from '../../src/kernels/engine.ts'
import { loadModel } from '../../src/model/load.ts'
import type { Augment } from '../../src/transfer/options.ts'
import { readRunConfig } from '../../src/transfer/run-folder.ts'
import { showAugment } from '../../src/transfer/show-augment.ts'
import { train } from '../../src/transfer/train.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { drawFolder } from '../stories/drawn-pictures.ts'
import { savedModel } from '../stories/random-model.ts'

const folder = temporaryFolder()
const data = join(folder, 'data')
const trunk = join(folder, 'trunk')
const engine = createEngine({ threads: 1, simd: 'baseline' })
afterAll(() => engine.close())

beforeAll(async () => {
  await drawFolder(data, 5)
  await savedModel(trunk, 'mobilenetv1_025')
})

test('each row is a picture as for validation and as in the first epochs', async () => {
  const file = join(folder, 'sheet.png')
  const list = [{ rotate: 40 }, { gaussianNoise: { sigma: 0.1, p: 1 } }]
  const sheet = await showAugment({ data, model: trunk, engine, augment: list, seed: 3, file })
  expect(sheet).toMatchObject({ file, columns: 8 })
  expect(sheet.pictures).toHaveLength(6)
  const { data: pixels, info } = await sharp(file).raw().toBuffer({ resolveWithObject: true })
  expect(info).toMatchObject({ width: sheet.width, height: sheet.height, channels: 3 })

  const { preprocessing } = (await loadModel(trunk, {})).model
  const { width, height } = preprocessing
  const cell = (row: number, column: number) => {
    const left = 6 + column * (width + 6) + (column > 0 ? 6 : 0)
    const rows = Array.from({ length: height }, (_, y) => {
      const at = ((6 + row * (height + 6) + y) * info.width + left) * 3
      return pixels.subarray(at, at + width * 3)
    })
    return Buffer.concat(rows).toString('hex')
  }
  const [{ path = '' } = {}] = sheet.pictures
  // The index decides the draws; here it is looked for among all.
  const loaded = async (index: number, epoch?: number) => {
    const samples = Array.from({ length: index + 1 }, () => ({ path, file: join(data, path) }))
    const augment = compileAugmentation(completeEntries(list, 'test'))
    const changing = epoch === undefined ? {} : { augment, seed: 3, epoch }
    for await (const batch of loadBatches({ samples, order: [index], preprocessing, batchSize: 1, ...changing }))
      return Buffer.from(batch.bytes).toString('hex')
    return ''
  }
  expect(cell(0, 0)).toBe(await loaded(0))
  const found = []
  for (let index = 0; index < 15; index++) if ((await loaded(index, 1)) === cell(0, 1)) found.push(index)
  expect(found).toHaveLength(1)
  for (const epoch of [2, 7]) expect(cell(0, epoch)).toBe(await loaded(found[0] ?? 0, epoch))
})

test('whoever only looks need not say how it will be used, but what', async () => {
  const file = join(folder, 'light.jpg')
  await showAugment({ data, model: trunk, engine, augment: 'light', file })
  expect((await sharp(file).metadata()).format).toBe('jpeg')
  const refused = (augment: Augment, to = file, more = {}) =>
    expect(showAugment({ data, model: trunk, engine, augment, file: to, ...more })).rejects
  await refused('none').toThrow('nothing to show')
  await refused('light', join(folder, 'sheet.gif')).toThrow(/\.jpg, \.png or \.webp/)
  await refused('light', file, { mode: 'head' }).toThrow('--augment has no effect in --mode head')
  await refused('mediun').toThrow("neither none, light, medium, strong nor a file. Did you mean 'medium'?")
  expect(existsSync(join(folder, 'sheet.gif'))).toBe(false)
})

test('a run writes down the complete list, and a file or that list gives the same run', async () => {
  const yaml = join(folder, 'mine.yaml')
  writeFileSync(yaml, '- random-resized-crop: [0.5, 1]\n- horizontal-flip\n')
  const options = {
    data,
    model: trunk,
    engine,
    mode: 'finetune',
    unfreeze: 'last:1',
    epochs: 1,
    checks: false,
  } as const
  const ran = async (name: string, augment: Augment) => {
    const out = join(folder, name)
    const { best } = await train({ ...options, augment, out })
    return { best, augment: (await readRunConfig(out)).augment }
  }
  const light = await ran('light', 'light')
  expect(light.augment).toEqual(augmentPresets.light)
  expect(await ran('file', yaml)).toEqual(light)
  expect(await ran('list', augmentPresets.light)).toEqual(light)
  expect((await ran('other', [{ rotate: 90 }, 'brightness', 'contrast'])).best).not.toEqual(light.best)
})
