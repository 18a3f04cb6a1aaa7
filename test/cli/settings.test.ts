import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { TrainOptions } from '../../src/transfer/options.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { type Performance, perform, trained } from './stage.ts'

const folder = temporaryFolder()
let files = 0

function configuration(text: string, ending = 'yaml'): string {
  const file = join(folder, `${++files}.${ending}`)
  writeFileSync(file, text)
  return file
}

/** What `train` receives. */
async function received(
  words: readonly string[],
  environment: Record<string, string> = {},
): Promise<Partial<TrainOptions> & { ran: Performance }> {
  let options: TrainOptions | undefined
  const train = async (given: TrainOptions) => {
    options = given
    return trained
  }
  const ran = await perform(['train', ...words], { verbs: { train }, environment })
  return { ...options, ran }
}

test('a flag goes before the environment, that before the configuration file', async () => {
  const file = configuration('epochs: 1\nbatch-size: 2\nlr: 0.3\nopt: sgd\n')
  const options = await received(['x', '--config', file, '--epochs', '11'], {
    REGRAFT_EPOCHS: '21',
    REGRAFT_BATCH_SIZE: '22',
  })
  expect(options).toMatchObject({ epochs: 11, batchSize: 22, lr: 0.3, opt: 'sgd' })
})

test('what nobody said is left to the verb', async () => {
  const { ran, engine, signal, listener, ...options } = await received(['x', '--out', 'o'])
  expect(options).toEqual({ data: 'x', out: 'o' })
  expect(ran.engines).toEqual([{ allowV8Flags: true }])
})

test('options of the machine reach the engine and not the verb', async () => {
  const { ran, ...options } = await received([
    'x',
    '--threads',
    '3',
    '--simd',
    'baseline',
    '--max-memory',
    '512MiB',
    '-q',
  ])
  expect(ran.engines).toEqual([{ allowV8Flags: true, threads: 3, simd: 'baseline', maxMemoryBytes: 512 * 2 ** 20 }])
  for (const name of ['threads', 'simd', 'maxMemory', 'quiet', 'config', 'events', 'json'])
    expect(options).not.toHaveProperty(name)
})

test('switches can be turned off by a flag', async () => {
  const file = configuration('{"strict": true, "pretrained": false, "overwrite": true}', 'json')
  expect(await received(['x', '--config', file])).toMatchObject({ strict: true, pretrained: false, overwrite: true })
  const off = await received(['x', '--config', file, '--no-strict', '--pretrained'], { REGRAFT_OVERWRITE: '0' })
  expect(off).toMatchObject({ strict: false, pretrained: true, overwrite: false })
  expect(await received(['x', '--no-pretrained'])).toMatchObject({ pretrained: false })
})

test('a configuration file may name the data, spell names three ways and leave values empty', async () => {
  const file = configuration(
    'data: flowers\nbatchSize: 8\nwarmup_epochs: 2\nweight-decay: 0.1\nval: 0.25\nfreeze: null\n',
  )
  const { ran, ...options } = await received(['--config', file])
  expect(options).toMatchObject({ data: 'flowers', batchSize: 8, warmupEpochs: 2, weightDecay: 0.1, val: '0.25' })
  expect(options).not.toHaveProperty('freeze')
})

test.each([
  [
    'a number in quotes',
    'epochs: "3"\nlr: "1e-3"',
    ["epochs: '3' is a text; write the number", "lr: '1e-3' is a text"],
  ],
  ['an unknown option', 'epoch: 3\nbatch-size: 2', ['epoch: this option is not known here', "Did you mean 'epochs'?"]],
  ['several unknown options at once', 'epoch: 3\nlearning: 2', ['epoch: ', 'learning: ']],
  ['a wrong value, by its file', 'epochs: ten', ['.yaml: epochs: ', "'ten' is not a whole number"]],
  ['the same option twice', 'batch-size: 3\nbatchSize: 4', ['given twice']],
  ['a key twice', 'epochs: 3\nepochs: 4', ['cannot be read', 'unique']],
  ['a list', 'epochs: [1, 2]', ['epochs: expected one value']],
  ['no options at all', '- 3', ['expected options by name']],
  ['an alias', 'out: &a x\nopt: *a', ['cannot be read']],
  ['broken YAML', 'epochs: "3', ['cannot be read']],
])('%s in a configuration file is refused', async (_, text, expected) => {
  const { ran } = await received(['x', '--config', configuration(text)])
  expect(ran.exitCode).toBe(2)
  for (const part of expected) expect(ran.stderr).toContain(part)
})

test('a duplicate key in JSON is refused', async () => {
  const { ran } = await received(['x', '--config', configuration('{"epochs": 1, "epochs": 2}', 'json')])
  expect(ran).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('duplicate key') })
})

test('a wrong value in the environment is named by its variable', async () => {
  const { ran } = await received(['x'], { REGRAFT_EPOCHS: 'ten' })
  expect(ran).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("REGRAFT_EPOCHS: 'ten'") })
})

test('a variable that no command knows is pointed out with the nearest name', async () => {
  const { ran } = await received(['x'], { REGRAFT_EPOCSH: '3', REGRAFT_TOPK: '2' })
  expect(ran.exitCode).toBe(0)
  expect(ran.stderr).toContain('REGRAFT_EPOCSH is not known and has no effect. Did you mean REGRAFT_EPOCHS?')
  expect(ran.stderr).not.toContain('TOPK')
})
