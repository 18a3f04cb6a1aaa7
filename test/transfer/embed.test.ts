import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openSafetensors } from '../../src/formats/safetensors.ts'
import { layerNamed } from '../../src/graph/graph.ts'
import { createEngine } from '../../src/kernels/engine.ts'
import { graphOf } from '../../src/model/model.ts'
import { channelsOf, pixelsOf } from '../../src/ops/op.ts'
import { embed, embedRows } from '../../src/transfer/embed.ts'
import { merge } from '../../src/transfer/merge.ts'
import type { EmbedOptions } from '../../src/transfer/options.ts'
import { readNpy } from '../../src/vectors/npy.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { drawFolder } from '../stories/drawn-pictures.ts'
import { errorOf } from '../stories/interrupted.ts'
import { randomModel, savedModel } from '../stories/random-model.ts'

const folder = temporaryFolder()
const pictures = join(folder, 'pictures')
const model = join(folder, 'model')
const engine = createEngine({ threads: 2 })
afterAll(() => engine.close())

beforeAll(async () => {
  const files = await drawFolder(pictures, 7)
  // Many rows are wanted, not many pictures.
  const many = join(folder, 'many')
  mkdirSync(many)
  for (let copy = 0; copy < 14; copy++) {
    for (const [at, file] of files.entries()) copyFileSync(file, join(many, `${copy}-${at}.png`))
    writeFileSync(join(many, `${copy}-bad.png`), 'no picture')
  }
  await savedModel(model, 'mobilenetv1_025', { labels: ['a', 'b', 'c'] })
})

/** Contents of all files. */
function contents(out: string): Record<string, string> {
  return Object.fromEntries(
    readdirSync(out)
      .sort()
      .map((name) => [name, readFileSync(join(out, name)).toString('base64')]),
  )
}

let runs = 0
const fresh = () => join(folder, `out-${runs++}`)
async function embedded(options: Partial<EmbedOptions> = {}, inputs: readonly string[] = [pictures]) {
  const out = fresh()
  return { ...(await embed(model, inputs, { engine, out, ...options })), out }
}

test('an input has a row, and a bad one keeps its own', async () => {
  const missing = join(folder, 'missing.png')
  const { out, ...result } = await embedded({}, [pictures, missing, join(pictures, 'bars', '0.png')])
  expect(result).toMatchObject({ rows: 23, failed: 1, features: 256 })
  expect(readdirSync(out).sort()).toEqual(['X.npy', 'index.csv', 'meta.json'])
  const { values } = await readNpy(join(out, 'X.npy'))
  const row = (number: number) => values.slice(number * 256, (number + 1) * 256)
  expect(row(21).every(Number.isNaN)).toBe(true)
  expect(row(22)).toEqual(row(0))
  expect(values.slice(0, 21 * 256).every(Number.isFinite)).toBe(true)
  const index = readFileSync(join(out, 'index.csv'), 'utf8').split('\n')
  expect(index[1]).toBe(`0,${pictures}/bars/0.png,bars,`)
  expect(index[22]).toMatch(/^21,.*missing.png,,.*exist/)
  expect(JSON.parse(readFileSync(join(out, 'meta.json'), 'utf8'))).toMatchObject({
    rows: 23,
    failed: 1,
    features: 256,
    layer: 'global_pool',
    l2_normalized: false,
    model: { architecture: 'mobilenetv1_025' },
  })
})

test('with speed: what the cores allow is measured, and the files are the same', async () => {
  const plain = await embedded()
  const { out, speed, imagesPerSecond } = await embedded({ speed: true }, [pictures])
  expect(plain.speed).toBeUndefined()
  if (speed === undefined) throw new Error('not measured')
  const { cores, decoding, computing, allowed } = speed
  expect(allowed).toBeCloseTo((1000 * cores) / (decoding.cpuMilliseconds + computing.cpuMilliseconds), 9)
  for (const value of [imagesPerSecond, ...Object.values(decoding), ...Object.values(computing)]) {
    expect(value).toBeGreaterThan(0)
    expect(value).toBeLessThan(Number.POSITIVE_INFINITY)
  }
  expect(contents(out)).toEqual(contents(plain.out))
}, 60_000)

test('rows are what the files hold', async () => {
  const { out } = await embedded({ l2Normalize: true })
  const { values } = await readNpy(join(out, 'X.npy'))
  const rows: number[] = []
  for await (const { vectors } of embedRows(model, [pictures], { engine, l2Normalize: true, batchSize: 3 })) {
    rows.push(...(vectors[0]?.values ?? []))
  }
  expect(rows).toEqual([...values])
  let length = 0
  for (const value of values.subarray(0, 256)) length += value * value
  expect(length).toBeCloseTo(1, 5)
})

describe('layers', () => {
  test('come by name of layer, block or stage, pooled or whole', async () => {
    const graph = graphOf(await randomModel('mobilenetv1_025', { labels: ['a', 'b', 'c'] }))
    const block = graph.layers.findLast((layer) => layer.block === 'blocks.2.0') ?? layerNamed(graph, graph.output)
    const { out, layers } = await embedded({ layers: ['blocks.2.0', block.name, 'classifier'] })
    const width = channelsOf(block.shape)
    expect(layers).toEqual([
      { name: 'blocks.2.0', features: width },
      { name: block.name, features: width },
      { name: 'classifier', features: 3 },
    ])
    const [first = '', second = ''] = JSON.parse(readFileSync(join(out, 'meta.json'), 'utf8')).files
    expect(readFileSync(join(out, first))).toEqual(readFileSync(join(out, second)))
    const whole = await embedded({ layers: ['blocks.2.0'], pool: 'none' })
    expect(whole.features).toBe(width * pixelsOf(block.shape))
    const pooled = await readNpy(join(out, first))
    const { values } = await readNpy(join(whole.out, 'X.npy'))
    const pixels = pixelsOf(block.shape)
    for (let channel = 0; channel < width; channel++) {
      let sum = 0
      for (let pixel = 0; pixel < pixels; pixel++) sum += values[channel * pixels + pixel] ?? 0
      expect(pooled.values[channel]).toBeCloseTo(sum / pixels, 4)
    }
  })

  test('that there are not are refused with the nearest name', async () => {
    const error = await errorOf(embedded({ layers: ['clasifier'] }))
    expect(error).toMatchObject({ code: 'usage', message: expect.stringContaining("Did you mean 'classifier'?") })
    expect(await errorOf(embedded({ layers: ['classifier', 'classifier'] }))).toMatchObject({ code: 'usage' })
  })
})

describe('a crash', () => {
  const many = [join(folder, 'many')]

  test('costs a chunk at most: resumed, the files are those of an undisturbed run', async () => {
    const whole = await embedded({}, many)
    expect(whole).toMatchObject({ rows: 308, failed: 14 })
    for (const stopAt of [0, 150, 290]) {
      const out = fresh()
      const controller = new AbortController()
      const stopped = embed(model, many, {
        engine,
        out,
        signal: controller.signal,
        listener: (event) => {
          if (event.type === 'progress' && event.done > stopAt) controller.abort(new Error('stopped'))
        },
      })
      await expect(stopped).rejects.toThrow()
      const before = readdirSync(join(out, 'unfinished')).filter((name) => name.startsWith('chunk')).length
      expect(before).toBeGreaterThanOrEqual(Math.floor((stopAt - 256) / 256))
      expect((await errorOf(embed(model, many, { engine, out }))).message).toContain('--resume')
      const notes: string[] = []
      await embed(model, many, {
        engine,
        out,
        resume: true,
        listener: (event) => event.type === 'note' && notes.push(event.message),
      })
      expect(notes).toEqual(
        before === 0 ? [] : [`Going on after ${Math.min(308, before * 256)} rows that are there already.`],
      )
      expect(contents(out)).toEqual(contents(whole.out))
    }
  })

  test('between the last file and the end leaves a finished folder', async () => {
    const { out } = await embedded()
    const before = contents(out)
    mkdirSync(join(out, 'unfinished'))
    writeFileSync(join(out, 'unfinished', 'chunk-00000000'), 'half removed')
    const again = await embed(model, [pictures], { engine, out, resume: true })
    expect(again).toMatchObject({ rows: 21, failed: 0, features: 256 })
    expect(contents(out)).toEqual(before)
  })

  test('is not gone on with under other inputs, another model or other layers', async () => {
    const out = fresh()
    const controller = new AbortController()
    const listener = (event: { type: string; done?: number }) => {
      if (event.type === 'progress' && (event.done ?? 0) > 280) controller.abort(new Error('stopped'))
    }
    await embed(model, many, { engine, out, signal: controller.signal, listener }).catch(() => undefined)
    const goOn = (inputs: readonly string[], options: Partial<EmbedOptions> = {}) =>
      errorOf(embed(model, inputs, { engine, out, resume: true, ...options }))
    expect((await goOn([pictures, ...many])).message).toContain('input 1 was')
    expect((await goOn([pictures])).message).toContain('input 1 was')
    expect((await goOn(many, { layers: ['classifier'] })).message).toContain('layers was')
    expect((await goOn(many, { imgSize: 48 })).message).toContain('preprocessing was')
    expect(await embed(model, many, { engine, out, resume: true })).toMatchObject({ rows: 308 })
    expect((await goOn(many, { imgSize: 48 })).message).toContain("'preprocessing' differs")
  })

  test('folders that hold something else are not touched', async () => {
    const out = fresh()
    mkdirSync(out)
    writeFileSync(join(out, 'thesis.txt'), 'precious')
    for (const options of [{}, { overwrite: true }, { resume: true }]) {
      expect(await errorOf(embed(model, [pictures], { engine, out, ...options }))).toMatchObject({ code: 'usage' })
    }
    expect(readdirSync(out)).toEqual(['thesis.txt'])
  })
})

describe('shards', () => {
  test('merged are the single run, in every format and with components', async () => {
    const inputs = [join(folder, 'many')]
    const shards: string[] = []
    for (const index of [3, 1, 4, 2]) shards.push((await embedded({ shard: { index, count: 4 } }, inputs)).out)
    for (const options of [
      {},
      { format: 'csv' },
      { format: 'parquet', l2Normalize: true },
      { pca: 5, whiten: true, l2Normalize: true },
    ] as const) {
      const single = await embedded(options, inputs)
      const out = fresh()
      expect(await merge(shards, { engine, out, ...options })).toMatchObject({ rows: 308, failed: 14, shards: 4 })
      expect(contents(out)).toEqual(contents(single.out))
    }
  })

  test('that are missing, doubled or unlike are refused', async () => {
    const part = async (index: number, options: Partial<EmbedOptions> = {}, inputs = [pictures]) =>
      (await embedded({ shard: { index, count: 2 }, ...options }, inputs)).out
    const [one, two] = [await part(1), await part(2)]
    const problem = async (...shards: string[]) => (await errorOf(merge(shards, { engine, out: fresh() }))).message
    expect(await problem(one)).toContain('of 2, 2 is missing')
    expect(await problem(one, two, one)).toContain('are both number 1')
    expect(await problem(one, await part(2, { layers: ['classifier'] }))).toContain("'layers' differs")
    expect(await problem(one, await part(2, {}, [pictures, pictures, pictures]))).toContain('were the inputs the same?')
    expect(await problem(one, await part(2, { format: 'csv' }))).toContain('is not in the format npy')
    expect(await problem(one, join(folder, 'many'))).toContain('holds no vectors')
  })

  test('may be empty', async () => {
    const picture = [join(pictures, 'bars', '0.png')]
    const shards = [1, 2, 3].map((index) => embedded({ shard: { index, count: 3 } }, picture))
    const out = fresh()
    await merge(
      (await Promise.all(shards)).map((shard) => shard.out),
      { engine, out },
    )
    expect(contents(out)).toEqual(contents((await embedded({}, picture)).out))
  })
})

test('components are kept beside the vectors', async () => {
  const { out, features } = await embedded({ pca: 3 })
  expect(features).toBe(3)
  const basis = await openSafetensors(join(out, 'pca.safetensors'))
  expect((await basis.read('components')).shape).toEqual([3, 256])
  expect(await readNpy(join(out, 'X.npy'))).toMatchObject({ rows: 21, columns: 3 })
  expect(await errorOf(embedded({ whiten: true }))).toMatchObject({ code: 'usage' })
  expect(await errorOf(embedded({ pca: 3, shard: { index: 1, count: 2 } }))).toMatchObject({ code: 'usage' })
})

test('inputs of which none can be read leave nothing', async () => {
  const out = fresh()
  const bad = join(folder, 'many', '0-bad.png')
  const error = await errorOf(embed(model, [bad, bad], { engine, out }))
  expect(error).toMatchObject({ code: 'data', message: expect.stringContaining('None of the 2 inputs can be read') })
  expect(readdirSync(out)).toEqual([])
  rmSync(out, { recursive: true })
  expect(existsSync(out)).toBe(false)
})
