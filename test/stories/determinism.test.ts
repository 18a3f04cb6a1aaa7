// The same words give the same bytes: for any number of threads, again and again, on fast disks and slow ones.
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { beforeAll, expect, test } from 'vitest'
import { augmentationKinds } from '../../src/data/augmentations/index.ts'
import { diskFileSystem, type FileSystem, withFileSystem } from '../../src/files/file-system.ts'
import { randomStream } from '../../src/random.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { regraft } from './command-line.ts'
import { drawFolder } from './drawn-pictures.ts'
import { savedModel } from './random-model.ts'
import { resultOf } from './run-result.ts'

const folder = temporaryFolder()
const data = join(folder, 'data')
const trunk = join(folder, 'trunk')
const everything = join(folder, 'everything.yaml')
const residual = join(folder, 'residual')
let pictures: readonly string[]

beforeAll(async () => {
  // Seven in a class: the batches and the work of the threads do not come out even.
  pictures = await drawFolder(data, 7)
  await savedModel(trunk, 'mobilenetv1_025')
  writeFileSync(everything, augmentationKinds.map(({ name }) => `- ${name}: {p: 0.5}\n`).join(''))
  await savedModel(residual, 'mobilenetv2_035')
})

const finetune = ['--mode', 'finetune', '--unfreeze', 'last:2', '--epochs', '2', '--batch-size', '5']
const ways: readonly [string, readonly string[]][] = [
  ['head', ['--mode', 'head', '--epochs', '4', '--batch-size', '5']],
  ['features', ['--mode', 'features']],
  ['features with a hidden layer', ['--mode', 'features', '--head', 'mlp:8', '--epochs', '3', '--batch-size', '5']],
  ['features with maxout', ['--mode', 'features', '--head', 'maxout:6x3', '--epochs', '3', '--batch-size', '5']],
  ['features with sigmoids', ['--mode', 'features', '--loss', 'bce', '--class-weights', 'auto']],
  ['fine-tuning with a focal loss', [...finetune, '--loss', 'focal', '--augment', 'none']],
  ['fine-tuning with augmentation', [...finetune, '--augment', 'light']],
  ['fine-tuning with every augmentation there is', [...finetune, '--augment', everything]],
  ['fine-tuning with accumulated gradients', [...finetune, '--accum', '2', '--micro-batch', '3']],
  ['fine-tuning for uneven classes', [...finetune, '--class-weights', 'auto', '--sampler', 'balanced']],
  ['fine-tuning with kept variants', [...finetune, '--augment', 'light', '--cache-variants', '2']],
  ['fine-tuning with batch statistics', [...finetune, '--bn', 'train-unfrozen', '--augment', 'light']],
  ['fine-tuning with averages', [...finetune, '--augment', 'light', '--ema', '0.9']],
  ['fine-tuning with a plateau', [...finetune, '--sched', 'plateau', '--warmup-epochs', '0', '--opt', 'sgd']],
  ['fine-tuning with clipping', [...finetune, '--clip-grad', '0.05', '--augment', 'none']],
  ['fine-tuning without a cache', [...finetune, '--cache', 'off', '--augment', 'none', '--opt', 'adam']],
  ['fine-tuning with rates of its own for each block', [...finetune, '--lr', '1e-4:1e-2', '--bn', 'adapt']],
  [
    'features with hidden layers and dropout',
    ['--mode', 'features', '--head', 'mlp:8x2', '--epochs', '3', '--batch-size', '5', '--dropout', '0.4'],
  ],
  ['fine-tuning with dropout', [...finetune, '--dropout', '0.4']],
  [
    'fine-tuning with stochastic depth',
    [...finetune, '--model', residual, '--drop-path', '0.5', '--bn', 'train-unfrozen'],
  ],
  [
    'a head with DropConnect',
    ['--mode', 'head', '--head', 'mlp:8x2', '--epochs', '4', '--batch-size', '5', '--dropconnect', '0.4'],
  ],
  ['fine-tuning with DropConnect', [...finetune, '--dropconnect', '0.4']],
  ['fine-tuning with random erasing', [...finetune, '--augment', 'none', '--reprob', '0.6']],
  ['fine-tuning with mixup', [...finetune, '--mixup', '0.4', '--accum', '2', '--micro-batch', '3']],
  ['fine-tuning with cutmix', [...finetune, '--cutmix', '1', '--augment', 'none']],
  ['training from nothing', ['--mode', 'finetune', '--no-pretrained', '--epochs', '1', '--batch-size', '5']],
]

/** The disk, on which each picture takes its own time, another one in each run. */
function slowFileSystem(seed: number): FileSystem {
  const random = randomStream({ seed, purpose: 'delays of a disk' })
  return {
    ...diskFileSystem,
    async open(path, mode) {
      if (path.startsWith(data)) await setTimeout(12 * random.uniform() ** 3)
      return diskFileSystem.open(path, mode)
    },
  }
}

test.each(ways)(
  '%s gives the same bytes with 1, 2, 3 and 5 threads, and when pictures take their time',
  async (name, words) => {
    const results: unknown[] = []
    for (const [index, threads] of [1, 2, 3, 5, 3].entries()) {
      const out = join(folder, `${name} ${index}`)
      const more = ['--out', out, '--threads', String(threads), '--quiet']
      const train = () => regraft(['train', data, '--model', trunk, ...words, ...more])
      const ran = await (index === 4 ? withFileSystem(slowFileSystem(index), train) : train())
      expect(ran.exitCode, ran.stderr).toBe(0)
      results.push(resultOf(out))
    }
    const [first, ...others] = results
    for (const other of others) expect(other).toEqual(first)
  },
)

test('another seed gives other bytes', async () => {
  const results: unknown[] = []
  for (const seed of ['1', '2']) {
    const out = join(folder, `seed ${seed}`)
    const words = ['--mode', 'head', '--epochs', '1', '--seed', seed, '--val', '0.3']
    await regraft(['train', data, '--model', trunk, '--out', out, ...words])
    results.push(resultOf(out))
  }
  expect(results[0]).not.toEqual(results[1])
})

test('nothing in the saved tensors depends on the place or the time', () => {
  const files = readdirSync(join(folder, 'head 0', 'best')).filter((name) => name.endsWith('.safetensors'))
  expect(files.sort()).toEqual(['golden.safetensors', 'model.safetensors'])
  for (const file of files) {
    const bytes = readFileSync(join(folder, 'head 0', 'best', file))
    const header = bytes.toString('utf8', 8, 8 + Number(bytes.readBigUInt64LE()))
    expect(header).not.toContain(folder)
    const { __metadata__: metadata } = JSON.parse(header)
    expect(metadata).toEqual(file.startsWith('golden') ? { kernels: expect.stringMatching(/^\w+$/) } : { format: 'pt' })
  }
})

test('a picture gets the same scores whatever stands beside it', async () => {
  const model = join(folder, 'head 0')
  const scores = async (inputs: readonly string[], ...more: string[]): Promise<ReadonlyMap<string, unknown>> => {
    const ran = await regraft(['predict', model, ...inputs, '--json', '--topk', '3', '--quiet', ...more])
    expect(ran.exitCode, ran.stderr).toBe(0)
    const rows = ran.stdout.trimEnd().split('\n')
    const parsed = rows.map((row) => JSON.parse(row))
    expect(parsed.map(({ path }) => path)).toEqual(inputs)
    return new Map(parsed.map(({ path, top }) => [path, top]))
  }
  const expected = await scores(pictures)
  expect(new Set([...expected.values()].map((top) => JSON.stringify(top))).size).toBe(pictures.length)
  const byHash = (text: string) => createHash('sha256').update(text).digest('hex')
  const permuted = [...pictures].sort((a, b) => (byHash(a) < byHash(b) ? -1 : 1))
  expect(await scores(permuted, '--batch-size', '1', '--threads', '1')).toEqual(expected)
  expect(await scores(permuted, '--batch-size', '3', '--threads', '3')).toEqual(expected)
  expect(await scores([...pictures].reverse(), '--batch-size', '64')).toEqual(expected)
  const some = pictures.slice(4, 6)
  expect(await scores(some)).toEqual(new Map(some.map((path) => [path, expected.get(path)])))
})
