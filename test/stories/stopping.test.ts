// Whoever asks for the end gets it soon, whatever the training is waiting for.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { RegraftError } from '../../src/errors.ts'
import { diskFileSystem, type FileSystem, withFileSystem } from '../../src/files/file-system.ts'
import { createEngine } from '../../src/kernels/engine.ts'
import type { TrainOptions } from '../../src/transfer/options.ts'
import { train } from '../../src/transfer/train.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { regraft } from './command-line.ts'
import { drawFolder } from './drawn-pictures.ts'
import { errorOf } from './interrupted.ts'
import { savedModel } from './random-model.ts'
import { resultOf } from './run-result.ts'

const folder = temporaryFolder()
const data = join(folder, 'data')
const trunk = join(folder, 'trunk')
const engine = createEngine({ threads: 2, simd: 'baseline' })
afterAll(() => engine.close())

beforeAll(async () => {
  await drawFolder(data, 8)
  await savedModel(trunk, 'mobilenetv1_025')
})

const fineTune = { mode: 'finetune', unfreeze: 'last:1', epochs: 2, batchSize: 5, seed: 3 } as const
const optionsOf = (out: string): TrainOptions => ({ data, model: trunk, out: join(folder, out), engine, ...fineTune })

/** The disk, on which the n-th opening of a picture never comes to an end, as on a network that hangs. */
function hangingFileSystem(picture: RegExp, n: number, onHang: () => void): FileSystem {
  let opened = 0
  return {
    ...diskFileSystem,
    open(path, mode) {
      if (!picture.test(path) || ++opened < n) return diskFileSystem.open(path, mode)
      onHang()
      return new Promise(() => undefined)
    },
  }
}

describe('while the disk hangs', () => {
  let expected: ReturnType<typeof resultOf>
  let split: readonly { path: string; split: string }[]
  beforeAll(async () => {
    await train(optionsOf('undisturbed'))
    expected = resultOf(join(folder, 'undisturbed'))
    const rows = readFileSync(join(folder, 'undisturbed', 'split.jsonl'), 'utf8')
      .trimEnd()
      .split('\n')
    split = rows.map((row) => JSON.parse(row))
  })

  // A picture is opened for its digest, for its features, and, without a cache, when it is first trained on.
  const moments: readonly [string, 'train' | 'val', number, boolean][] = [
    ['its contents are looked at', 'train', 1, false],
    ['its features are taken', 'train', 2, false],
    ['a validation picture is read', 'val', 2, false],
    ['the first epoch wants it', 'train', 3, true],
  ]
  test.each(moments)('a stop is heard when %s', async (name, part, n, resumable) => {
    const picture = split.findLast((row) => row.split === part)?.path ?? ''
    const out = `hangs when ${name}`
    const controller = new AbortController()
    let askedAt = 0
    const disk = hangingFileSystem(new RegExp(`${picture}$`), n, () => {
      // Not in the same breath: the work has to be waiting.
      setTimeout(() => {
        askedAt = performance.now()
        controller.abort(new RegraftError('interrupted', 'Stopped by a test.'))
      }, 50)
    })
    const work = withFileSystem(disk, () =>
      train({ ...optionsOf(out), cache: 'off', checks: false, signal: controller.signal }),
    )
    expect(await errorOf(work)).toMatchObject({ code: 'interrupted' })
    expect(performance.now() - askedAt).toBeLessThan(2000)
    expect(existsSync(join(folder, out))).toBe(resumable)
    if (!resumable) return
    await train({ data: '', out: '', resume: join(folder, out), engine })
    expect(resultOf(join(folder, out))).toEqual(expected)
  })
})

describe('--time', () => {
  test('ends with 75, saved, and says how to go on', async () => {
    const out = join(folder, 'timed')
    const words = ['train', data, '--model', trunk, '--mode', 'head', '--epochs', '100000', '--patience', '0']
    const startedAt = performance.now()
    const ran = await regraft([...words, '--out', out, '--time', '1s'])
    expect(ran, ran.stderr).toMatchObject({ exitCode: 75, stdout: '' })
    expect(ran.stderr).toMatch(
      /regraft: The time given with --time is over\.\nGo on with: regraft train --resume .*timed\n$/,
    )
    expect(performance.now() - startedAt).toBeLessThan(6000)
    expect(readdirSync(join(out, 'checkpoints')).length).toBeGreaterThan(0)
    const again = await regraft(['train', '--resume', out, '--time', '0.5s'])
    expect(again.exitCode, again.stderr).toBe(75)
  })

  test('has no meaning where nothing could be gone on with', async () => {
    const words = ['--model', trunk, '--mode', 'features', '--out', join(folder, 'solved')]
    const ran = await regraft(['train', data, ...words, '--time', '20m'])
    expect(ran).toMatchObject({
      exitCode: 2,
      stderr: expect.stringMatching(/--time has a meaning only with --mode head/),
    })
    expect((await regraft(['train', data, ...words, '--quiet'])).exitCode).toBe(0)
    const resumed = await regraft(['train', '--resume', join(folder, 'solved'), '--time', '20m'])
    expect(resumed).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('--time has a meaning only') })
  })

  test.each(['20', '0s', '5 m', '1d', '-1m'])('%j is no time', async (time) => {
    const ran = await regraft(['train', data, `--time=${time}`])
    expect(ran).toMatchObject({ exitCode: 2, stderr: expect.stringMatching(/--time: .* is not a time; .*20m/) })
  })
})

test.each(['0', '5x', 'often'])('--save-every %s is refused', async (every) => {
  const ran = await regraft(['train', data, '--save-every', every])
  expect(ran).toMatchObject({ exitCode: 2, stderr: expect.stringMatching(/--save-every: .*200, 90s, 5m, 1h/) })
})

test('a fine-tuned model is gone on with by a new training', async () => {
  const first = join(folder, 'undisturbed')
  const out = join(folder, 'onwards')
  const words = ['--mode', 'finetune', '--unfreeze', 'last:1', '--epochs', '2', '--batch-size', '5', '--lr', '1e-4']
  const ran = await regraft(['train', data, '--model', first, '--out', out, ...words])
  expect(ran.exitCode, ran.stderr).toBe(0)
  expect(ran.stderr).toContain('has the same classes; training goes on from it')
  const record = JSON.parse(readFileSync(join(out, 'best', 'regraft.json'), 'utf8')).training
  const weights = JSON.parse(readFileSync(join(first, 'best', 'regraft.json'), 'utf8')).digests['model.safetensors']
  expect(record.from).toEqual({ name: 'undisturbed', sha256: weights })
  const [, firstRow = ''] = readFileSync(join(out, 'history.csv'), 'utf8').split('\n')
  const [, before = ''] = readFileSync(join(first, 'history.csv'), 'utf8').split('\n')
  const lossOf = (row: string) => Number(row.split(',')[2])
  expect(lossOf(firstRow)).toBeLessThan(lossOf(before))
  // And by a new head on its network.
  const head = await regraft(['train', data, '--model', first, '--out', join(folder, 'new head'), '--mode', 'features'])
  expect(head.exitCode, head.stderr).toBe(0)
})
