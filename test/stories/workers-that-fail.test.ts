// Workers that cannot start: those that compute, and those that resize pictures.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test, vi } from 'vitest'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { regraft } from './command-line.ts'
import { drawFolder } from './drawn-pictures.ts'
import { savedModel } from './random-model.ts'
import { resultOf } from './run-result.ts'

const starts = vi.hoisted(() => ({ count: 0, failing: 0 }))

vi.mock('node:worker_threads', async (importActual) => {
  const actual = await importActual<typeof import('node:worker_threads')>()
  class Worker extends actual.Worker {
    constructor(source: string | URL, options?: import('node:worker_threads').WorkerOptions) {
      super(++starts.count === starts.failing ? 'throw new Error("injected")' : source, options)
    }
  }
  return { ...actual, Worker, default: { ...actual, Worker } }
})

const folder = temporaryFolder()
const data = join(folder, 'data')
const trunk = join(folder, 'trunk')
// What looks ahead of a training does without a worker that does not start.
const words = [
  'train',
  data,
  '--model',
  trunk,
  '--mode',
  'finetune',
  '--unfreeze',
  'last:1',
  '--epochs',
  '1',
  '--no-checks',
]
const trained = (out: string) => regraft([...words, '--out', join(folder, out), '--threads', '3', '--simd', 'baseline'])

beforeAll(async () => {
  await drawFolder(data, 4)
  await savedModel(trunk, 'mobilenetv1_025')
})

test('a training ends with 6 and one clear line whichever worker does not start, and the next one is sound', async () => {
  // The fourth is the first that resizes. Those are kept from one training to the next.
  for (const n of [4, 3, 2, 1]) {
    starts.count = 0
    starts.failing = n
    const out = `without worker ${n}`
    const ran = await trained(out)
    expect(starts.count, `worker ${n}`).toBeGreaterThanOrEqual(n)
    expect(ran, ran.stderr).toMatchObject({ exitCode: 6, stdout: '' })
    expect(ran.stderr).toMatch(
      /^regraft: A (computing worker|worker that computes with pixels) could not start or died: injected/m,
    )
    expect(ran.stderr).not.toMatch(/^\s+at /m)
    expect(existsSync(join(folder, out, 'best'))).toBe(false)
    starts.failing = 0
    const sound = await trained(`after worker ${n}`)
    expect(sound.exitCode, sound.stderr).toBe(0)
    expect(resultOf(join(folder, `after worker ${n}`))).toEqual(resultOf(join(folder, 'after worker 4')))
  }
})
