// What a training and an evaluation leave for people and programs to look at.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createEngine } from '../../src/kernels/engine.ts'
import { evaluate } from '../../src/transfer/evaluate.ts'
import { evaluationFiles } from '../../src/transfer/evaluation-files.ts'
import type { TrainResult } from '../../src/transfer/options.ts'
import { train } from '../../src/transfer/train.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { drawFolder } from './drawn-pictures.ts'
import { savedModel } from './random-model.ts'

const folder = temporaryFolder()
const data = join(folder, 'data')
const other = join(folder, 'other')
const trunk = join(folder, 'trunk')
const engine = createEngine({ threads: 2, simd: 'baseline' })
afterAll(() => engine.close())

const json = (...path: string[]) => JSON.parse(readFileSync(join(folder, ...path), 'utf8'))
const lines = (...path: string[]) =>
  readFileSync(join(folder, ...path), 'utf8')
    .trimEnd()
    .split('\n')

beforeAll(async () => {
  await drawFolder(data, 8)
  await drawFolder(other, 4)
  await savedModel(trunk, 'mobilenetv1_025')
})

describe.each(['finetune', 'head', 'features'] as const)('a training in mode %s', (mode) => {
  const run = join(folder, mode)
  let result: TrainResult
  beforeAll(async () => {
    const gradual = mode === 'features' ? {} : { epochs: 3, batchSize: 5 }
    const finetune = mode === 'finetune' ? { unfreeze: 'last:1' } : {}
    result = await train({ data, test: other, model: trunk, out: run, engine, mode, ...gradual, ...finetune })
  })

  test('leaves evaluations of the best epoch and of the test pictures', async () => {
    for (const part of ['evaluation', 'evaluation-test'])
      expect(readdirSync(join(run, part)).sort()).toEqual([...evaluationFiles].sort())
    const validation = json(mode, 'evaluation', 'evaluation.json')
    expect(validation.accuracy).toBe(result.best.valAccuracy)
    expect(validation.loss).toBeCloseTo(result.best.valLoss, 9)
    expect(validation.balanced_accuracy).toBe(result.best.valBalancedAccuracy)
    expect(validation.images).toBe(result.images.val)
    // `eval` on the saved model says the same, to the last bit.
    const again = await evaluate(run, other, { engine, report: join(folder, `${mode} again`) })
    const tested = json(mode, 'evaluation-test', 'evaluation.json')
    expect(tested.accuracy).toBe(again.accuracy)
    // Paths begin at another folder.
    const text = (name: string, ...path: string[]) =>
      readFileSync(join(folder, ...path, name), 'utf8').replaceAll('"../other/', '"')
    for (const name of evaluationFiles)
      expect(text(name, `${mode} again`), name).toBe(text(name, mode, 'evaluation-test'))
    expect(lines(mode, 'evaluation', 'classes.csv')).toHaveLength(4)
    expect(lines(mode, 'evaluation', 'confusion.csv')[0]).toBe('true class,bars,disc,stairs')
  })

  test('leaves pictures that can be rendered', async () => {
    const pictures = evaluationFiles.filter((name) => name.endsWith('.svg')).map((name) => join('evaluation', name))
    for (const name of ['curves.svg', ...pictures]) {
      const { width = 0, height = 0 } = await sharp(join(run, name)).metadata()
      expect(Math.min(width, height), name).toBeGreaterThan(60)
    }
    const wrong = json(mode, 'evaluation', 'evaluation.json').mistakes.length
    const sheet = readFileSync(join(run, 'evaluation', 'mistakes.svg'), 'utf8')
    expect(sheet.match(/data:image\/jpeg;base64,/g) ?? []).toHaveLength(wrong)
  })

  test('leaves a history with all metrics', () => {
    const [titles = '', ...rows] = lines(mode, 'history.csv')
    expect(titles).toBe(
      'epoch,lr,train_loss,train_accuracy,val_loss,val_accuracy,seconds,val_top_k,val_balanced_accuracy,val_macro_f1,gap',
    )
    expect(rows).toHaveLength(mode === 'features' ? 1 : 3)
    for (const row of rows) expect(row.split(',').map(Number).every(Number.isFinite), row).toBe(true)
    const metrics = json(mode, 'metrics.json')
    expect(metrics.gap.advice).toMatch(/gap/i)
    expect(metrics.best.val_macro_f1).toBe(result.best.valMacroF1)
  })

  test('leaves every event', () => {
    const events = lines(mode, 'events.jsonl').map((line) => JSON.parse(line))
    const kinds = new Set(events.map(({ type }) => type))
    for (const kind of ['phase', 'progress', 'phaseEnd', 'epoch', 'note', 'saved']) expect(kinds).toContain(kind)
    const steps = events.filter(({ type }) => type === 'step')
    const perEpoch = Math.ceil(result.images.train / 5)
    expect(steps).toHaveLength(mode === 'features' ? 0 : 3 * perEpoch)
    for (const { loss, gradientNorm, learningRate } of steps)
      expect([loss, gradientNorm, learningRate].every(Number.isFinite)).toBe(true)
    const times = events.map(({ at }) => at)
    expect(times).toEqual([...times].sort((a, b) => a - b))
  })

  test('makes room for another run', async () => {
    await train({ data, model: trunk, out: run, overwrite: true, engine, mode: 'features' })
    expect(existsSync(join(run, 'evaluation-test'))).toBe(false)
  })
})

test('the gap has a meaning', async () => {
  const { gap } = await train({
    data,
    model: trunk,
    out: join(folder, 'gap'),
    engine,
    mode: 'features',
    strength: 1000,
  })
  const { accuracy = Number.NaN, meaning, advice } = gap ?? {}
  expect(accuracy).toBeGreaterThanOrEqual(0)
  expect(advice).toContain(meaning === 'overfitting' ? '--strength 100' : 'No gap')
})
