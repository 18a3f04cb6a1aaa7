import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { createEngine } from '../../src/kernels/engine.ts'
import { freshModel } from '../../src/model/load.ts'
import { saveModel } from '../../src/model/save.ts'
import { difficulty } from '../../src/transfer/demo/difficulty.ts'
import { demo } from '../../src/transfer/demo.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'

const folder = temporaryFolder()
const engine = createEngine({ threads: 1, simd: 'baseline' })
afterAll(() => engine.close())

const tiny = {
  engine,
  counts: { train: 2, val: 1, unseen: 1 },
  epochs: { head: 2, finetune: 1 },
  imgSize: 32,
}

test('the demo goes through all its steps and says what it found', async () => {
  const model = join(folder, 'model')
  await saveModel(await freshModel('mobilenetv1_025', 0, { imgSize: 32 }), model)
  const out = join(folder, 'out')
  const notes: string[] = []
  const result = await demo({
    ...tiny,
    model,
    out,
    listener: (event) => event.type === 'note' && notes.push(event.message),
  })

  const things = difficulty.things.length
  expect(Object.keys(result.accuracy).sort()).toEqual([
    'best',
    'finetune',
    'head',
    'thumbnails',
    'untrainedFinetune',
    'untrainedHead',
  ])
  // Of one picture for each thing only whole pictures can be right.
  for (const accuracy of Object.values(result.accuracy)) expect((accuracy * things) % 1).toBeCloseTo(0)
  // Random weights of the same seed are the same network, so the comparison compares like with like.
  expect(result.accuracy.untrainedHead).toBe(result.accuracy.head)
  expect(result.features).toBe(256)
  expect(notes.length).toBeGreaterThanOrEqual(5)

  const report = result.lines.join('\n')
  for (const part of [
    'What it did',
    'pretrained network',
    'untrained network',
    '8x8 thumbnails',
    'What to try next',
    'regraft train',
    join(out, 'pictures.jpg'),
  ]) {
    expect(report).toContain(part)
  }
  expect(readdirSync(out).sort()).toEqual([
    'demo.json',
    'finetune',
    'head',
    'pictures',
    'pictures.jpg',
    'predictions.csv',
    'untrained',
    'vectors',
  ])
  expect(readFileSync(join(out, 'predictions.csv'), 'utf8').trim().split('\n')).toHaveLength(1 + things)
  expect(
    readFileSync(join(out, 'vectors', 'index.csv'), 'utf8')
      .trim()
      .split('\n'),
  ).toHaveLength(1 + things)
  expect(JSON.parse(readFileSync(join(out, 'demo.json'), 'utf8')).accuracy).toEqual(result.accuracy)
})

test('a folder that holds anything else is left alone, overwrite or not', async () => {
  const out = join(folder, 'precious')
  mkdirSync(out)
  writeFileSync(join(out, 'thesis.txt'), 'all my work')
  for (const overwrite of [false, true]) {
    await expect(demo({ ...tiny, out, overwrite })).rejects.toMatchObject({ code: 'usage' })
  }
  expect(readdirSync(out)).toEqual(['thesis.txt'])
})

test('an abort before the first picture leaves nothing behind but a folder', async () => {
  const out = join(folder, 'aborted')
  await expect(demo({ ...tiny, out, signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'interrupted' })
  expect(existsSync(join(out, 'pictures'))).toBe(false)
})
