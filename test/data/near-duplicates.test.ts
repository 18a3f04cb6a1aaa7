import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Sharp } from 'sharp'
import { describe, expect, test } from 'vitest'
import { decodeImage } from '../../src/data/decode.ts'
import { nearDuplicates } from '../../src/data/near-duplicates.ts'
import { hashDistance, hashPreprocessing, type PictureHash, pictureHash } from '../../src/data/picture-hash.ts'
import { randomStream } from '../../src/random.ts'
import { blots, plainPng, shared } from './pictures.ts'

const hashOf = async (picture: Buffer | string) => pictureHash(await decodeImage(picture, hashPreprocessing))

const prints: Readonly<Record<string, (picture: Sharp) => Sharp>> = {
  'the same': (picture) => picture.png(),
  smaller: (picture) => picture.resize(61, 47, { fit: 'fill' }).png(),
  'a poor JPEG': (picture) => picture.jpeg({ quality: 25 }),
  brighter: (picture) => picture.linear(1.07, 4).png(),
  'without colours': (picture) => picture.greyscale().png(),
  'with less of a border': (picture) => picture.extract({ left: 1, top: 1, width: 118, height: 88 }).png(),
}

test.each(Object.keys(prints))('a copy that is %s is found among other pictures', async (name) => {
  const originals = await Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map((seed) => blots(seed).png().toBuffer().then(hashOf)))
  const print = prints[name]
  if (print === undefined) throw new Error('a print')
  const copies = await Promise.all([1, 5].map((seed) => print(blots(seed)).toBuffer().then(hashOf)))
  const pairs = await nearDuplicates([...originals, ...copies])
  expect(pairs.map(({ first, second }) => [first, second])).toEqual([
    [0, 8],
    [4, 9],
  ])
})

test('pictures of almost one colour are like none', async () => {
  const plain = await hashOf(await plainPng([200, 30, 30]))
  expect(plain).toBeUndefined()
  expect(await nearDuplicates([plain, plain])).toEqual([])
})

test('no pair within the bounds is missed', async () => {
  const draw = randomStream({ seed: 3, purpose: 'bits' })
  const colours = new Uint8Array(192)
  const base: PictureHash = {
    frequencies: [draw.uint32() | 0, draw.uint32() | 0],
    gradients: [0, 0],
    colours,
  }
  // Too far by its gradients for the bound of drawings, near enough for the others.
  const apart: PictureHash = { ...base, gradients: [0b11111, 0] }
  const flipped = (count: number): PictureHash => {
    const words: [number, number] = [base.frequencies[0], base.frequencies[1]]
    for (const bit of draw.permutation(64).slice(0, count)) words[bit >> 5 === 0 ? 0 : 1] ^= 1 << (bit & 31)
    return { ...apart, frequencies: words }
  }
  for (let i = 0; i < 200; i++) {
    const count = i % 10
    const other = flipped(count)
    expect(hashDistance(base, other)).toEqual({ frequencies: count, gradients: 5, colours: 0 })
    expect(await nearDuplicates([base, other])).toEqual(count <= 6 ? [{ first: 0, second: 1, distance: count }] : [])
  }
})

const photos = join(shared, 'images', 'produce_messy')

describe.skipIf(!existsSync(photos))('photos', () => {
  test('of vegetables hold two pairs, and no other', async () => {
    const files = readdirSync(photos, { recursive: true, encoding: 'utf8' })
      .filter((file) => /\.jpe?g$/i.test(file))
      .sort()
    const hashes = []
    for (const file of files) hashes.push(await hashOf(join(photos, file)))
    const pairs = await nearDuplicates(hashes)
    expect(pairs.map(({ first, second }) => [files[first], files[second]])).toEqual([
      ['corn/sweet_corn_2.jpg', 'corn/sweet_corn_6.jpg'],
      ['soy_beans/soy_bean_1.jpg', 'soy_beans/soy_beans_5.jpg'],
    ])
  })
})
