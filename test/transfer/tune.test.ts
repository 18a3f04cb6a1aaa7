import { existsSync, readdirSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { RegraftError } from '../../src/errors.ts'
import { createEngine } from '../../src/kernels/engine.ts'
import type { WorkEvent } from '../../src/train/events.ts'
import { embed } from '../../src/transfer/embed.ts'
import { compareModels } from '../../src/transfer/tune/compare-models.ts'
import { learningCurve, partOf } from '../../src/transfer/tune/learning-curve.ts'
import { drawSettings, narrowed, readSpace, usualSpace } from '../../src/transfer/tune/space.ts'
import { type TuneOptions, tune } from '../../src/transfer/tune/tune.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { drawFolder } from '../stories/drawn-pictures.ts'
import { errorOf } from '../stories/interrupted.ts'
import { savedModel } from '../stories/random-model.ts'

const folder = temporaryFolder()
const pictures = join(folder, 'pictures')
const model = join(folder, 'model')
const vectors = join(folder, 'vectors')
const engine = createEngine({ threads: 2 })
afterAll(() => engine.close())

let runs = 0
const fresh = () => join(folder, `run-${runs++}`)
const file = (text: string) => {
  const name = join(folder, `space-${runs++}.yaml`)
  writeFileSync(name, text)
  return name
}

beforeAll(async () => {
  await drawFolder(pictures, 12)
  await savedModel(model, 'mobilenetv1_025', { labels: ['a', 'b', 'c'] })
  await embed(model, [pictures], { engine, out: vectors })
})

async function tuned(options: Partial<TuneOptions> = {}) {
  return await tune({ engine, data: vectors, out: fresh(), trials: 5, folds: 3, seed: 2, ...options })
}

/** What two searches with the same seed share. */
function lasting(out: string): Record<string, string> {
  const files = [
    'tune.json',
    'tune.svg',
    'best/model.safetensors',
    ...readdirSync(join(out, 'trials')).map((name) => `trials/${name}`),
  ]
  return Object.fromEntries(
    files.sort().map((name) => [name, readFileSync(join(out, name), 'latin1').replaceAll(out, '')]),
  )
}

describe('a space', () => {
  test('is read from YAML, and draws stay within it', async () => {
    const space = await readSpace(
      file(
        'strength: {log: [1e-4, 10]}\nbatch-size: [16, 32]\nsmoothing: {uniform: [0, 0.2]}\nsolver: lbfgs\nneighbours: {log: [1, 50]}\n',
      ),
    )
    const strengths: number[] = []
    for (let trial = 1; trial <= 200; trial++) {
      const { strength, batchSize, smoothing, solver, neighbours } = drawSettings(space, 0, trial)
      strengths.push(Number(strength))
      expect([16, 32]).toContain(batchSize)
      expect(smoothing).toBeGreaterThanOrEqual(0)
      expect(smoothing).toBeLessThanOrEqual(0.2)
      expect(solver).toBe('lbfgs')
      expect(Number.isInteger(neighbours)).toBe(true)
    }
    expect(Math.min(...strengths)).toBeGreaterThanOrEqual(1e-4)
    expect(Math.max(...strengths)).toBeLessThanOrEqual(10)
    // Every power of ten alike: of five, each has a fifth.
    for (const from of [1e-4, 1e-3, 1e-2, 1e-1, 1]) {
      const share = strengths.filter((value) => value >= from && value < 10 * from).length / strengths.length
      expect(share).toBeGreaterThan(0.1)
      expect(share).toBeLessThan(0.3)
    }
    // An option more changes no other.
    expect(drawSettings(usualSpace('lbfgs'), 0, 7).strength).toBe(drawSettings(space, 0, 7).strength)
  })

  test('is narrowed to a quarter around a setting', () => {
    const near = narrowed(usualSpace('lbfgs'), { strength: 0.1 }).get('strength')
    if (near?.kind !== 'log') throw new Error('it stays a range')
    expect(Math.log10(near.to / near.from)).toBeCloseTo(5 / 4, 10)
    expect(Math.sqrt(near.to * near.from)).toBeCloseTo(0.1, 10)
  })

  test.each([
    ['strenght: {log: [1, 2]}', "Did you mean 'strength'?"],
    ['strength: {log: [2, 1]}', 'end is not above'],
    ['strength: {log: [0, 1]}', 'numbers above 0'],
    ['smoothing: {log: [0, 1]}', 'begins at 0'],
    ['epochs: {uniform: [1.5, 3]}', 'whole numbers'],
    ['strength: {power: [1, 2]}', 'expected a value'],
    ['solver: [lbfgs, magic]', 'words that the option knows'],
    ['solver: {uniform: [1, 2]}', 'give a list'],
    ['strength: 1', 'nothing varies'],
    ['- strength', 'expected options by name'],
    ['strength: [', 'cannot be read'],
    ['strength: {log: [1e-3, 1]}\nlr: 1\nopt: fast', "'opt'"],
  ])('of %j is refused', async (text, words) => {
    expect(await errorOf(readSpace(file(text)))).toMatchObject({
      code: 'usage',
      message: expect.stringContaining(words),
    })
  })
})

describe('a search', () => {
  test('chooses the best of its trials, and trains a head with it', async () => {
    const { out, trials, chosen, best } = await tuned()
    expect(trials.map(({ number, stage }) => [number, stage])).toEqual([
      [1, 'coarse'],
      [2, 'coarse'],
      [3, 'coarse'],
      [4, 'fine'],
      [5, 'fine'],
    ])
    expect(chosen.accuracy).toBe(Math.max(...trials.map(({ accuracy }) => accuracy)))
    for (const { folds } of trials) expect(folds).toHaveLength(3)
    expect(best.valAccuracy).toBeGreaterThan(0.5)
    for (const name of ['tune.json', 'tune.svg', 'metrics.json', 'config.yaml', 'best/model.safetensors'])
      expect(existsSync(join(out, name))).toBe(true)
    expect(readFileSync(join(out, 'tune.svg'), 'utf8')).toContain('chosen')
  })

  test('gives the same for the same seed, from pictures as from vectors', async () => {
    const one = await tuned()
    expect(lasting((await tuned()).out)).toEqual(lasting(one.out))
    const drawn = await tuned({ data: pictures, model, folds: 0 })
    expect(drawn.trials).toHaveLength(5)
    expect((await tuned({ seed: 5 })).trials[0]?.settings).not.toEqual(one.trials[0]?.settings)
  })

  test('goes on after it was stopped, to the same end', async () => {
    const whole = await tuned()
    const out = fresh()
    const stopping = new AbortController()
    const listener = (event: WorkEvent) => {
      if (event.type === 'progress' && event.phase === 'tune' && event.done === 2)
        stopping.abort(new RegraftError('interrupted', 'Stopped by a test.'))
    }
    expect(await errorOf(tuned({ out, listener, signal: stopping.signal }))).toMatchObject({ code: 'interrupted' })
    expect(readdirSync(join(out, 'trials')).sort()).toEqual(['0001.json', '0002.json', 'plan.json'])
    await tuned({ out, goOn: true })
    expect(lasting(out)).toEqual(lasting(whole.out))
    // A trial that is gone is made again.
    unlinkSync(join(out, 'trials', '0003.json'))
    await tuned({ out, goOn: true })
    expect(lasting(out)).toEqual(lasting(whole.out))
    expect(await errorOf(tuned({ out, goOn: true, seed: 9 }))).toMatchObject({ code: 'usage' })
    writeFileSync(join(out, 'trials', '0001.json'), '{"number": 1}')
    expect(await errorOf(tuned({ out, goOn: true }))).toMatchObject({ code: 'data' })
    rmSync(join(out, 'trials'), { recursive: true })
    expect(await errorOf(tuned({ out, goOn: true }))).toMatchObject({ code: 'usage' })
  })

  test('stops trials whose cost explodes', async () => {
    const space = file('lr: [0.001, 1000]\nopt: sgd\n')
    const { trials, chosen } = await tuned({
      space,
      solver: 'gradient',
      epochs: 8,
      search: 'random',
      trials: 8,
      folds: 0,
    })
    const wild = trials.filter(({ settings }) => settings.lr === 1000)
    expect(wild.length).toBeGreaterThan(0)
    for (const { status, reason } of wild) {
      expect(status).not.toBe('done')
      expect(reason).not.toBe(null)
    }
    expect(wild.some(({ status }) => status === 'stopped')).toBe(true)
    expect(chosen.settings.lr).toBe(0.001)
  })

  test('by halving gives the better half twice the epochs', async () => {
    const { out, trials, chosen } = await tuned({
      solver: 'gradient',
      epochs: 8,
      search: 'halving',
      trials: 4,
      folds: 0,
    })
    expect(trials.map(({ number }) => number)).toEqual([1, 2, 3, 4])
    expect(trials.filter(({ full }) => full).map(({ number }) => number)).toEqual([chosen.number])
    const records = readdirSync(join(out, 'trials')).filter((name) => name !== 'plan.json')
    expect(records.map((name) => name.slice(4)).sort()).toEqual(
      ['-1', '-1', '-1', '-1', '-2', '-2', '-4', '-all'].map((end) => `${end}.json`),
    )
    expect(await errorOf(tuned({ search: 'halving' }))).toMatchObject({ code: 'usage' })
  })

  test('may choose between solvers', async () => {
    const { trials } = await tuned({
      space: file('solver: [lbfgs, ridge, knn, centroid]\nstrength: {log: [1e-3, 1]}\n'),
      trials: 8,
    })
    expect(new Set(trials.map(({ settings }) => settings.solver)).size).toBeGreaterThan(1)
    for (const { status } of trials) expect(status).toBe('done')
    for (const { settings } of trials)
      expect('strength' in settings).toBe(settings.solver === 'lbfgs' || settings.solver === 'ridge')
  })

  test('of one fold, or of vectors made in another way, is refused', async () => {
    expect(await errorOf(tuned({ folds: 1 }))).toMatchObject({ code: 'usage' })
    expect(await errorOf(tuned({ imgSize: 64 }))).toMatchObject({ code: 'usage' })
  })
})

test('networks are compared by the same head, and the comparison goes on', async () => {
  const other = await savedModel(join(folder, 'other'), 'mobilenetv1_025', { seed: 8 })
  const compare = { engine, data: pictures, models: [model, other], folds: 2, seed: 1 }
  const out = fresh()
  const { models } = await compareModels({ ...compare, out })
  expect(new Set(models.map((row) => row.model))).toEqual(new Set([model, other]))
  expect(models[0]?.foldAccuracy ?? 0).toBeGreaterThanOrEqual(models[1]?.foldAccuracy ?? 0)
  const before = readFileSync(join(out, 'models.json'), 'utf8')
  unlinkSync(join(out, 'models.json'))
  await compareModels({ ...compare, out, goOn: true })
  expect(readFileSync(join(out, 'models.json'), 'utf8')).toBe(before)
  expect(await errorOf(compareModels({ ...compare, models: [model, model], out: fresh() }))).toMatchObject({
    code: 'usage',
  })
  expect(await errorOf(compareModels({ ...compare, data: vectors, out: fresh() }))).toMatchObject({ code: 'usage' })
})

test('a learning curve grows with the training pictures', async () => {
  const { out, points, advice } = await learningCurve({ engine, data: vectors, out: fresh(), seed: 1 })
  const sizes = points.map(({ images }) => images)
  expect(sizes).toEqual([...sizes].sort((a, b) => a - b))
  expect(sizes[0]).toBeGreaterThanOrEqual(3)
  expect(points.at(-1)?.share).toBe(1)
  expect(advice).toContain('points')
  for (const name of ['learning-curve.json', 'learning-curve.svg']) expect(existsSync(join(out, name))).toBe(true)
  const labels = Int32Array.from({ length: 30 }, (_, row) => row % 3)
  const small = new Set(partOf(labels, 0.2, 4, 1))
  const large = new Set(partOf(labels, 0.5, 4, 1))
  expect(small.size).toBe(6)
  for (const row of small) expect(large.has(row)).toBe(true)
})
