// Every kind of damage to every file of a checkpoint that a real training wrote: it is noticed, named, and never gone on from.
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { RegraftError } from '../../src/errors.ts'
import { createEngine } from '../../src/kernels/engine.ts'
import { checkpointFolders, readCheckpoint } from '../../src/train/checkpoint.ts'
import type { TrainOptions } from '../../src/transfer/options.ts'
import { train } from '../../src/transfer/train.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { drawFolder } from '../stories/drawn-pictures.ts'
import { afterStep, interrupted } from '../stories/interrupted.ts'
import { savedModel } from '../stories/random-model.ts'
import { resultOf } from '../stories/run-result.ts'

const PLACES = 512
const files = ['best.safetensors', 'manifest.json', 'optimiser.safetensors', 'state.json', 'weights.safetensors']
const folder = temporaryFolder()
const data = join(folder, 'data')
const trunk = join(folder, 'trunk')
const [run, other] = [join(folder, 'run'), join(folder, 'other')]
const engine = createEngine({ threads: 2, simd: 'baseline' })
afterAll(() => engine.close())
const optionsOf = (out: string, seed: number): TrainOptions => ({
  data,
  model: trunk,
  out,
  engine,
  seed,
  mode: 'head',
  epochs: 3,
  batchSize: 5,
  ema: 0.9,
  saveEvery: '1',
  keepCheckpoints: 3,
})
let expected: ReturnType<typeof resultOf>
let newest = ''
let before = ''
let newestOfOther = ''

beforeAll(async () => {
  await drawFolder(data, 6)
  await savedModel(trunk, 'mobilenetv1_025')
  await train(optionsOf(join(folder, 'undisturbed'), 0))
  expected = resultOf(join(folder, 'undisturbed'))
  await interrupted(optionsOf(run, 0), afterStep('head', 5))
  await interrupted(optionsOf(other, 1), afterStep('head', 5))
  ;[newest = '', before = ''] = [...(await checkpointFolders(run))].reverse()
  newestOfOther = (await checkpointFolders(other)).at(-1) ?? ''
})

const evenly = (size: number) =>
  Array.from({ length: Math.min(size, PLACES) }, (_, n) => Math.floor((n * size) / Math.min(size, PLACES)))

type Spoil = (file: string, bytes: Buffer) => void
const recipes: readonly (readonly [string, (size: number) => readonly Spoil[]])[] = [
  ['cut', (size) => evenly(size).map((length) => (file, bytes) => writeFileSync(file, bytes.subarray(0, length)))],
  [
    'with a flipped bit',
    (size) =>
      evenly(size * 8).map((bit) => (file, bytes) => {
        bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        writeFileSync(file, bytes)
      }),
  ],
  [
    'with a tail of zeros',
    (size) =>
      [0, 4096, Math.floor(size / 2), size - 1]
        .filter((from) => from < size)
        .map((from) => (file, bytes) => writeFileSync(file, bytes.fill(0, from))),
  ],
  ['removed', () => [(file) => rmSync(file)]],
  ['of another step', () => [(file) => copyFileSync(file.replace(newest, before), file)]],
  ['of another run', () => [(file) => copyFileSync(file.replace(run, other).replace(newest, newestOfOther), file)]],
]

describe.each(files)('%s', (name) => {
  test.each(recipes)('%s is noticed', async (_, spoils) => {
    const file = join(run, 'checkpoints', newest, name)
    const bytes = readFileSync(file)
    const intact = (await readCheckpoint(run, () => undefined)).progress.stepsDone
    for (const spoil of spoils(bytes.length)) {
      try {
        spoil(file, Buffer.from(bytes))
        const notes: string[] = []
        const outcome: unknown = await readCheckpoint(run, (note) => notes.push(note)).then(
          ({ progress }) => progress.stepsDone,
          (reason) => reason,
        )
        // A tail may have been zeros before, and the best weights are those of the step before.
        const same = existsSync(file) && readFileSync(file).equals(bytes)
        if (outcome instanceof RegraftError) expect(outcome.message).toContain(name)
        else if (!same) {
          expect(outcome).toBeLessThan(intact)
          // Another manifest is found by the files that it does not fit.
          expect(notes.join()).toContain(name === 'manifest.json' ? newest : name)
        }
      } finally {
        writeFileSync(file, bytes)
      }
    }
    expect((await readCheckpoint(run, () => undefined)).progress.stepsDone).toBe(intact)
  })
})

test('a run with a damaged checkpoint and leftovers of a killed process comes to the same end', async () => {
  const file = join(run, 'checkpoints', newest, 'weights.safetensors')
  const bytes = readFileSync(file)
  writeFileSync(file, bytes.subarray(0, bytes.length >> 1))
  const leftover = join(run, 'checkpoints', `${newest}.tmp-12345`)
  mkdirSync(leftover)
  writeFileSync(join(leftover, 'weights.safetensors'), bytes.subarray(0, 100))
  writeFileSync(join(run, 'checkpoints', 'lock'), '4194999')
  const notes: string[] = []
  await train({
    data: '',
    out: '',
    resume: run,
    engine,
    listener: (event) => event.type === 'note' && notes.push(event.message),
  })
  expect(notes.join('\n')).toMatch(/weights\.safetensors/)
  expect(notes.join('\n')).toMatch(/no checkpoint \(.*tmp-12345, lock\)/)
  expect(resultOf(run)).toEqual(expected)
})
