import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import * as path from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openPacked, pack } from '../../scripts/pretrain/packed.ts'
import { preprocessingOf } from '../../scripts/pretrain/recipe.ts'
import { listPictures } from '../../scripts/pretrain/tiny-imagenet.ts'
import { decodeImage } from '../../src/data/decode.ts'
import { randomStream } from '../../src/random.ts'

const SIZE = 8
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'regraft-packed-'))
  await writeFile(path.join(folder, 'wnids.txt'), 'n02\nn01\n')
  await writeFile(path.join(folder, 'words.txt'), 'n00\tno class\nn01\tgoldfish, Carassius auratus\nn02\tbullfrog\n')
  for (const name of ['n01', 'n02'])
    for (const index of [0, 1]) await picture(`train/${name}/images/${name}_${index}.JPEG`)
  await picture('val/images/val_0.JPEG')
  await writeFile(path.join(folder, 'val', 'val_annotations.txt'), 'val_0.JPEG\tn02\t0\t0\t7\t7\n')
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function picture(name: string): Promise<void> {
  const file = path.join(folder, name)
  await mkdir(path.dirname(file), { recursive: true })
  const random = randomStream({ seed: 0, purpose: name })
  const bytes = Uint8Array.from({ length: SIZE * SIZE * 3 }, () => random.integer(256))
  await sharp(bytes, { raw: { width: SIZE, height: SIZE, channels: 3 } })
    .jpeg()
    .toFile(file)
}

test('packed pictures are those of the files, with their labels', async () => {
  const lists = await listPictures(folder)
  expect(lists.classes).toEqual(['goldfish', 'bullfrog'])
  const file = path.join(folder, 'packed.safetensors')
  await pack(folder, lists, SIZE, file)
  const { classes, size, train, validation } = await openPacked(file)
  expect({ classes, size }).toEqual({ classes: lists.classes, size: SIZE })
  expect(train.map(({ label }) => label)).toEqual([0, 0, 1, 1])
  expect(validation.map(({ label }) => label)).toEqual([1])
  for (const [part, samples] of [
    [lists.train, train],
    [lists.validation, validation],
  ] as const)
    for (const [index, sample] of samples.entries())
      expect(Buffer.from(sample.pixels.bytes)).toEqual(
        Buffer.from(await decodeImage(path.join(folder, part[index]?.path ?? ''), preprocessingOf(SIZE))),
      )
})

test('other folders and files are refused with what is missing', async () => {
  await expect(listPictures(path.join(folder, 'val'))).rejects.toThrow(/no tiny-imagenet-200: wnids.txt cannot be read/)
  const file = path.join(folder, 'other.safetensors')
  await writeFile(file, Buffer.from('\x02\0\0\0\0\0\0\0{}'))
  await expect(openPacked(file)).rejects.toThrow(/holds no packed pictures/)
})
