import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import sharp from 'sharp'
import { expect, test } from 'vitest'
import { contactSheet } from '../../src/transfer/demo/contact-sheet.ts'
import { difficulty } from '../../src/transfer/demo/difficulty.ts'
import { type DrawnPicture, drawPictures, parts, writePictures } from '../../src/transfer/demo/picture-set.ts'
import { scene } from '../../src/transfer/demo/scene.ts'
import { allThings } from '../../src/transfer/demo/things.ts'
import { type LabelledJpeg, nearestCentroidAccuracy } from '../../src/transfer/demo/thumbnails.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'

const folder = temporaryFolder()
const { things } = difficulty

async function drawn(counts: Record<(typeof parts)[number], number>, seed: number): Promise<DrawnPicture[]> {
  const pictures: DrawnPicture[] = []
  for await (const picture of drawPictures({ things, counts, seed })) pictures.push(picture)
  return pictures
}

test('the same seed draws the same bytes, another seed draws others', async () => {
  const counts = { train: 1, val: 1, unseen: 1 }
  const [first, again, other] = [await drawn(counts, 3), await drawn(counts, 3), await drawn(counts, 4)]
  expect(again).toEqual(first)
  for (const [index, { jpeg }] of first.entries())
    expect(Buffer.from(jpeg).equals(other[index]?.jpeg ?? jpeg)).toBe(false)
})

test('every thing has as many pictures in each part, no two of them alike', async () => {
  const counts = { train: 3, val: 2, unseen: 1 }
  const pictures = await drawn(counts, 0)
  for (const part of parts) {
    for (const thing of things) {
      expect(pictures.filter((picture) => picture.part === part && picture.thing === thing)).toHaveLength(counts[part])
    }
  }
  expect(new Set(pictures.map(({ jpeg }) => Buffer.from(jpeg).toString('base64'))).size).toBe(6 * things.length)
})

test('pictures lie in a folder for each thing, and are JPEGs of the stated size', async () => {
  const files: string[] = []
  const chosen = things.slice(0, 2)
  await writePictures(folder, { things: chosen, counts: { train: 2, val: 1, unseen: 1 }, seed: 0 }, (_, file) =>
    files.push(file),
  )
  expect(files).toHaveLength(8)
  expect(files[3]).toBe(join(folder, 'train', chosen[1] ?? '', '02.jpg'))
  for (const file of files) {
    const { format, width, height, channels } = await sharp(await readFile(file)).metadata()
    expect({ format, width, height, channels }).toEqual({
      format: 'jpeg',
      width: difficulty.side,
      height: difficulty.side,
      channels: 3,
    })
  }
})

test('all things can be drawn, whatever their proportions', async () => {
  for (const thing of Object.values(allThings)) {
    for (let sample = 0; sample < 4; sample++) {
      const svg = scene(thing, { seed: 0, sample })
      expect(svg).not.toMatch(/NaN|undefined|Infinity/)
      expect((await sharp(Buffer.from(svg)).metadata()).width).toBe(difficulty.side)
    }
  }
})

test('thing and ground differ in lightness', async () => {
  // A cup fills some 10 to 40 % of its picture: both ends of the lightnesses must be there, whatever light and noise do.
  const counts = { train: 6, val: 0, unseen: 0 }
  for await (const { jpeg } of drawPictures({ things: ['cup'], counts, seed: 1 })) {
    const { data, info } = await sharp(jpeg).greyscale().raw().toBuffer({ resolveWithObject: true })
    const values = [...data].sort((a, b) => a - b)
    const spread = (values[Math.floor(values.length * 0.95)] ?? 0) - (values[Math.floor(values.length * 0.05)] ?? 0)
    expect(info.width).toBe(difficulty.side)
    expect(spread).toBeGreaterThan(40)
  }
})

test.each([0, 1, 2])('8x8 thumbnails do not tell the things apart (seed %i)', async (seed) => {
  const pictures = await drawn({ train: 20, val: 0, unseen: 10 }, seed)
  const of = (part: string): LabelledJpeg[] =>
    pictures.filter((picture) => picture.part === part).map(({ thing, jpeg }) => ({ label: thing, jpeg }))
  expect(await nearestCentroidAccuracy(of('train'), of('unseen'))).toBeLessThanOrEqual(0.6)
})

test('thumbnails do tell apart what differs in colour and place', async () => {
  const plain = async (label: string, background: string): Promise<LabelledJpeg> => ({
    label,
    jpeg: await sharp({ create: { width: 32, height: 32, channels: 3, background } })
      .jpeg()
      .toBuffer(),
  })
  const train = [await plain('red', '#ff0000'), await plain('red', '#cc2020'), await plain('blue', '#0000ff')]
  const unseen = [await plain('red', '#e01010'), await plain('blue', '#2020d0'), await plain('red', '#1010ff')]
  expect(await nearestCentroidAccuracy(train, unseen)).toBeCloseTo(2 / 3)
})

test('the contact sheet has a row for each thing', async () => {
  const pictures = await drawn({ train: 2, val: 0, unseen: 0 }, 0)
  const rows = things.map((thing) => pictures.flatMap((picture) => (picture.thing === thing ? [picture.jpeg] : [])))
  const { width, height } = await sharp(await contactSheet(rows)).metadata()
  expect({ width, height }).toEqual({
    width: 4 + 2 * (difficulty.side + 4),
    height: 4 + things.length * (difficulty.side + 4),
  })
})
