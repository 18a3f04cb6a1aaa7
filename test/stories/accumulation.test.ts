// Steps of more pictures than are computed at a time.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { openSafetensors } from '../../src/formats/safetensors.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { relativeDifference } from '../support/relative-difference.ts'
import { type Ran, regraft } from './command-line.ts'
import { drawFolder } from './drawn-pictures.ts'
import { savedModel } from './random-model.ts'
import { resultOf } from './run-result.ts'

const folder = temporaryFolder()
const data = join(folder, 'data')
const trunk = join(folder, 'trunk')

beforeAll(async () => {
  await drawFolder(data, 8)
  await savedModel(trunk, 'mobilenetv1_025')
})

async function trained(name: string, ...words: readonly string[]): Promise<Ran & { readonly out: string }> {
  const out = join(folder, name)
  const common = [
    '--mode',
    'finetune',
    '--unfreeze',
    'last:2',
    '--augment',
    'none',
    '--epochs',
    '2',
    '--opt',
    'momentum',
  ]
  const ran = await regraft(['train', data, '--model', trunk, '--out', out, '--simd', 'baseline', ...common, ...words])
  expect(ran.exitCode, ran.stderr).toBe(0)
  return { ...ran, out }
}

/** How far the trained weights of two runs lie apart. */
async function distance(a: string, b: string): Promise<number> {
  const [left, right] = await Promise.all([a, b].map((run) => openSafetensors(join(run, 'best', 'model.safetensors'))))
  if (!left || !right) throw new Error('two runs have two models')
  let most = 0
  for (const name of left.names())
    most = Math.max(most, relativeDifference((await left.read(name)).data, (await right.read(name)).data))
  return most
}

test('a step of several batches is a step of all their pictures, the last and smaller one too', async () => {
  const whole = await trained('one batch of 8', '--lr', '0.02', '--batch-size', '8')
  const parts = await trained('four batches of 2', '--lr', '0.02', '--batch-size', '2', '--accum', '4')
  const other = await trained('one batch of 6', '--lr', '0.02', '--batch-size', '6')
  const rounding = await distance(whole.out, parts.out)
  expect(rounding).toBeLessThan(1e-4)
  expect(await distance(whole.out, other.out)).toBeGreaterThan(10 * rounding)
})

test('a batch that does not fit is split by shapes and memory alone, is told and recorded, and gone on with as it was', async () => {
  const large = ['--img-size', '64', '--batch-size', '18']
  const whole = await trained('ample memory', ...large)
  expect(whole.stderr).not.toMatch(/parts/)
  const little = ['--max-memory', '19MiB', ...large]
  const runs = []
  for (const threads of ['1', '2', '3']) runs.push(await trained(`${threads} threads`, '--threads', threads, ...little))
  const [first] = runs
  if (!first) throw new Error('there are three runs')
  expect(first.stderr.match(/^Training with a batch of 18 needs .* parts of at most \d+;.*$/gm)).toHaveLength(1)
  const microBatch = /^microBatch: (\d+)$/m.exec(readFileSync(join(first.out, 'config.yaml'), 'utf8'))?.[1] ?? ''
  expect(Number(microBatch)).toBeLessThan(18)
  expect(await distance(whole.out, first.out)).toBeLessThan(1e-4)
  const said = await trained('said', ...large, '--micro-batch', microBatch)
  for (const { out } of [...runs, said]) expect(resultOf(out)).toEqual(resultOf(first.out))

  // Stopped under little memory, gone on with under ample memory.
  const out = join(folder, 'stopped')
  const words = [...little, '--mode', 'finetune', '--unfreeze', 'last:2', '--augment', 'none', '--epochs', '2']
  const start = ['train', data, '--model', trunk, '--out', out, '--simd', 'baseline', '--opt', 'momentum', ...words]
  expect((await regraft([...start, '--time', '0.001s'])).exitCode).toBe(75)
  const { exitCode, stderr } = await regraft(['train', '--resume', out, '--simd', 'baseline'])
  expect(exitCode, stderr).toBe(0)
  expect(resultOf(out)).toEqual(resultOf(first.out))
})
