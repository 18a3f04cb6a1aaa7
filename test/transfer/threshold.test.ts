import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createEngine } from '../../src/kernels/engine.ts'
import { loadModel } from '../../src/model/load.ts'
import { evaluate } from '../../src/transfer/evaluate.ts'
import type { Prediction, PredictOptions } from '../../src/transfer/options.ts'
import { predict } from '../../src/transfer/predict.ts'
import { thresholdFor } from '../../src/transfer/threshold.ts'
import { train } from '../../src/transfer/train.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { drawFolder } from '../stories/drawn-pictures.ts'
import { errorOf } from '../stories/interrupted.ts'
import { savedModel } from '../stories/random-model.ts'

const judged = (...scores: readonly [number, boolean][]) => scores.map(([score, right]) => ({ score, right }))

describe('a threshold', () => {
  test('is the smallest that reaches the precision', () => {
    const some = judged([0.9, true], [0.2, false], [0.8, true], [0.7, false], [0.6, true], [0.5, true], [0.4, false])
    expect(thresholdFor(some, 1)).toEqual({ value: 0.8, precision: 1, coverage: 2 / 7 })
    expect(thresholdFor(some, 0.8)).toEqual({ value: 0.5, precision: 0.8, coverage: 5 / 7 })
    expect(thresholdFor(some, 0.5)).toMatchObject({ value: 0.2, coverage: 1 })
  })

  test('takes equal scores together', () => {
    expect(thresholdFor(judged([0.9, true], [0.9, false], [0.8, true], [0.7, true]), 0.75).value).toBe(0.7)
    expect(() => thresholdFor(judged([0.9, true], [0.9, false]), 0.6)).toThrow('--precision 0.6 is not reached')
  })
})

describe('stored with a model', () => {
  const folder = temporaryFolder()
  const data = join(folder, 'data')
  const run = join(folder, 'run')
  const engine = createEngine({ threads: 1 })
  afterAll(() => engine.close())
  beforeAll(async () => {
    await drawFolder(data, 8)
    await savedModel(join(folder, 'trunk'), 'mobilenetv1_025')
    // A network of random weights that learns little, so that some labels are wrong.
    await train({ engine, data, model: join(folder, 'trunk'), out: run, mode: 'head', epochs: 1, lr: 1e-4 })
  })
  const predicted = async (options: Partial<PredictOptions> = {}): Promise<Prediction[]> => {
    const rows: Prediction[] = []
    for await (const row of predict(run, [data], { engine, ...options })) rows.push(row)
    return rows
  }

  test('makes improbable labels unknown, and can be overruled', async () => {
    const before = await predicted()
    const plain = await evaluate(run, data, { engine })
    expect(plain.threshold).toBeUndefined()
    const precision = Math.min(1, plain.accuracy + 0.05)
    const { threshold } = await evaluate(run, data, { engine, precision, store: true })
    expect(threshold?.precision).toBeGreaterThanOrEqual(precision)
    expect((await loadModel(run)).model.threshold).toBe(threshold?.value)
    const after = await predicted()
    const known = after.filter(({ label }) => label !== 'unknown')
    expect(known.length / after.length).toBe(threshold?.coverage)
    expect(known.length).toBeLessThan(after.length)
    expect(known.every(({ score }) => (score ?? 0) >= (threshold?.value ?? 1))).toBe(true)
    expect(after.map(({ score, top }) => ({ score, top }))).toEqual(before.map(({ score, top }) => ({ score, top })))
    expect(await predicted({ threshold: 0 })).toEqual(before)
    expect((await predicted({ threshold: 1 })).filter(({ label }) => label === 'unknown').length).toBeGreaterThan(0)
    expect(readFileSync(join(run, 'best', 'regraft.json'), 'utf8')).toContain('"digests"')
  })

  test('is not handed to what is trained from it', async () => {
    const next = join(folder, 'next')
    await train({ engine, data, model: run, out: next, mode: 'head', epochs: 1 })
    expect((await loadModel(run)).model.threshold).toBeDefined()
    expect((await loadModel(next)).model.threshold).toBeUndefined()
  })

  test('is refused where it makes no sense', async () => {
    expect(await errorOf(evaluate(run, data, { engine, store: true }))).toMatchObject({ code: 'usage' })
    const file = join(run, 'best', 'regraft.json')
    writeFileSync(file, readFileSync(file, 'utf8').replace(/"threshold": [\d.]+/, '"threshold": 7'))
    expect(await errorOf(loadModel(run))).toMatchObject({
      code: 'weights',
      message: expect.stringContaining("'threshold'"),
    })
  })
})
