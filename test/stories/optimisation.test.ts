// Optimisers, schedules and penalties through the real command.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { openSafetensors } from '../../src/formats/safetensors.ts'
import { optimiserNames } from '../../src/optim/optimisers.ts'
import { rateAt, type Schedule } from '../../src/optim/schedule.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { regraft } from './command-line.ts'
import { drawFolder } from './drawn-pictures.ts'
import { savedModel } from './random-model.ts'
import { resultOf } from './run-result.ts'

const folder = temporaryFolder()
const data = join(folder, 'data')
const trunk = join(folder, 'trunk')
const EPOCHS = 6

beforeAll(async () => {
  await drawFolder(data, 8)
  await savedModel(trunk, 'mobilenetv1_025')
})

async function trained(name: string, ...words: readonly string[]): Promise<string> {
  // With that of the others it would need a thousand times as many steps.
  const rate = words.includes('adadelta') ? [] : ['--lr', '0.01']
  const out = join(folder, name)
  const common = ['--mode', 'head', '--epochs', String(EPOCHS), '--patience', '0', ...rate, '--quiet']
  const ran = await regraft(['train', data, '--model', trunk, '--out', out, '--simd', 'baseline', ...common, ...words])
  expect(ran.exitCode, ran.stderr).toBe(0)
  return out
}

function columns(
  run: string,
): readonly { readonly lr: number; readonly trainLoss: number; readonly valLoss: number }[] {
  const rows = readFileSync(join(run, 'history.csv'), 'utf8').trimEnd().split('\n').slice(1)
  return rows.map((row) => {
    const [, lr, trainLoss, , valLoss] = row.split(',').map(Number)
    return { lr: lr ?? Number.NaN, trainLoss: trainLoss ?? Number.NaN, valLoss: valLoss ?? Number.NaN }
  })
}

async function classifierOf(run: string): Promise<Float32Array> {
  const weights = await openSafetensors(join(run, 'best', 'model.safetensors'))
  return (await weights.read('classifier.weight')).data
}

test.each(optimiserNames)('--opt %s learns', async (opt) => {
  const history = columns(await trained(opt, '--opt', opt, '--sched', 'constant'))
  expect(history).toHaveLength(EPOCHS)
  expect(history.at(-1)?.trainLoss).toBeLessThan(0.98 * (history[0]?.trainLoss ?? 0))
})

describe('--sched', () => {
  const bent: readonly (readonly [string, readonly string[], Schedule])[] = [
    ['step', ['--decay-epochs', '2', '--decay-rate', '0.3'], { kind: 'step', every: 2, factor: 0.3 }],
    ['multistep', ['--decay-milestones', '1,4'], { kind: 'multistep', milestones: [1, 4] }],
    ['exponential', ['--decay-rate', '0.5'], { kind: 'exponential', factor: 0.5 }],
    ['inverse', ['--decay-rate', '2'], { kind: 'inverse', strength: 2 }],
    ['restarts', ['--decay-epochs', '2'], { kind: 'restarts', first: 2 }],
    ['polynomial', ['--decay-rate', '2'], { kind: 'polynomial', power: 2 }],
    ...(['constant', 'step', 'plateau', 'cosine', 'onecycle'] as const).map((kind) => [kind, [], { kind }] as const),
  ]
  test.each(bent)('%s %j', async (name, words, schedule) => {
    const run = await trained(`${name} ${words.join(' ')}`, '--opt', 'sgd', '--sched', name, ...words)
    const history = columns(run)
    const config = readFileSync(join(run, 'config.yaml'), 'utf8')
    expect(config).toContain(`sched: ${name}`)
    // The rate of an epoch's last step: 12 pictures of 16 train, in a batch of 32.
    const stepsPerEpoch = 1
    for (const [epoch, { lr }] of history.entries()) {
      const validationLosses = history.slice(0, epoch).map(({ valLoss }) => valLoss)
      const moment = { step: epoch, stepsPerEpoch, epochs: EPOCHS, warmupEpochs: 0, validationLosses }
      const rate = 0.01 * rateAt(schedule, moment).multiplier
      expect(Math.abs(lr - rate)).toBeLessThanOrEqual(1e-8 * rate)
    }
  })

  test('a number that the schedule has no use for is told, and one that is not sensible', async () => {
    for (const [words, message] of [
      [['--decay-rate', '0.1'], /--decay-rate has a meaning only with --sched step, .*; this is --sched cosine/],
      [
        ['--sched', 'step', '--decay-milestones', '1,2'],
        /--decay-milestones has a meaning only with --sched multistep/,
      ],
      [['--sched', 'multistep', '--decay-milestones', '4,2'], /--decay-milestones 4,2: epochs that rise/],
      [['--sched', 'exponential', '--decay-rate', '1.5'], /--decay-rate 1.5 lowers nothing/],
      [['--sched', 'plateau', '--decay-epochs', '1.5'], /a whole number of epochs/],
    ] as const) {
      const ran = await regraft(['train', data, '--model', trunk, '--out', join(folder, 'refused'), ...words])
      expect(ran.exitCode).toBe(2)
      expect(ran.stderr).toMatch(message)
    }
  })
})

test('penalties hold the weights closer to zero, the absolute one most of them nearly at it', async () => {
  const words = ['--opt', 'adam', '--weight-decay', '0', '--sched', 'constant', '--epochs', '40']
  const sizes = new Map<string, { norm: number; spread: number }>()
  for (const [name, more] of Object.entries({ none: [], l2: ['--l2', '2'], l1: ['--l1', '1'] })) {
    const weights = await classifierOf(await trained(`penalty ${name}`, ...words, ...more))
    const norm = Math.hypot(...weights)
    // 1 when all have the same size, near 0 when few are large.
    const spread = weights.reduce((sum, value) => sum + Math.abs(value), 0) / (norm * Math.sqrt(weights.length))
    sizes.set(name, { norm, spread })
  }
  const [none, l2, l1] = ['none', 'l2', 'l1'].map((name) => sizes.get(name) ?? { norm: 0, spread: 0 })
  expect(l2?.norm).toBeLessThan(0.9 * (none?.norm ?? 0))
  expect(l1?.norm).toBeLessThan(0.9 * (none?.norm ?? 0))
  expect(l1?.spread).toBeLessThan(0.8 * (none?.spread ?? 0))
})

test('what an optimiser and a schedule keep goes on after a stop', async () => {
  for (const words of [
    ['--opt', 'adagrad', '--sched', 'plateau', '--decay-epochs', '0', '--l2', '0.1'],
    ['--opt', 'rmsprop', '--momentum', '0.5', '--sched', 'onecycle', '--l1', '0.01'],
  ]) {
    const whole = await trained(`whole ${words[1]}`, ...words)
    const out = join(folder, `stopped ${words[1]}`)
    const common = [
      '--mode',
      'head',
      '--epochs',
      String(EPOCHS),
      '--patience',
      '0',
      '--lr',
      '0.01',
      '--simd',
      'baseline',
    ]
    const start = ['train', data, '--model', trunk, '--out', out, ...common, ...words, '--time', '0.001s']
    let ran = await regraft(start)
    let stops = 0
    while (ran.exitCode === 75 && ++stops < 20)
      ran = await regraft(['train', '--resume', out, '--time', '0.001s', '--simd', 'baseline'])
    expect(ran.exitCode, ran.stderr).toBe(0)
    expect(stops).toBeGreaterThan(2)
    expect(resultOf(out)).toEqual(resultOf(whole))
  }
})
