// A run that was stopped and gone on with ends as one that was not.
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join, relative } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { withFileSystem } from '../../src/files/file-system.ts'
import { createEngine } from '../../src/kernels/engine.ts'
import { loadModel } from '../../src/model/load.ts'
import type { WorkEvent } from '../../src/train/events.ts'
import type { TrainOptions } from '../../src/transfer/options.ts'
import { train } from '../../src/transfer/train.ts'
import { faultyFileSystem, systemError } from '../files/faulty-file-system.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { regraft } from './command-line.ts'
import { drawFolder } from './drawn-pictures.ts'
import { afterEpoch, afterPhase, inEpoch, interrupted } from './interrupted.ts'
import { savedModel } from './random-model.ts'
import { digestOf, resultOf } from './run-result.ts'

const folder = temporaryFolder()
const data = join(folder, 'data')
const trunk = join(folder, 'trunk')
const engine = createEngine({ threads: 2, simd: 'baseline' })
afterAll(() => engine.close())

beforeAll(async () => {
  await drawFolder(data, 6)
  await savedModel(trunk, 'mobilenetv1_025')
})

type Way = Partial<TrainOptions>
const head: Way = { mode: 'head', epochs: 3, batchSize: 5 }
const fineTune: Way = {
  mode: 'finetune',
  unfreeze: 'last:1',
  bn: 'train-unfrozen',
  augment: 'light',
  epochs: 3,
  batchSize: 5,
}

const maxout: Way = { ...head, mode: 'features', head: 'maxout:6x2', loss: 'bce' }

const optionsOf = (way: Way, out: string): TrainOptions => ({ data, model: trunk, out, engine, ...way })

async function undisturbed(way: Way, name: string) {
  const out = join(folder, name)
  await train(optionsOf(way, out))
  return resultOf(out)
}

function resume(run: string, more: Partial<TrainOptions> = {}) {
  const notes: string[] = []
  const listener = (event: WorkEvent) => {
    if (event.type === 'note') notes.push(event.message)
  }
  return train({ ...optionsOf({}, run), data: '', resume: run, listener, ...more }).then((result) => ({
    ...result,
    notes,
  }))
}

describe.each([
  ['head', head],
  ['finetune', fineTune],
] as const)('training in mode %s', (phase, way) => {
  let expected: ReturnType<typeof resultOf>
  beforeAll(async () => {
    expected = await undisturbed(way, `undisturbed ${phase}`)
  })

  const moments: readonly [string, (event: WorkEvent) => boolean][] = [
    ['after epoch 1', afterEpoch(1)],
    ['after epoch 2', afterEpoch(2)],
    ['in the middle of epoch 2', inEpoch(phase, 2)],
    ['in the middle of epoch 3', inEpoch(phase, 3)],
    ['after the last epoch', afterPhase(phase)],
  ]
  test.each(moments)('interrupted %s goes on to the same end', async (name, moment) => {
    const out = join(folder, `${phase} ${name}`)
    expect(await interrupted(optionsOf(way, out), moment)).toMatchObject({ code: 'interrupted', exitCode: 130 })
    await resume(out)
    expect(resultOf(out)).toEqual(expected)
  })

  test('interrupted again and again goes on to the same end', async () => {
    const out = join(folder, `${phase} again`)
    await interrupted(optionsOf(way, out), inEpoch(phase, 2))
    const again = { ...optionsOf({}, out), data: '', resume: out }
    await interrupted(again, inEpoch(phase, 2))
    await interrupted(again, inEpoch(phase, 3))
    await resume(out)
    expect(resultOf(out)).toEqual(expected)
  })

  test('a finished run that is gone on with stays as it is', async () => {
    const out = join(folder, `undisturbed ${phase}`)
    // What a process left that was killed while it cleared up.
    const leftover = join(out, 'checkpoints', '.epoch-00002.tmp-4194999-7')
    mkdirSync(leftover)
    writeFileSync(join(leftover, 'weights.safetensors'), 'half')
    await resume(out)
    expect(resultOf(out)).toEqual(expected)
    expect(existsSync(leftover)).toBe(false)
  })

  test('a damaged newest checkpoint is named and the one before it is used', async () => {
    const out = join(folder, `${phase} damaged`)
    await interrupted(optionsOf(way, out), inEpoch(phase, 3))
    const checkpoints = join(out, 'checkpoints')
    const newest = 'epoch-00002-step-00001'
    expect(readdirSync(checkpoints).sort()).toEqual(['epoch-00002', newest])
    const file = join(checkpoints, newest, 'weights.safetensors')
    const bytes = readFileSync(file)
    bytes[bytes.length - 3] = (bytes[bytes.length - 3] ?? 0) ^ 1
    writeFileSync(file, bytes)
    const { notes } = await resume(out)
    expect(notes.filter((note) => note.includes('damaged'))).toHaveLength(1)
    expect(notes.join()).toMatch(/step-00001 is damaged: weights\.safetensors.*The checkpoint before it is used/)
    expect(resultOf(out)).toEqual(expected)
  })
})

test('a network that began by another initialiser goes on to the same end', async () => {
  const way: Way = { ...fineTune, pretrained: false, bn: 'frozen', init: 'xavier-uniform,normal:0.1' }
  const expected = await undisturbed(way, 'undisturbed initialiser')
  const out = join(folder, 'initialiser interrupted')
  await interrupted(optionsOf(way, out), inEpoch('finetune', 2))
  await resume(out)
  expect(resultOf(out)).toEqual(expected)
})

test('a maxout head on sigmoids goes on to the same end', async () => {
  const expected = await undisturbed(maxout, 'undisturbed maxout')
  const out = join(folder, 'maxout interrupted')
  await interrupted(optionsOf(maxout, out), inEpoch('head', 2))
  await resume(out)
  expect(resultOf(out)).toEqual(expected)
  expect(Object.keys(expected.tensors)).toContain('head.safetensors')
})

test('an early stop is the same with and without an interruption', async () => {
  // A rate of almost nothing: no epoch is better than the first.
  const way: Way = { ...head, epochs: 9, patience: 2, lr: 1e-12 }
  const expected = await undisturbed(way, 'early stop')
  const epochs = expected.history.trimEnd().split('\n').length - 1
  expect(epochs).toBeLessThan(9)
  const out = join(folder, 'early stop interrupted')
  await interrupted(optionsOf(way, out), afterPhase('head'))
  const { stopped } = await resume(out)
  expect(stopped).toContain('no better validation')
  expect(resultOf(out)).toEqual(expected)
})

describe('a run that is not the same', () => {
  const run = join(folder, 'to resume')
  beforeAll(async () => {
    await interrupted(optionsOf(head, run), afterEpoch(1))
  })

  /** A copy of the run whose record was changed as if the world had. */
  function changed(name: string, change: (manifest: Record<string, Record<string, unknown>>) => void): string {
    const copy = join(folder, name)
    cpSync(run, copy, { recursive: true })
    const file = join(copy, 'manifest.json')
    const manifest = JSON.parse(readFileSync(file, 'utf8'))
    change(manifest)
    writeFileSync(file, JSON.stringify(manifest))
    return copy
  }

  test('other pictures are refused', async () => {
    const other = join(folder, 'other-data')
    cpSync(data, other, { recursive: true })
    const out = join(folder, 'other pictures')
    await interrupted({ ...optionsOf(head, out), data: other }, afterEpoch(1))
    rmSync(join(other, 'disc', '0.png'))
    const ran = await regraft(['train', '--resume', out, '--simd', 'baseline'])
    expect(ran.exitCode, ran.stderr).toBe(2)
    expect(ran.stderr).toMatch(/cannot be gone on with: the pictures are not the same \(disc\/0\.png is gone\)/)
  })

  test('a picture that could be read only before, or only now, is named', async () => {
    const picture = join(data, 'disc', '0.png')
    /** The disk, which fails to read the picture after its contents were looked at. */
    const failing = () => {
      let opened = 0
      return faultyFileSystem((call, path) => {
        if (call === 'open' && path === picture && ++opened > 1) throw systemError('EIO')
      })
    }
    const before = join(folder, 'unreadable before')
    await withFileSystem(failing(), () => interrupted(optionsOf(head, before), afterEpoch(1)))
    await expect(resume(before)).rejects.toMatchObject({
      code: 'data',
      message: expect.stringMatching(/disc\/0\.png can be read now, and could not when the run began/),
    })
    const now = join(folder, 'unreadable now')
    await interrupted(optionsOf(head, now), afterEpoch(1))
    await expect(withFileSystem(failing(), () => resume(now))).rejects.toMatchObject({
      code: 'data',
      message: expect.stringMatching(/disc\/0\.png cannot be read: the disk reports an error, and was read/),
    })
    // On the disk that it began on, it goes on.
    await withFileSystem(failing(), () => resume(before))
  })

  /** What is said of data that were changed by `change`. */
  async function refusedAfter(name: string, change: (copy: string) => void): Promise<string> {
    const other = join(folder, `data ${name}`)
    cpSync(data, other, { recursive: true })
    const out = join(folder, `with ${name}`)
    await interrupted({ ...optionsOf(head, out), data: other }, afterEpoch(1))
    change(other)
    const ran = await regraft(['train', '--resume', out, '--simd', 'baseline'])
    expect(ran.exitCode, ran.stderr).toBe(2)
    return ran.stderr
  }

  test('a picture that was edited, renamed or added is named', async () => {
    const edited = await refusedAfter('an edited picture', (copy) => {
      const file = join(copy, 'bars', '1.png')
      const { atime, mtime } = statSync(file)
      const bytes = readFileSync(file)
      // Neither its size nor its time tells.
      bytes[bytes.length - 20] = (bytes[bytes.length - 20] ?? 0) ^ 1
      writeFileSync(file, bytes)
      utimesSync(file, atime, mtime)
    })
    expect(edited).toMatch(/the pictures are not the same \(bars\/1\.png has other contents\)/)
    const renamed = await refusedAfter('a renamed picture', (copy) =>
      renameSync(join(copy, 'bars', '1.png'), join(copy, 'bars', 'one.png')),
    )
    expect(renamed).toMatch(/bars\/one\.png is new.*bars\/1\.png is gone/)
    const moved = await refusedAfter('a picture in another class', (copy) =>
      renameSync(join(copy, 'bars', '1.png'), join(copy, 'disc', 'bars-1.png')),
    )
    expect(moved).toMatch(/disc\/bars-1\.png is new/)
  })

  test('a class that was added is named', async () => {
    const stderr = await refusedAfter('a new class', (copy) =>
      cpSync(join(copy, 'disc'), join(copy, 'tulip'), { recursive: true }),
    )
    expect(stderr).toMatch(/the class 'tulip' is new, tulip\/\d\.png is new.* and \d+ more differences\)/)
  })

  test('data that were only moved are the same', async () => {
    const other = join(folder, 'moved data')
    cpSync(data, other, { recursive: true })
    const out = join(folder, 'with moved data')
    await interrupted({ ...optionsOf(head, out), data: other }, afterEpoch(1))
    renameSync(other, join(folder, 'where it is now'))
    const file = join(out, 'config.yaml')
    writeFileSync(file, readFileSync(file, 'utf8').replace('moved data', 'where it is now'))
    await resume(out)
    expect(resultOf(out)).toEqual(await undisturbed(head, 'data that were not moved'))
  })

  test.each([
    ['batchSize: 5', 'batchSize: 6', /batchSize: 6, but the checkpoint was made with 5/],
    ['seed: 0', 'seed: 1', /seed: 1, but the checkpoint was made with 0/],
    ['lr: 0.001', 'lr: 0.002', /lr: 0\.002, but the checkpoint was made with 0\.001/],
    ['epochs: 3', 'epochs: 4', /epochs: 4, but the checkpoint was made with 3/],
  ])('a config.yaml that was changed from %s to %s is refused', async (before, after, message) => {
    const copy = join(folder, `config ${after.replace(':', '')}`)
    cpSync(run, copy, { recursive: true })
    const file = join(copy, 'config.yaml')
    expect(readFileSync(file, 'utf8')).toContain(before)
    writeFileSync(file, readFileSync(file, 'utf8').replace(before, after))
    const ran = await regraft(['train', '--resume', copy, '--simd', 'baseline'])
    expect(ran.exitCode, ran.stderr).toBe(2)
    expect(ran.stderr).toMatch(message)
  })

  test('checkpoints of another run are refused', async () => {
    const copy = join(folder, 'foreign checkpoints')
    cpSync(run, copy, { recursive: true })
    const other = join(folder, 'the other run')
    await interrupted({ ...optionsOf({ ...head, seed: 7 }, other), model: trunk }, afterEpoch(1))
    rmSync(join(copy, 'checkpoints'), { recursive: true })
    cpSync(join(other, 'checkpoints'), join(copy, 'checkpoints'), { recursive: true })
    const ran = await regraft(['train', '--resume', copy, '--simd', 'baseline'])
    expect(ran.exitCode, ran.stderr).toBe(2)
    expect(ran.stderr).toMatch(/seed: 0, but the checkpoint was made with 7/)
  })

  test('how often it saves may change', async () => {
    const copy = join(folder, 'saves more often')
    cpSync(run, copy, { recursive: true })
    const words = ['train', '--resume', copy, '--simd', 'baseline', '--save-every', '1', '--keep-checkpoints', '9']
    const ran = await regraft(words)
    expect(ran.exitCode, ran.stderr).toBe(0)
    expect(readdirSync(join(copy, 'checkpoints')).length).toBeGreaterThan(6)
  })

  test('other weights are refused', async () => {
    const model = join(folder, 'other-trunk')
    cpSync(trunk, model, { recursive: true })
    rmSync(join(model, 'regraft.json'))
    const out = join(folder, 'other weights')
    await interrupted({ ...optionsOf(head, out), model }, afterEpoch(1))
    const file = join(model, 'model.safetensors')
    const bytes = readFileSync(file)
    bytes[bytes.length - 1] = (bytes[bytes.length - 1] ?? 0) ^ 0x80
    writeFileSync(file, bytes)
    const ran = await regraft(['train', '--resume', out, '--simd', 'baseline'])
    expect(ran.exitCode, ran.stderr).toBe(2)
    expect(ran.stderr).toMatch(/the weights of .*other-trunk have changed/)
  })

  test('another build of the kernels is refused unless it is allowed', async () => {
    const other = changed('other build', ({ kernels }) => {
      if (kernels) kernels['digest'] = '0123456789abcdef'
    })
    const ran = await regraft(['train', '--resume', other, '--simd', 'baseline'])
    expect(ran.exitCode, ran.stderr).toBe(2)
    expect(ran.stderr).toMatch(/the kernels are another build .*0123456789abcdef.*--allow-build-change/)
    const allowed = await regraft(['train', '--resume', other, '--allow-build-change', '--simd', 'baseline'])
    expect(allowed.exitCode, allowed.stderr).toBe(0)
  })

  test.each([
    ['manifest.json', '{"kernels": {'],
    ['manifest.json', '{}'],
    ['manifest.json', '[]'],
    ['config.yaml', 'mode: [head'],
    ['config.yaml', '{}'],
    ['config.yaml', ''],
    ['config.yaml', 'epochs: many\n'],
  ])('a damaged %s (%j) is named', async (file, text) => {
    const copy = join(folder, `damaged ${file} ${text.length}`)
    cpSync(run, copy, { recursive: true })
    writeFileSync(join(copy, file), text)
    const ran = await regraft(['train', '--resume', copy, '--simd', 'baseline'])
    expect([2, 3], ran.stderr).toContain(ran.exitCode)
    expect(ran.stderr).toContain(file)
    expect(ran.stderr).not.toMatch(/^\s+at /m)
  })

  test('when every checkpoint is damaged the way on is told', async () => {
    const copy = join(folder, 'all damaged')
    cpSync(run, copy, { recursive: true })
    for (const name of readdirSync(join(copy, 'checkpoints')))
      writeFileSync(join(copy, 'checkpoints', name, 'manifest.json'), '')
    const ran = await regraft(['train', '--resume', copy, '--simd', 'baseline'])
    expect(ran.exitCode, ran.stderr).toBe(3)
    expect(ran.stderr).toMatch(/no checkpoint to go on from.*--overwrite/)
  })
})

describe('the run folder', () => {
  test('an interruption before any checkpoint leaves no folder and says so', async () => {
    const out = join(folder, 'too early')
    const ran = await regraft(['train', data, '--model', trunk, '--out', out, '--mode', 'head'], {
      onStderr: (text, send) => {
        if (text.startsWith('features')) send('SIGINT')
      },
    })
    expect(ran.exitCode, ran.stderr).toBe(130)
    expect(ran.stderr).toMatch(/^regraft: Stopped by SIGINT\.\n.*nothing to go on with/m)
    expect(existsSync(out)).toBe(false)
  })

  test('best/ is whole at every moment of a fine-tuning', async () => {
    const out = join(folder, 'whole')
    const looks: boolean[] = []
    const listener = () => {
      // Between two renames the former one lies beside its place.
      const best = ['best', 'best.old'].map((name) => join(out, name)).find((at) => existsSync(at))
      if (best === undefined) return
      const { digests } = JSON.parse(readFileSync(join(best, 'regraft.json'), 'utf8'))
      const files = Object.keys(digests)
      looks.push(
        files.includes('model.safetensors') && files.every((name) => digestOf(join(best, name)) === digests[name]),
      )
    }
    const watch = setInterval(listener, 10)
    await train({ ...optionsOf(fineTune, out), listener }).finally(() => clearInterval(watch))
    expect(looks.length).toBeGreaterThan(10)
    expect(looks).not.toContain(false)
    expect(readdirSync(out).filter((name) => name.startsWith('best'))).toEqual(['best'])
    renameSync(join(out, 'best'), join(out, 'best.old'))
    expect((await loadModel(out)).model.labels).toEqual(['bars', 'disc', 'stairs'])
  })

  test('best/ of an interrupted fine-tuning opens', async () => {
    const out = join(folder, 'interrupted best')
    await interrupted(optionsOf(fineTune, out), inEpoch('finetune', 3))
    const { model } = await loadModel(out)
    expect(model.labels).toEqual(['bars', 'disc', 'stairs'])
  })

  test('paths are kept in full, so that a run can be gone on with from another folder', async () => {
    const out = join(folder, 'from elsewhere')
    const here = (file: string) => relative(process.cwd(), file)
    await interrupted({ ...optionsOf(fineTune, out), data: here(data), model: here(trunk) }, inEpoch('finetune', 2))
    const config = readFileSync(join(out, 'config.yaml'), 'utf8')
    expect(config).toContain(`data: ${data}\n`)
    expect(config).toContain(`model: ${trunk}\n`)
  })

  test('--overwrite replaces a run and never what is not of it', async () => {
    const out = join(folder, 'overwritten')
    const words = ['train', data, '--model', trunk, '--out', out, '--mode', 'features', '--quiet']
    expect((await regraft(words)).exitCode).toBe(0)
    const notes = join(out, 'best', 'notes.txt')
    writeFileSync(notes, 'mine')
    const refused = await regraft([...words, '--overwrite'])
    expect(refused.exitCode).toBe(2)
    expect(refused.stderr).toMatch(/best\/notes\.txt/)
    expect(readFileSync(notes, 'utf8')).toBe('mine')
    rmSync(notes)
    appendFileSync(join(out, 'history.csv'), 'an old row\n')
    mkdirSync(join(out, 'best.new'))
    expect((await regraft([...words, '--overwrite'])).exitCode).toBe(0)
    expect(readFileSync(join(out, 'history.csv'), 'utf8')).not.toContain('an old row')
  })
})
