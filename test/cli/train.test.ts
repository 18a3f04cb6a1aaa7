import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { RegraftError, throwIfAborted } from '../../src/errors.ts'
import type { ShowAugmentOptions, TrainOptions } from '../../src/transfer/options.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { perform, trained } from './stage.ts'

const folder = temporaryFolder()
const verbs = { train: async () => trained }

test('the end of a training is told on stderr, with the command to use it', async () => {
  const { exitCode, stdout, stderr } = await perform(['train', 'flowers'], { verbs })
  expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: '' })
  expect(stderr).toContain('runs/flowers-1: best validation accuracy 91.3 %, in epoch 3')
  expect(stderr).toContain('80 images to train on, 20 to validate, 1 left out; 1 min 1 s')
  expect(stderr).toContain('regraft predict runs/flowers-1 PICTURES...')
})

test('--json prints one document with the names of metrics.json', async () => {
  const { stdout } = await perform(['train', 'flowers', '--json', '-q'], { verbs })
  expect(JSON.parse(stdout)).toEqual({
    out: 'runs/flowers-1',
    best: {
      epoch: 3,
      val_accuracy: 0.9125,
      val_loss: 0.31,
      val_top_k: 1,
      val_balanced_accuracy: 0.9,
      val_macro_f1: 0.9,
    },
    top_k: 2,
    final: { val_accuracy: 0.9, val_loss: 0.33, train_accuracy: 0.97 },
    classes: ['daisy', 'rose'],
    images: { train: 80, val: 20, bad: 1 },
    seconds: { total: 61, decode: 20, compute: 41 },
  })
})

test('--quiet says nothing', async () => {
  expect(await perform(['train', 'flowers', '--quiet'], { verbs })).toMatchObject({
    exitCode: 0,
    stdout: '',
    stderr: '',
  })
})

test('--show-augment draws a sheet and stops there', async () => {
  const seen: unknown[] = []
  const sheet = { file: 'a.jpg', width: 9, height: 9, columns: 8, pictures: [{ path: 'x/1.png', label: 0 }] }
  const stage = {
    verbs: {
      showAugment: async ({ data, augment, file }: ShowAugmentOptions) => {
        seen.push({ data, augment, file })
        return sheet
      },
    },
  }
  const ran = await perform(['train', 'flowers', '--augment', 'medium', '--show-augment', 'a.jpg', '--json'], stage)
  expect(ran).toMatchObject({ exitCode: 0, stderr: expect.stringContaining('a.jpg: 1 training pictures') })
  expect(JSON.parse(ran.stdout)).toEqual(sheet)
  expect(seen).toEqual([{ data: 'flowers', augment: 'medium', file: 'a.jpg' }])
  for (const more of [['--dry-run'], ['--resume', 'runs/1']])
    expect(await perform(['train', 'flowers', '--show-augment', 'a.jpg', ...more], stage)).toMatchObject({
      exitCode: 2,
    })
})

test('a configuration file may list augmentations', async () => {
  const file = join(folder, 'augment.yaml')
  let given: unknown
  const train = async ({ augment }: TrainOptions) => {
    given = augment
    return trained
  }
  writeFileSync(file, 'augment:\n  - rotate: 20\n  - grayscale\nepochs: 3\n')
  expect(await perform(['train', 'x', '--config', file], { verbs: { train } })).toMatchObject({ exitCode: 0 })
  expect(given).toEqual([{ rotate: { p: 1, degrees: [-20, 20], fill: 'mean' } }, { grayscale: { p: 0.1 } }])
  writeFileSync(file, 'augment: strong\n')
  await perform(['train', 'x', '--config', file], { verbs: { train } })
  expect(given).toBe('strong')
  writeFileSync(file, 'augment: [rotat]\n')
  const refused = await perform(['train', 'x', '--config', file], { verbs: { train } })
  expect(refused).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("Did you mean 'rotate'?") })
  writeFileSync(file, 'epochs: [3]\n')
  const several = await perform(['train', 'x', '--config', file], { verbs: { train } })
  expect(several).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('expected one value') })
})

test('below --min-accuracy the exit code is 5', async () => {
  const ran = await perform(['train', 'x', '--min-accuracy', '0.95'], {
    verbs: { train: async () => ({ ...trained, belowMinimum: true }) },
  })
  expect(ran).toMatchObject({ exitCode: 5, stderr: expect.stringContaining('--min-accuracy') })
})

/** The run folder that is chosen, from a folder of its own. */
async function chosen(...words: string[]): Promise<string | undefined> {
  let out: string | undefined
  const train = async (options: TrainOptions) => {
    out = options.out
    return trained
  }
  await perform(['train', ...words], { verbs: { train } })
  return out
}

test('the run folder is named after the data and the first free number', async () => {
  const before = process.cwd()
  process.chdir(folder)
  try {
    expect(await chosen('pictures/flowers/')).toBe(join('runs', 'flowers-1'))
    mkdirSync('runs/flowers-1', { recursive: true })
    writeFileSync('runs/flowers-2', '')
    expect(await chosen('flowers')).toBe(join('runs', 'flowers-3'))
    expect(await chosen('.')).toMatch(/regraft-test-.*-1$/)
  } finally {
    process.chdir(before)
  }
})

test('a resumed run goes on in its folder', async () => {
  expect(await chosen('--resume', 'runs/a')).toBe('runs/a')
})

test('a resumed run takes no options that it would not follow', async () => {
  const ran = await perform(['train', 'flowers', '--resume', 'runs/a', '--epochs', '3', '--min-accuracy', '0.5'], {
    verbs,
  })
  expect(ran).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('cannot be combined with --epochs, DATA.') })
  expect(await perform(['train', '--resume', 'runs/a', '--min-accuracy', '0.5'], { verbs })).toMatchObject({
    exitCode: 0,
  })
  expect(await perform(['train', 'x', '--allow-build-change'], { verbs })).toMatchObject({ exitCode: 2 })
})

/** A training that works until it is told to stop. */
function untilStopped(onAbort: () => void): (options: TrainOptions) => Promise<typeof trained> {
  return async ({ signal }) => {
    if (!signal?.aborted) await new Promise((resolve) => signal?.addEventListener('abort', resolve))
    onAbort()
    throwIfAborted(signal)
    return trained
  }
}

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('%s lets the run be saved, says how to go on and exits with %d', async (signal, code) => {
  const run = join(folder, `it's ${signal}`)
  const train = untilStopped(() => {
    mkdirSync(join(run, 'checkpoints'), { recursive: true })
    writeFileSync(join(run, 'checkpoints', '1'), '')
  })
  const ran = await perform(['train', 'x', '--out', run], {
    verbs: { train },
    onStart: (send) => setTimeout(send, 5, signal),
  })
  expect(ran).toMatchObject({ exitCode: code, exits: [], enginesClosed: 1 })
  expect(ran.stderr).toContain(
    `regraft: Stopped by ${signal}.\nGo on with: regraft train --resume '${run.replace("'", "'\\''")}'\n`,
  )
})

test('without a checkpoint there is nothing to go on with', async () => {
  const train = untilStopped(() => undefined)
  const ran = await perform(['train', 'x', '--out', join(folder, 'none')], {
    verbs: { train },
    onStart: (send) => setTimeout(send, 5, 'SIGINT'),
  })
  expect(ran.stderr).toMatch(/regraft: Stopped by SIGINT\.\n.*nothing to go on with: begin anew\.\n$/)
})

test('the second signal ends at once', async () => {
  const train = untilStopped(() => undefined)
  const onStart = (send: (signal: 'SIGINT') => void) => {
    setTimeout(() => {
      send('SIGINT')
      send('SIGINT')
    }, 5)
  }
  expect(await perform(['train', 'x'], { verbs: { train }, onStart })).toMatchObject({ exits: [130] })
})

test('a signal also ends the waiting for stdin', async () => {
  const ran = await perform(['predict', 'm', '-'], { onStart: (send) => send('SIGTERM'), stdin: 'a.jpg' })
  expect(ran).toMatchObject({ exitCode: 143, stdout: '' })
})

test('an error of the data exits with 3 and its lines as they are', async () => {
  const train = () => Promise.reject(new RegraftError('data', 'flowers: there is only one class.\nAdd another folder.'))
  const ran = await perform(['train', 'flowers'], { verbs: { train } })
  expect(ran).toMatchObject({
    exitCode: 3,
    stderr: 'regraft: flowers: there is only one class.\nAdd another folder.\n',
  })
})
