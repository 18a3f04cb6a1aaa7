// What training makes small, through the real command: each loss learns, is kept with the model, and is read back by whoever uses it.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { regraft } from './command-line.ts'
import { drawFolder } from './drawn-pictures.ts'
import { savedModel } from './random-model.ts'

const folder = temporaryFolder()
const data = join(folder, 'data')
const validation = join(folder, 'validation')
const trunk = join(folder, 'trunk')

beforeAll(async () => {
  await drawFolder(data, 10)
  for (const shape of ['bars', 'disc', 'stairs']) {
    mkdirSync(join(validation, shape), { recursive: true })
    for (const index of [7, 8, 9])
      renameSync(join(data, shape, `${index}.png`), join(validation, shape, `${index}.png`))
  }
  await savedModel(trunk, 'mobilenetv1_025')
})

function train(name: string, ...words: readonly string[]) {
  const common = ['--model', trunk, '--val', validation, '--simd', 'baseline', '--out', join(folder, name)]
  return regraft(['train', data, ...common, ...words])
}

async function trained(name: string, ...words: readonly string[]) {
  const { exitCode, stderr } = await train(name, ...words)
  expect(exitCode, stderr).toBe(0)
  const run = join(folder, name)
  const json = (...path: string[]) => JSON.parse(readFileSync(join(run, ...path), 'utf8'))
  const rows = readFileSync(join(run, 'history.csv'), 'utf8').trimEnd().split('\n').slice(1)
  const losses = rows.map((row) => Number(row.split(',')[2]))
  return { run, stderr, losses, metrics: json('metrics.json'), saved: json('best', 'regraft.json') }
}

async function scoresOf(run: string): Promise<readonly (readonly number[])[]> {
  const words = ['predict', run, validation, '--json', '--topk', '3', '--quiet', '--simd', 'baseline']
  const { exitCode, stdout, stderr } = await regraft(words)
  expect(exitCode, stderr).toBe(0)
  const lines = stdout.trimEnd().split('\n')
  return lines.map((line) => JSON.parse(line).top.map(({ score }: { score: number }) => score))
}

const sum = (values: readonly number[]) => values.reduce((a, b) => a + b)

// With outputs of 0 for three classes.
const chances = {
  ce: 1.1,
  bce: 2.08,
  mse: 0.333,
  l1: 0.333,
  'smooth-l1': 0.167,
  huber: 0.167,
  quadratic: 0.375,
  hinge: 0.667,
  focal: 0.488,
  'sigmoid-focal': 0.303,
}
const outputs = {
  ce: 'softmax',
  bce: 'sigmoid',
  mse: 'identity',
  l1: 'identity',
  'smooth-l1': 'identity',
  huber: 'identity',
  quadratic: 'sigmoid',
  hinge: 'identity',
  focal: 'softmax',
  'sigmoid-focal': 'sigmoid',
}
type Loss = keyof typeof chances
const losses = Object.keys(chances) as Loss[]

describe.each(losses)('--loss %s', (loss) => {
  test.each(['head', 'finetune'])('learns in --mode %s, and the model knows it', async (mode) => {
    const fineTune = ['--unfreeze', 'last:1', '--augment', 'none', '--warmup-head', '0', '--opt', 'sgd', '--lr', '1e-4']
    const way = mode === 'finetune' ? fineTune : ['--opt', 'adam', '--lr', '0.01']
    const words = ['--mode', mode, '--loss', loss, '--epochs', '6', '--patience', '0', ...way]
    const { run, stderr, losses, metrics, saved } = await trained(`${loss} ${mode}`, ...words)
    expect(losses.at(-1)).toBeLessThan(losses[0] ?? Number.NaN)
    expect(saved).toMatchObject({ output: outputs[loss], loss: { kind: loss } })
    expect(stderr).toMatch(
      new RegExp(`^check +first loss .*(guessing among|0 for each of) 3 classes gives ${chances[loss]}$`, 'm'),
    )

    // Whoever opens it measures with the same loss.
    const { stdout } = await regraft(['eval', run, validation, '--json', '--quiet', '--simd', 'baseline'])
    const evaluated = JSON.parse(stdout)
    expect(evaluated.loss).toBeCloseTo(metrics.best.val_loss, 4)
    expect(evaluated.accuracy).toBeCloseTo(metrics.best.val_accuracy, 9)
    expect(evaluated.calibration === null).toBe(outputs[loss] === 'identity')

    const scores = await scoresOf(run)
    const sums = scores.map(sum)
    if (outputs[loss] === 'softmax') for (const total of sums) expect(total).toBeCloseTo(1, 9)
    else expect(sums.some((total) => Math.abs(total - 1) > 1e-3)).toBe(true)
    if (outputs[loss] === 'sigmoid') expect(scores.flat().every((score) => score > 0 && score < 1)).toBe(true)
  })
})

test('bce and mse are solved in --mode features, as ce is', async () => {
  for (const loss of ['ce', 'bce', 'mse']) {
    const words = ['--mode', 'features', '--loss', loss]
    const { losses, stderr, metrics } = await trained(`${loss} solved`, ...words, '--strength', '1000')
    expect(stderr).not.toContain('by gradient')
    expect(losses).toHaveLength(1)
    expect(losses[0]).toBeLessThan(0.05)
    const held = await trained(`${loss} held`, ...words, '--strength', '0.001')
    expect(held.losses[0]).toBeGreaterThan(losses[0] ?? Number.NaN)
    expect(metrics.final.train_accuracy).toBe(1)
  }
})

test('a loss without a solution to compute is trained by gradient in --mode features, and that is said', async () => {
  const { losses, stderr } = await trained(
    'hinge by gradient',
    '--mode',
    'features',
    '--loss',
    'hinge',
    '--epochs',
    '3',
  )
  expect(stderr).toMatch(/With --loss hinge there is no head to solve for, so it is trained by gradient for 3 epochs/)
  expect(losses).toHaveLength(3)
})

test('classes that count more are said more often, with each loss', async () => {
  for (const loss of losses) {
    const said: number[] = []
    for (const heavy of ['bars', 'stairs']) {
      const weights = join(folder, `${heavy}.json`)
      writeFileSync(weights, JSON.stringify({ bars: 0.05, disc: 0.05, stairs: 0.05, [heavy]: 20 }))
      const words = ['--loss', loss, '--epochs', '4', '--patience', '0', '--lr', '0.01', '--no-checks']
      const { run } = await trained(`${loss} for ${heavy}`, ...words, '--class-weights', weights)
      const { stdout } = await regraft(['eval', run, data, '--json', '--quiet', '--simd', 'baseline'])
      said.push(JSON.parse(stdout).classes[0].predicted)
    }
    expect(said[0]).toBeGreaterThan(said[1] ?? Number.NaN)
  }
})

const refused: readonly (readonly [string, readonly string[], RegExp])[] = [
  ['an unknown loss', ['--loss', 'focall'], /--loss: 'focall' is not known.*Did you mean 'focal'/],
  [
    'smoothing of margins',
    ['--loss', 'hinge', '--smoothing', '0.1'],
    /no meaning with --loss hinge.*--loss ce, bce, focal, sigmoid-focal/,
  ],
  [
    'a focal number without its loss',
    ['--focal-gamma', '3'],
    /--focal-gamma has a meaning only with --loss focal or sigmoid-focal; this is --loss ce/,
  ],
  [
    'the strength of a head that is not solved',
    ['--mode', 'features', '--loss', 'hinge', '--strength', '1'],
    /--strength has a meaning only with/,
  ],
  [
    'epochs of a head that is solved',
    ['--mode', 'features', '--loss', 'mse', '--epochs', '3'],
    /--epochs has a meaning only/,
  ],
]

test.each(refused)('%s is refused with the way out', async (_, words, message) => {
  const { exitCode, stderr } = await train('never', ...words)
  expect(exitCode).toBe(2)
  expect(stderr).toMatch(message)
})

test('outputs that are no probabilities have no threshold', async () => {
  const { run } = await trained('for a threshold', '--loss', 'mse', '--epochs', '1', '--no-checks')
  const predicted = await regraft(['predict', run, validation, '--threshold', '0.5'])
  expect(predicted).toMatchObject({ exitCode: 2, stdout: '' })
  expect(predicted.stderr).toMatch(/is a probability.*trained with --loss mse/)
  const evaluated = await regraft(['eval', run, validation, '--precision', '0.9'])
  expect(evaluated.exitCode).toBe(2)
  expect(evaluated.stderr).toMatch(/--precision looks for a probability.*trained with --loss mse/)
})
