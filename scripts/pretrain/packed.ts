// All pictures of a data set as bytes in one file: no decoding in any epoch, and one digest for all of it.
import * as path from 'node:path'
import { loadBatches } from '../../src/data/loader.ts'
import type { Pixels } from '../../src/data/pixels.ts'
import type { Sample } from '../../src/data/sample.ts'
import { RegraftError } from '../../src/errors.ts'
import { sha256OfFile } from '../../src/files/digest.ts'
import { openSafetensors, writeSafetensors } from '../../src/formats/safetensors.ts'
import type { Checkpoint } from '../../src/tensor/checkpoint.ts'
import type { LabelledPicture, PictureLists } from './tiny-imagenet.ts'

/** A labelled picture that is in memory. */
export interface PackedSample extends Sample {
  readonly pixels: Pixels
}

export interface PackedData {
  readonly classes: readonly string[]
  /** Pixels of a side. */
  readonly size: number
  readonly train: readonly PackedSample[]
  readonly validation: readonly PackedSample[]
  /** SHA-256 of the file. */
  readonly sha256: string
}

const parts = ['train', 'validation'] as const

/**
 * Decodes all pictures and writes them into one safetensors file: for each part u8[count, size, size, 3] and i32[count].
 * @throws RegraftError 'data' for the first picture that cannot be read
 */
export async function pack(folder: string, lists: PictureLists, size: number, file: string): Promise<void> {
  const tensors = []
  for (const part of parts) {
    const { bytes, labels } = await decodeAll(folder, lists[part], size)
    tensors.push(
      { name: `${part}.pixels`, dtype: 'U8', shape: [labels.length, size, size, 3], data: bytes } as const,
      { name: `${part}.labels`, dtype: 'I32', shape: [labels.length], data: labels } as const,
    )
  }
  await writeSafetensors(file, tensors, { classes: JSON.stringify(lists.classes) })
}

async function decodeAll(folder: string, pictures: readonly LabelledPicture[], size: number) {
  const pictureBytes = size * size * 3
  const bytes = new Uint8Array(pictures.length * pictureBytes)
  let at = 0
  for await (const batch of loadBatches({
    samples: pictures.map(({ path: name, label }) => ({ path: name, file: path.join(folder, name), label })),
    preprocessing: {
      width: size,
      height: size,
      cropPct: 1,
      interpolation: 'bicubic',
      cropMode: 'center',
      mean: [0, 0, 0],
      std: [1, 1, 1],
    },
    batchSize: 256,
    onError: 'stop',
  })) {
    bytes.set(batch.bytes, at * pictureBytes)
    at += batch.count
  }
  return { bytes, labels: Int32Array.from(pictures, ({ label }) => label) }
}

/** @throws RegraftError 'data' when the file is not one that `pack` wrote */
export async function openPacked(file: string): Promise<PackedData> {
  const stored = await openSafetensors(file)
  const size = stored.names().includes('train.pixels') ? stored.shape('train.pixels')[1] : undefined
  const classes = JSON.parse(stored.metadata.get('classes') ?? 'null')
  if (size === undefined || !Array.isArray(classes))
    throw new RegraftError('data', `${file} holds no packed pictures. Make it anew with the command pack.`, { file })
  const [train, validation] = [await samplesOf(stored, 'train', size), await samplesOf(stored, 'validation', size)]
  return { classes, size, train, validation, sha256: await sha256OfFile(file) }
}

async function samplesOf(stored: Checkpoint, part: string, size: number): Promise<readonly PackedSample[]> {
  const all = await stored.readBytes(`${part}.pixels`)
  const raw = await stored.readBytes(`${part}.labels`)
  const labels = new Int32Array(raw.slice().buffer)
  const pictureBytes = size * size * 3
  return Array.from(labels, (label, index) => {
    const bytes = all.subarray(index * pictureBytes, (index + 1) * pictureBytes)
    const name = `${part} ${index}`
    return { path: name, file: name, label, pixels: { bytes, width: size, height: size, channels: 3 } }
  })
}
