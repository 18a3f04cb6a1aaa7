// The recorded calls of a training, cut off after each of them, with and without what was not synced.
import { createHash } from 'node:crypto'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import * as path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { diskFileSystem, withFileSystem } from '../../src/files/file-system.ts'
import { createEngine } from '../../src/kernels/engine.ts'
import { loadModel } from '../../src/model/load.ts'
import { checkpointFolders, readCheckpoint } from '../../src/train/checkpoint.ts'
import type { WorkEvent } from '../../src/train/events.ts'
import type { TrainOptions } from '../../src/transfer/options.ts'
import { readRunConfig, readRunManifest } from '../../src/transfer/run-folder.ts'
import { train } from '../../src/transfer/train.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { drawFolder } from './drawn-pictures.ts'
import { leftovers } from './injected-faults.ts'
import { type Change, ForgetfulDisk, foundFileSystem, type Loss, recordingFileSystem } from './power-loss.ts'
import { savedModel } from './random-model.ts'
import { resultOf } from './run-result.ts'

type Found = ReadonlyMap<string, Uint8Array | undefined>
/** Steps whose checkpoint, and whether a best model, was there when the caller was told so. */
interface Promised {
  readonly steps: number
  readonly best: boolean
}

const everything: Loss = { file: () => 'kept', folder: () => 'kept' }

/** Ways in which a power cut may go now: nothing lost, all of one kind lost, and each single thing lost or alone kept. */
function* losses(disk: ForgetfulDisk): Generator<Loss> {
  yield everything
  const { files, folders } = disk.unsynced()
  if (files.length > 0) {
    yield { ...everything, file: () => 'lost' }
    yield { ...everything, file: () => 'zeros' }
  }
  if (folders.length > 0) yield { ...everything, folder: () => 'lost' }
  if (files.length > 0 && folders.length > 0) yield { file: () => 'lost', folder: () => 'lost' }
  for (const one of folders) {
    yield { file: () => 'kept', folder: (id) => (id === one ? 'lost' : 'kept') }
    if (folders.length > 2) yield { file: () => 'lost', folder: (id) => (id === one ? 'kept' : 'lost') }
  }
  for (const one of files)
    if (files.length > 1) yield { folder: () => 'kept', file: (id) => (id === one ? 'zeros' : 'kept') }
}

/**
 * @param every    only each so many-th call is looked at
 * @param resumes  of the states that were found are gone on with, evenly over the training
 */
export function describePowerLoss(every: number, resumes: number): void {
  const folder = temporaryFolder()
  const data = path.join(folder, 'data')
  const trunk = path.join(folder, 'trunk')
  const run = path.join(folder, 'disk', 'run')
  const engine = createEngine({ threads: 1, simd: 'baseline' })
  afterAll(() => engine.close())
  const changes: Change[] = []
  const promises = new Map<number, Promised>()
  let expected: ReturnType<typeof resultOf>
  const options: TrainOptions = {
    data,
    model: trunk,
    out: run,
    engine,
    mode: 'finetune',
    unfreeze: 'last:1',
    augment: 'none',
    epochs: 3,
    batchSize: 6,
    saveEvery: '1',
    keepCheckpoints: 1,
    ema: 0.9,
  }

  beforeAll(async () => {
    await drawFolder(data, 4)
    await savedModel(trunk, 'mobilenetv1_025')
    mkdirSync(path.dirname(run))
    let steps = 0
    let best = false
    const listener = (event: WorkEvent) => {
      if (event.type === 'progress' && event.phase === 'finetune') {
        // The step before is saved when the next one has been made.
        promises.set(changes.length, { steps, best })
        steps += 1
      }
      if (event.type === 'epoch') best ||= event.best
    }
    const disk = recordingFileSystem(diskFileSystem, path.dirname(run), (change) => changes.push(change))
    await withFileSystem(disk, () => train({ ...options, listener }))
    expected = resultOf(run)
  })

  /** What a state is worth: steps of its checkpoint, undefined when there is none. */
  async function worth(found: Found): Promise<{ steps: number | undefined; best: boolean }> {
    const notes: string[] = []
    return await withFileSystem(foundFileSystem(found), async () => {
      let steps: number | undefined
      if (found.has(run) && (await checkpointFolders(run)).length > 0) {
        const { progress } = await readCheckpoint(run, (note) => notes.push(note))
        steps = progress.stepsDone
        await readRunConfig(run)
        await readRunManifest(run)
      }
      const best = ['best', 'best.old'].some((name) => found.has(path.join(run, name)))
      if (best) await loadModel(run)
      expect(notes).toEqual([])
      return { steps, best }
    })
  }

  test('leaves a state that loads, and nothing that was promised is missing', async () => {
    const disk = new ForgetfulDisk(path.dirname(run))
    let promised: Promised = { steps: -1, best: false }
    const seen = new Set<string>()
    let states = 0
    for (const [at, change] of changes.entries()) {
      disk.apply(change)
      promised = promises.get(at + 1) ?? promised
      if (at % every !== 0) continue
      for (const loss of losses(disk)) {
        states += 1
        const found = disk.after(loss)
        const key = digestOf(found)
        const fresh = !seen.has(`${key} ${promised.steps}`)
        seen.add(`${key} ${promised.steps}`)
        if (!fresh) continue
        const { steps = -1, best } = await worth(found).catch((error: unknown) => {
          throw new Error(`after call ${at}, ${change.do} ${change.path}`, { cause: error })
        })
        expect(steps, `after call ${at}, ${change.do} ${change.path}`).toBeGreaterThanOrEqual(promised.steps)
        expect(best || !promised.best, `after call ${at}, ${change.do} ${change.path}`).toBe(true)
      }
    }
    process.stderr.write(`power loss: ${changes.length} calls, ${states} states, ${seen.size} of them different\n`)
    expect(seen.size).toBeGreaterThan(50)
  })

  test.each(['sync', 'sync folder'] as const)('would be noticed if a training did not %s', async (forgotten) => {
    const disk = new ForgetfulDisk(path.dirname(run))
    let noticed = false
    for (const [at, change] of changes.entries()) {
      // What was made before the training is not at stake.
      if (change.do !== forgotten || at < 3) disk.apply(change)
      const promised = promises.get(at + 1)
      if (!promised) continue
      const { steps = -1 } = await worth(disk.after(allLost)).catch(() => ({ steps: -1 }))
      noticed ||= steps < promised.steps
    }
    expect(noticed).toBe(true)
  })

  test('leaves a state from which the training comes to the same end', async () => {
    const step = Math.max(1, Math.floor(changes.length / resumes))
    let resumed = 0
    for (let until = step; until < changes.length; until += step) {
      const disk = new ForgetfulDisk(path.dirname(run))
      for (const change of changes.slice(0, until)) disk.apply(change)
      for (const loss of [everything, namesLost, allLost]) {
        const found = disk.after(loss)
        rmSync(run, { recursive: true, force: true })
        for (const [at, bytes] of found) {
          if (bytes === undefined) mkdirSync(at, { recursive: true })
          else writeFileSync(at, bytes)
        }
        const { steps } = await worth(found)
        if (steps === undefined) continue
        resumed += 1
        await train({ data: '', out: '', resume: run, engine })
        expect(resultOf(run), `cut off after call ${until}`).toEqual(expected)
        expect(leftovers(run)).toEqual([])
      }
    }
    expect(resumed).toBeGreaterThan(resumes)
  })
}

const namesLost: Loss = { file: () => 'kept', folder: () => 'lost' }
const allLost: Loss = { file: () => 'zeros', folder: () => 'lost' }

function digestOf(found: Found): string {
  const hash = createHash('sha256')
  for (const [name, bytes] of [...found].sort(([a], [b]) => (a < b ? -1 : 1)))
    hash.update(name).update(bytes ?? 'folder')
  return hash.digest('hex')
}
