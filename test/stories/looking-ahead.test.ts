// What is said before a training, and that the training does not notice.
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createEngine } from '../../src/kernels/engine.ts'
import type { WorkEvent } from '../../src/train/events.ts'
import { dryRun, train } from '../../src/transfer/train.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { regraft } from './command-line.ts'
import { drawFolder } from './drawn-pictures.ts'
import { savedModel } from './random-model.ts'
import { resultOf } from './run-result.ts'

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
  features: {},
  head: { epochs: 2, batchSize: 5 },
  'head of two layers': { mode: 'features', head: 'mlp:8', epochs: 2 },
  finetune: { unfreeze: 'last:1', epochs: 2, batchSize: 5 },
  'finetune with batch statistics': { mode: 'finetune', unfreeze: 'all', bn: 'train', epochs: 2, batchSize: 5 },
  'finetune without augmentation': { mode: 'finetune', unfreeze: 'last:1', augment: 'none', opt: 'sgd', epochs: 2 },
} as const
const names = ['classes', 'trains', 'first loss', 'regularisation', 'overfitting', 'memory', 'disk', 'time']

test.each(Object.entries(ways))('%s: a look ahead changes nothing', async (name, way) => {
  const mode = name as 'features' | 'head' | 'finetune'
  const options = { data, model: trunk, engine, mode, seed: 3, ...way }
  const before = engine.arena.usedBytes()
  const events: WorkEvent[] = []
  const checked = join(folder, `${name} checked`)
  await train({ ...options, out: checked, listener: (event) => events.push(event) })
  const unchecked = join(folder, `${name} unchecked`)
  await train({ ...options, out: unchecked, checks: false })
  expect(resultOf(checked)).toEqual(resultOf(unchecked))
  expect(engine.arena.usedBytes()).toBe(before)
  const checks = events.filter((event) => event.type === 'check')
  expect(checks.map((check) => check.name)).toEqual(names)
  // All before the training itself begins.
  const types = events.map(({ type }) => type)
  expect(types.lastIndexOf('check')).toBeLessThan(events.findIndex((e) => e.type === 'phase' && e.phase === 'features'))
  const said = checks.map(({ message }) => message).join('\n')
  expect(said).toContain('guessing among 3 classes gives 1.1')
  expect(said).toMatch(/3 classes, 2\d pictures to train on/)
})

test('a dry run says what it would take, and leaves nothing', async () => {
  const parent = join(folder, 'parent')
  mkdirSync(parent)
  const out = join(parent, 'never', 'there')
  const cache = join(folder, 'cache')
  const before = engine.arena.usedBytes()
  const way = { mode: 'finetune', unfreeze: 'last:1', epochs: 3, cache } as const
  const outlook = await dryRun({ data, model: trunk, out, engine, ...way })
  expect(readdirSync(parent)).toEqual([])
  expect(existsSync(cache)).toBe(false)
  expect(engine.arena.usedBytes()).toBe(before)
  const by = outlook.secondsBy
  for (const part of ['scan', 'checks', 'features', 'head', 'epochs', 'writing', 'end'] as const)
    expect(by?.[part], part).toBeGreaterThan(0)
  expect(outlook.seconds).toBeCloseTo(Object.values(by ?? {}).reduce((sum, each) => sum + each, 0))
  expect(outlook.memoryBytes).toBeGreaterThan(1e7)
  expect(outlook.diskBytes).toBeGreaterThan(213_843 * 4)
  expect(outlook.trains.filter(({ rate }) => rate !== null).map(({ name }) => name)).toEqual(['blocks.4.1', 'head'])
  expect(outlook.checks.map(({ name }) => name)).toEqual(names)
})

test('the first loss is that of guessing, regularisation adds to it, and a few pictures are learnt by heart', async () => {
  const way = { mode: 'head', head: 'linear', lr: 0.01 } as const
  const saidWith = async (l2: number) => {
    const outlook = await dryRun({ data, model: trunk, out: join(folder, 'never'), engine, ...way, l2 })
    const said = (name: string) => outlook.checks.find((check) => check.name === name)?.message ?? ''
    const numbers = (name: string) =>
      said(name)
        .match(/\d+(\.\d+)?(e-\d+)?/g)
        ?.map(Number) ?? []
    return { first: numbers('first loss'), raised: numbers('regularisation'), learnt: numbers('overfitting') }
  }
  const { first, raised, learnt } = await saidWith(5)
  // "first loss 1.1; guessing among 3 classes gives 1.1"
  expect(first[0]).toBeGreaterThan(0.8 * Math.log(3))
  expect(first[0]).toBeLessThan(1.25 * Math.log(3))
  // "raises the loss from 1.1 to 1.2"
  expect(raised[0]).toBe(first[0])
  expect(raised[1]).toBeGreaterThan(raised[0] ?? Number.NaN)
  const [, more] = (await saidWith(50)).raised
  expect(more).toBeGreaterThan(raised[1] ?? Number.NaN)
  // "the loss of 6 pictures falls from 1.1 to 0.01 in 80 steps"
  expect(learnt[2]).toBeLessThan(0.1 * (learnt[1] ?? 0))
})

test('--dry-run prints a line for each, and a document with --json', async () => {
  const words = ['train', data, '--model', trunk, '--out', join(folder, 'never'), '--dry-run']
  const ran = await regraft(words)
  expect(ran, ran.stderr).toMatchObject({ exitCode: 0, stdout: '' })
  expect(ran.stderr.match(/^(check|LOOK ) {2}/gm)).toHaveLength(names.length)
  expect(ran.stderr).toMatch(/^ {2}head +771 {2}rate 0\.001$/m)
  const { stdout } = await regraft([...words, '--json', '--quiet'])
  const document = JSON.parse(stdout)
  expect(document.checks.map((check: { name: string }) => check.name)).toEqual(names)
  expect(document.memory_bytes).toBeGreaterThan(1e7)
  expect(await regraft([...words, '--resume', 'x'])).toMatchObject({ exitCode: 2 })
})

test('--no-checks says nothing beforehand', async () => {
  const words = ['train', data, '--model', trunk, '--mode', 'features', '--out', join(folder, 'at once'), '--no-checks']
  const ran = await regraft(words)
  expect(ran.exitCode, ran.stderr).toBe(0)
  expect(ran.stderr).not.toMatch(/^(check|LOOK )/m)
})

test('a taken folder is refused before anything is tried', async () => {
  const said: string[] = []
  const listener = (event: WorkEvent) => said.push(event.type)
  const again = train({ data, model: trunk, out: join(folder, 'at once'), engine, listener })
  await expect(again).rejects.toMatchObject({ code: 'usage' })
  expect(said).not.toContain('check')
})
