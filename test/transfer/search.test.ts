import { copyFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createEngine } from '../../src/kernels/engine.ts'
import { dedupe } from '../../src/transfer/dedupe.ts'
import { embed } from '../../src/transfer/embed.ts'
import { search } from '../../src/transfer/search.ts'
import { readNpy } from '../../src/vectors/npy.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { drawFolder } from '../stories/drawn-pictures.ts'
import { errorOf } from '../stories/interrupted.ts'
import { savedModel } from '../stories/random-model.ts'

const folder = temporaryFolder()
const pictures = join(folder, 'pictures')
const model = join(folder, 'model')
const plain = join(folder, 'plain')
const engine = createEngine({ threads: 2 })
afterAll(() => engine.close())

beforeAll(async () => {
  await drawFolder(pictures, 6)
  await sharp(join(pictures, 'bars', '2.png'))
    .png({ compressionLevel: 0 })
    .toFile(join(pictures, 'bars', 'copy.png'))
  writeFileSync(join(pictures, 'disc', 'bad.png'), 'no picture')
  await savedModel(model, 'mobilenetv1_025')
  await embed(model, [pictures], { engine, out: plain })
})

describe('search', () => {
  test('finds a picture among the vectors, and its copy', async () => {
    const query = join(pictures, 'bars', '2.png')
    const { rows, vectors, features } = await search(plain, [query], { engine, topk: 3 })
    expect({ vectors, features }).toEqual({ vectors: 20, features: 256 })
    const [{ matches = [] } = {}] = rows
    expect(matches.map(({ path, label }) => [path, label]).slice(0, 2)).toEqual([
      [query, 'bars'],
      [join(pictures, 'bars', 'copy.png'), 'bars'],
    ])
    expect(matches[0]?.score).toBeCloseTo(1, 12)
    expect(matches[2]?.score).toBeLessThan(1)
  })

  test('embeds queries as the vectors were: layer, size, components, length', async () => {
    const out = join(folder, 'reduced')
    const layers = ['blocks.2.0', 'blocks.4.0']
    await embed(model, [pictures], { engine, out, layers, imgSize: 48, pca: 4, whiten: true, l2Normalize: true })
    const query = join(pictures, 'stairs', '1.png')
    for (const layer of layers) {
      const file = join(out, `X.${layer}.npy`)
      const { rows } = await search(file, [query], { engine, topk: 1 })
      expect(rows[0]?.matches[0]).toMatchObject({ path: query })
      expect(rows[0]?.matches[0]?.score).toBeCloseTo(1, 5)
    }
    expect(await errorOf(search(out, [query], { engine }))).toMatchObject({ code: 'usage' })
  })

  test('keeps a query that cannot be read, and takes vectors as queries', async () => {
    const bad = join(pictures, 'disc', 'bad.png')
    const { rows } = await search(plain, [bad, join(pictures, 'disc', '1.png')], { engine, topk: 2 })
    expect(rows.map(({ error, matches }) => [error, matches.length])).toEqual([
      ['is not an image but text', 0],
      [null, 2],
    ])
    const all = await search(plain, [join(plain, 'X.npy')], { engine, topk: 1 })
    const good = all.rows.filter(({ matches }) => matches.length > 0)
    expect(all.rows).toHaveLength(20)
    expect(good).toHaveLength(19)
    // Of a picture and its copy the first is found.
    expect(good.filter(({ query, matches }) => Number(query) !== matches[0]?.row)).toHaveLength(1)
  })

  test('goes through vectors in parts when they do not fit', async () => {
    const whole = await search(plain, [join(plain, 'X.npy')], { engine, topk: 5 })
    const { values } = await readNpy(join(plain, 'X.npy'))
    const small = createEngine({ threads: 1, maxMemoryBytes: 131 * 2 ** 20 })
    try {
      // What the small engine has left takes a few rows at a time.
      const left = small.arena.roomBytes() - 128 * 2 ** 20
      small.arena.allocate(left - 7 * 1024, 'this test')
      const parts = await search(plain, [join(plain, 'X.npy')], { engine: small, topk: 5 })
      expect(parts.rows).toEqual(whole.rows)
      expect(values).toHaveLength(20 * 256)
    } finally {
      await small.close()
    }
  })

  test('refuses another model, and pictures for vectors of unknown origin', async () => {
    const query = [join(pictures, 'bars', '2.png')]
    const other = await savedModel(join(folder, 'other'), 'mobilenetv1_025', { seed: 2 })
    expect(await errorOf(search(plain, query, { engine, model: other }))).toMatchObject({ code: 'weights' })
    copyFileSync(join(plain, 'X.npy'), join(folder, 'alone.npy'))
    expect((await errorOf(search(join(folder, 'alone.npy'), query, { engine }))).message).toContain('Give vectors')
    expect(
      (await search(join(folder, 'alone.npy'), [join(plain, 'X.npy')], { engine })).rows[3]?.matches[0],
    ).toMatchObject({
      path: '3',
      label: null,
    })
    rmSync(join(folder, 'alone.npy'))
    expect(await errorOf(search(join(folder, 'alone.npy'), query, { engine }))).toMatchObject({ code: 'data' })
  })
})

describe('dedupe', () => {
  test('groups a picture and its copy', async () => {
    const { groups, copies, vectors } = await dedupe(plain, { engine, similarity: 0.999999 })
    expect({ copies, vectors }).toEqual({ copies: 1, vectors: 20 })
    expect(groups.map((group) => group.map(({ path }) => path))).toEqual([
      [join(pictures, 'bars', '2.png'), join(pictures, 'bars', 'copy.png')],
    ])
  })

  test('joins what is connected through others', async () => {
    const { groups } = await dedupe(plain, { engine, similarity: -1 })
    expect(groups.map((group) => group.length)).toEqual([19])
  })
})
