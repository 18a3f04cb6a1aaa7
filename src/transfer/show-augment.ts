// A contact sheet of what augmentation makes of some training pictures.
import * as path from 'node:path'
import sharp from 'sharp'
import { compileAugmentation } from '../data/augmentations/index.ts'
import { loadBatches } from '../data/loader.ts'
import type { Sample } from '../data/sample.ts'
import { RegraftError, throwIfAborted } from '../errors.ts'
import { writeFileAtomic } from '../files/atomic-write.ts'
import { inertName } from '../inert-text.ts'
import { eventLog } from './event-log.ts'
import type { AugmentSheet, ShowAugmentOptions } from './options.ts'
import { prepared } from './train.ts'
import { badCollector, changesPictures, drawEpoch, trainingOrder, type Work } from './train-work.ts'

/** Pictures, a row each, and epochs that they are shown as in. */
const PICTURES = 6
const EPOCHS = 7
const GAP = 6

type Format = 'jpeg' | 'png' | 'webp'
const formats: ReadonlyMap<string, Format> = new Map([
  ['.jpg', 'jpeg'],
  ['.jpeg', 'jpeg'],
  ['.png', 'png'],
  ['.webp', 'webp'],
])

/**
 * Draws a sheet of training pictures as the network would see them: a row for each, first as for validation, then as in the first
 * epochs of the training with these options, with random erasing, before pictures are mixed. Nothing is trained.
 * @throws RegraftError 'usage' for an unknown ending of the file, or when nothing changes the pictures; else as `train`
 */
export async function showAugment({ file, ...training }: ShowAugmentOptions): Promise<AugmentSheet> {
  const format = formats.get(path.extname(file).toLowerCase())
  if (format === undefined)
    throw new RegraftError('usage', `${inertName(file)}: the sheet can be a .jpg, .png or .webp file.`, { file })
  // Whoever only looks need not say in which mode it will be used.
  const work = await prepared({ mode: 'finetune', ...training, out: '' }, eventLog(undefined))
  const { config, model, options } = work
  if (!changesPictures(config))
    throw new RegraftError(
      'usage',
      'There is nothing to show without --augment: give it light, medium, strong or a file.',
    )
  const { width, height } = model.preprocessing
  const rows = await rowsOf(work)
  const columns = 1 + EPOCHS
  const size = {
    width: columns * (width + GAP) + 2 * GAP,
    height: Math.max(1, rows.length) * (height + GAP) + GAP,
  }
  const sheet = new Uint8Array(size.width * size.height * 3).fill(255)
  for (const [row, { cells }] of rows.entries()) {
    for (const [column, cell] of cells.entries()) {
      // The first column stands a little apart.
      const left = GAP + column * (width + GAP) + (column > 0 ? GAP : 0)
      for (let y = 0; y < height; y++) {
        const at = (GAP + row * (height + GAP) + y) * size.width + left
        sheet.set(cell.subarray(y * width * 3, (y + 1) * width * 3), at * 3)
      }
    }
  }
  throwIfAborted(options.signal)
  const encoded = await sharp(sheet, { raw: { ...size, channels: 3 } })
    [format](format === 'png' ? {} : { quality: 92 })
    .toBuffer()
  await writeFileAtomic(file, encoded, { signal: options.signal })
  return { file, ...size, columns, pictures: rows.map(({ sample }) => ({ path: sample.path, label: sample.label })) }
}

interface Row {
  readonly sample: Sample
  readonly cells: readonly Uint8Array[]
}

async function rowsOf(work: Work): Promise<readonly Row[]> {
  const { config, data, model, options, kept } = work
  const knownBad = new Set<number>()
  const load = async (
    order: readonly number[],
    epoch: number | undefined,
  ): Promise<ReadonlyMap<number, Uint8Array>> => {
    const cells = new Map<number, Uint8Array>()
    for await (const { indices, bytes } of loadBatches({
      samples: data.train,
      order,
      preprocessing: model.preprocessing,
      batchSize: 1,
      ...(epoch !== undefined && {
        augment: config.augment === 'none' ? undefined : compileAugmentation(config.augment),
        erase: config.reprob,
        seed: config.seed,
        epoch: drawEpoch(config, epoch),
      }),
      signal: options.signal,
      onError: config.onError,
      onBad: badCollector(work, data.train.length),
      knownBad,
      kept,
    })) {
      for (const index of indices) cells.set(index, bytes)
      if (cells.size === PICTURES) break
    }
    return cells
  }
  const plain = await load([...trainingOrder(work, knownBad, 1)], undefined)
  const chosen = [...plain.keys()]
  const epochs: ReadonlyMap<number, Uint8Array>[] = []
  for (let epoch = 1; epoch <= EPOCHS; epoch++) epochs.push(await load(chosen, epoch))
  return [...plain].flatMap(([index, first]) => {
    const sample = data.train[index]
    const cells = [first, ...epochs.flatMap((cells) => cells.get(index) ?? [])]
    return sample === undefined ? [] : [{ sample, cells }]
  })
}
