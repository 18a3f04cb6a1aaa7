// No damaged checkpoint is ever used: every kind of damage to every file is found, named, and the one before is taken.
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { RegraftError } from '../../src/errors.ts'
import { type Checkpointed, readCheckpoint, readEpochStart, writeCheckpoint } from '../../src/train/checkpoint.ts'
import { epochBegun, nothingDone, type Progress } from '../../src/train/progress.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'

const folder = temporaryFolder()
const files = ['best.safetensors', 'manifest.json', 'optimiser.safetensors', 'state.json', 'weights.safetensors']

function stateAt(progress: Partial<Progress>, value = 1): Checkpointed {
  const tensor = (at: number) => ({ shape: [2, 3], data: Float32Array.from([1, 2, 3, 4, 5, 6], (each) => each * at) })
  return {
    progress: { ...nothingDone, ...progress },
    origin: { kernels: 'abc', model: null, data: 'def', config: { lr: 0.1, freeze: null } },
    weights: new Map([['a.weight', tensor(value)]]),
    optimiser: new Map([['a.weight.mean', tensor(value / 3)]]),
    best: new Map([['a.weight', tensor(value / 7)]]),
    counters: new Map([['a.num_batches_tracked', 7]]),
    bestCounters: new Map([['a.num_batches_tracked', 5]]),
  }
}

const record = {
  epoch: 1,
  learningRate: 1e-3,
  trainLoss: 0.1 + 0.2,
  trainAccuracy: 1 / 3,
  validationLoss: Number.NaN,
  validationAccuracy: 0.5,
  validationTopAccuracy: 0.95,
  validationBalancedAccuracy: 0.5,
  validationMacroF1: 0.5,
  seconds: 1.25,
}
const running = { ...epochBegun, steps: 3, pictures: 15, seen: 10, lossSum: 1 / 3, correct: 7, rate: 1e-4, seconds: 2 }
const older = stateAt({ epochsDone: 1, stepsDone: 4, history: [record], bestEpoch: 1 }, 2)
const newer = stateAt({ epochsDone: 1, stepsDone: 7, history: [record], bestEpoch: 1, running, stepsSkipped: 1 }, 3)

const run = join(folder, 'run')
const at = (name: string, ...file: string[]) => join(run, 'checkpoints', name, ...file)
const newest = 'epoch-00001-step-00003'

async function read(): Promise<{ state: Checkpointed; notes: readonly string[] }> {
  const notes: string[] = []
  const state = await readCheckpoint(run, (note) => notes.push(note))
  return { state, notes }
}

async function write(state: Checkpointed, keep = 2): Promise<void> {
  await writeCheckpoint(run, state, keep)
}

beforeAll(async () => {
  await write(older)
  await write(newer)
})

test('what was written is read, to the last bit', async () => {
  expect(await read()).toEqual({ state: newer, notes: [] })
  expect(readdirSync(at(newest)).sort()).toEqual(files)
})

test('the checkpoint at which the epoch began is found', async () => {
  expect(await readEpochStart(run, 1)).toEqual(older)
  await expect(readEpochStart(run, 2)).rejects.toMatchObject({
    code: 'data',
    message: expect.stringContaining('missing'),
  })
})

describe('kept are', () => {
  const kept = join(folder, 'kept')
  const names = () => readdirSync(join(kept, 'checkpoints')).sort()

  test('the newest, and the last between two epochs', async () => {
    await writeCheckpoint(kept, stateAt({ epochsDone: 0 }), 2)
    await writeCheckpoint(kept, stateAt({ epochsDone: 1 }), 2)
    for (const steps of [9, 10, 11])
      await writeCheckpoint(kept, stateAt({ epochsDone: 1, running: { ...running, steps } }), 2)
    expect(names()).toEqual(['epoch-00001', 'epoch-00001-step-00010', 'epoch-00001-step-00011'])
    await writeCheckpoint(kept, stateAt({ epochsDone: 2 }), 2)
    expect(names()).toEqual(['epoch-00001-step-00011', 'epoch-00002'])
    await writeCheckpoint(kept, stateAt({ epochsDone: 100_000 }), 1)
    expect(names()).toEqual(['epoch-100000'])
  })

  test('none that come after the one just written, and no leftovers', async () => {
    await writeCheckpoint(kept, stateAt({ epochsDone: 5 }), 2)
    expect(names()).toEqual(['epoch-00005'])
    mkdirSync(join(kept, 'checkpoints', '.epoch-00006.tmp-4194999-1'))
    writeFileSync(join(kept, 'checkpoints', '.epoch-00006.tmp-4194999-1', 'weights.safetensors'), 'half')
    await writeCheckpoint(kept, stateAt({ epochsDone: 6 }), 1)
    expect(names()).toEqual(['epoch-00006'])
  })

  test('the former one, when the same is written again', async () => {
    await writeCheckpoint(kept, stateAt({ epochsDone: 6 }, 9), 1)
    expect(names()).toEqual(['epoch-00006'])
    expect((await readCheckpoint(kept, () => undefined)).weights).toEqual(stateAt({}, 9).weights)
  })
})

describe('damage', () => {
  /** Spoils a file of the newest checkpoint, and looks at what is read then. */
  async function spoiled(name: string, spoil: (file: string, bytes: Buffer) => void): Promise<void> {
    const file = at(newest, name)
    const bytes = readFileSync(file)
    spoil(file, Buffer.from(bytes))
    try {
      const { state, notes } = await read().catch((error: unknown) => {
        // Where the format stands, damage looks like another version: refused by name as well.
        if (name === 'manifest.json' && /manifest\.json says format \d/.test(String(error)))
          return { state: older, notes: undefined }
        throw error
      })
      if (notes === undefined) return
      expect(state).toEqual(older)
      expect(notes).toHaveLength(1)
      expect(notes[0]).toMatch(new RegExp(`${newest} is damaged: .*${name}.*The checkpoint before it is used`, 's'))
    } finally {
      rmSync(file, { force: true })
      writeFileSync(file, bytes)
    }
  }
  const evenly = (size: number, count: number) =>
    Array.from({ length: Math.min(size, count) }, (_, n) => Math.floor((n * size) / Math.min(size, count)))

  test.each(files)('of %s by a flipped bit is found', async (name) => {
    for (const place of evenly(statSync(at(newest, name)).size * 8, 40))
      await spoiled(name, (file, bytes) => {
        const byte = place >> 3
        bytes[byte] = (bytes[byte] ?? 0) ^ (1 << (place & 7))
        writeFileSync(file, bytes)
      })
  })

  test.each(files)('of %s by cutting it is found', async (name) => {
    const { size } = statSync(at(newest, name))
    for (const length of evenly(size, 25))
      await spoiled(name, (file, bytes) => writeFileSync(file, bytes.subarray(0, length)))
  })

  test.each(files)('of %s by zeros or additions is found', async (name) => {
    const { size } = statSync(at(newest, name))
    for (const length of [0, Math.floor(size / 2), size - 1])
      await spoiled(name, (file, bytes) => writeFileSync(file, bytes.fill(0, length)))
    await spoiled(name, (file, bytes) => writeFileSync(file, Buffer.concat([bytes, Buffer.of(0)])))
  })

  test.each(files)('of %s by removing it is found', async (name) => {
    await spoiled(name, (file) => rmSync(file))
  })

  test.each(files.filter((name) => name !== 'manifest.json'))(
    'of %s by that of another step is found',
    async (name) => {
      await spoiled(name, (file) => copyFileSync(at('epoch-00001', name), file))
    },
  )

  test('by another step under its name is found', async () => {
    const aside = join(folder, 'aside')
    renameSync(at(newest), aside)
    cpSync(at('epoch-00001'), at(newest), { recursive: true })
    try {
      const { state, notes } = await read()
      expect(state).toEqual(older)
      expect(notes[0]).toMatch(/state\.json is of another step/)
    } finally {
      rmSync(at(newest), { recursive: true })
      renameSync(aside, at(newest))
    }
  })

  test('of all of them is told with the way on', async () => {
    const aside = join(folder, 'all')
    cpSync(run, aside, { recursive: true })
    for (const name of readdirSync(join(aside, 'checkpoints'))) rmSync(join(aside, 'checkpoints', name, 'state.json'))
    const notes: string[] = []
    await expect(readCheckpoint(aside, (note) => notes.push(note))).rejects.toMatchObject({
      code: 'data',
      message: expect.stringMatching(/no checkpoint to go on from.*--overwrite/),
    })
    expect(notes).toHaveLength(2)
  })
})

test.each([
  [1, /an older version of regraft \(.*format 1; this one reads 2\)/],
  [3, /a newer version of regraft \(.*format 3; this one reads 2\)/],
])('a checkpoint of format %d is refused, not passed over', async (format, message) => {
  const file = at(newest, 'manifest.json')
  const text = readFileSync(file, 'utf8')
  writeFileSync(file, text.replace('"format": 2', `"format": ${format}`))
  try {
    const error: unknown = await read().then(
      () => undefined,
      (reason) => reason,
    )
    expect(error).toBeInstanceOf(RegraftError)
    expect(String(error)).toMatch(message)
  } finally {
    writeFileSync(file, text)
  }
})

test('what is no checkpoint is left alone and named', async () => {
  mkdirSync(at('epoch-00009.tmp-12345'))
  writeFileSync(at('lock'), '4194999')
  const { state, notes } = await read()
  expect(state).toEqual(newer)
  expect(notes).toEqual([expect.stringMatching(/what is no checkpoint \(epoch-00009\.tmp-12345, lock\)/)])
  await write(newer)
  expect(readdirSync(join(run, 'checkpoints')).sort()).toEqual(['epoch-00001', newest, 'epoch-00009.tmp-12345', 'lock'])
})
