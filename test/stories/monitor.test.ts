// Watching a training shows what happens in it, and changes nothing.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createEngine } from '../../src/kernels/engine.ts'
import { train } from '../../src/transfer/train.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { drawFolder } from './drawn-pictures.ts'
import { savedModel } from './random-model.ts'
import { digestOf, resultOf } from './run-result.ts'

const folder = temporaryFolder()
const data = join(folder, 'data')
const trunk = join(folder, 'trunk')
const engine = createEngine({ threads: 2, simd: 'baseline' })
afterAll(() => engine.close())

beforeAll(async () => {
  await drawFolder(data, 12)
  await savedModel(trunk, 'mobilenetv1_025')
})

const ways = {
  finetune: { mode: 'finetune', unfreeze: 'last:1' },
  'finetune of all, with batch statistics': { mode: 'finetune', unfreeze: 'all', bn: 'train' },
  'a head of two layers': { mode: 'head', head: 'mlp:8' },
} as const
const shared = { data, model: trunk, engine, seed: 3, epochs: 3, batchSize: 2, checks: false }

describe.each(Object.entries(ways))('%s', (name, way) => {
  const run = (level: string) => join(folder, `${name} ${level}`)

  test('gives the same bytes, watched or not', async () => {
    const before = engine.arena.usedBytes()
    await train({ ...shared, ...way, out: run('off') })
    for (const monitor of ['light', 'full'] as const) {
      await train({ ...shared, ...way, out: run(monitor), monitor, tensorboard: monitor === 'full' })
      expect(resultOf(run(monitor))).toEqual(resultOf(run('off')))
    }
    expect(engine.arena.usedBytes()).toBe(before)
    expect(existsSync(join(run('off'), 'monitor'))).toBe(false)
  })

  test('leaves ratios of updates', () => {
    for (const level of ['light', 'full']) {
      const [titles, ...rows] = readFileSync(join(run(level), 'monitor', 'updates.csv'), 'utf8')
        .trimEnd()
        .split('\n')
      expect(titles).toBe('epoch,step,steps_done,parameter,kind,weight_norm,gradient_norm,update_norm,ratio')
      const steps = new Set(rows.map((row) => row.split(',').slice(0, 2).join(' ')))
      // Of some 14 steps an epoch the first one and the eleventh.
      expect([...steps]).toEqual(['1 1', '1 11', '2 1', '2 11', '3 1', '3 11'])
      const weights = rows.map((row) => row.split(',')).filter(([, , , , kind]) => kind === 'weight')
      for (const cells of weights) {
        const [weight = 0, gradient = 0, update = 0, ratio = 0] = cells.slice(5).map(Number)
        expect(ratio).toBeCloseTo(update / weight, 4)
        expect(Math.min(weight, gradient, update)).toBeGreaterThan(0)
      }
    }
  })

  test('leaves how gradients and activations are spread, and pictures of all', async () => {
    const lines = readFileSync(join(run('full'), 'monitor', 'histograms.jsonl'), 'utf8')
      .trimEnd()
      .split('\n')
    const spreads = lines.map((line) => JSON.parse(line))
    for (const kind of ['activation', 'gradient']) expect(spreads.some((spread) => spread.kind === kind)).toBe(true)
    for (const { bins, count, zeros, dead, channels } of spreads) {
      expect(bins.reduce((sum: number, each: number) => sum + each, 0)).toBe(count)
      expect(zeros).toBeLessThanOrEqual(1)
      if (channels !== undefined) expect(dead).toBeLessThanOrEqual(channels)
    }
    const pictures = ['activations.svg', 'filters.png', 'gradients.svg', 'updates.svg']
    expect(readdirSync(join(run('full'), 'monitor')).sort()).toEqual(
      [...pictures, 'histograms.jsonl', 'updates.csv'].sort(),
    )
    for (const picture of pictures) {
      const { width = 0, height = 0 } = await sharp(join(run('full'), 'monitor', picture)).metadata()
      expect(Math.min(width, height), picture).toBeGreaterThan(40)
    }
    expect(readdirSync(join(run('light'), 'monitor')).sort()).toEqual(['filters.png', 'updates.csv', 'updates.svg'])
    expect(readdirSync(join(run('full'), 'tensorboard'))).toHaveLength(1)
  })

  test('makes room for another run', async () => {
    await train({ ...shared, data, mode: 'features', epochs: 30, batchSize: 32, out: run('full'), overwrite: true })
    expect(existsSync(join(run('full'), 'monitor'))).toBe(false)
  })
})

test('the filters of the first layer are drawn again alike', async () => {
  const first = join(folder, 'finetune light', 'monitor', 'filters.png')
  expect(digestOf(first)).toBe(digestOf(join(folder, 'a head of two layers light', 'monitor', 'filters.png')))
})

test('where nothing is trained step by step, watching is refused', async () => {
  const solved = { data, model: trunk, engine, mode: 'features', out: join(folder, 'no') } as const
  await expect(train({ ...solved, monitor: 'light' })).rejects.toThrow(/--monitor has a meaning only with/)
  await expect(train({ ...solved, tensorboard: true })).rejects.toThrow(/--tensorboard has a meaning only with/)
})
