import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { WorkEvent } from '../../src/train/events.ts'
import type { TrainOptions } from '../../src/transfer/options.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { perform, type Stage, trained } from './stage.ts'

const folder = temporaryFolder()
const epoch: WorkEvent = {
  type: 'epoch',
  epoch: 3,
  epochs: 10,
  best: true,
  learningRate: 0.000244,
  trainLoss: 0.9134,
  trainAccuracy: 0.72,
  validationLoss: 0.8,
  validationAccuracy: 0.781,
  validationTopAccuracy: 0.95,
  validationBalancedAccuracy: 0.5,
  validationMacroF1: 0.5,
  seconds: 12.1,
}

const work: readonly WorkEvent[] = [
  { type: 'phase', phase: 'features', total: 1000, unit: 'images' },
  ...Array.from(
    { length: 10 },
    (_, at): WorkEvent => ({ type: 'progress', phase: 'features', done: at * 100, total: 1000 }),
  ),
  { type: 'bad', path: 'a\u001b[2J\n.jpg', reason: 'cut off' },
  { type: 'bad', path: 'a\u001b[2J\n.jpg', reason: 'cut off' },
  { type: 'phaseEnd', phase: 'features' },
  { type: 'note', message: 'something to know' },
  { type: 'phase', phase: 'finetune', total: 10, unit: 'epochs' },
  epoch,
  { type: 'phaseEnd', phase: 'finetune' },
  { type: 'saved', path: 'x' },
]

function shown(words: readonly string[], stage: Partial<Stage>, pauseMs = 0) {
  const train = async ({ listener }: TrainOptions) => {
    for (const event of work) {
      listener?.(event)
      if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs))
    }
    return trained
  }
  return perform(['train', 'x', ...words], { ...stage, verbs: { train } })
}

test('without a terminal there are single lines, no escapes, and one per epoch', async () => {
  const { stdout, stderr } = await shown([], { tickMs: 500 })
  expect(stdout).toBe('')
  expect(stderr).not.toMatch(/[\u001b\r]/)
  expect(stderr).toContain('epoch 3/10  loss 0.913  train 0.720  val 0.781 *  rate 2.4e-4  12.1 s\n')
  expect(stderr).toContain('something to know\n')
  expect(stderr).toMatch(/^features {2}900 images {2}.* images\/s$/m)
})

test('the time left of a resumed training counts only what was done since', async () => {
  const train = async ({ listener }: TrainOptions) => {
    listener?.({ type: 'phase', phase: 'finetune', total: 100, unit: 'epochs' })
    for (const done of [90.25, 90.5, 90.75]) {
      listener?.({ type: 'progress', phase: 'finetune', done, total: 100, detail: 'loss 0.5' })
    }
    return trained
  }
  const { stderr } = await perform(['train', 'x'], { tickMs: 10_000, verbs: { train } })
  const [, shownDone, left] =
    /finetune {2}(90\.8)\/100 epochs {2}(\d+) min \d+ s left {2}loss 0\.5\n/.exec(stderr) ?? []
  expect(shownDone).toBe('90.8')
  // Half an epoch took a few tens of seconds, so nine and a bit take more than ten minutes; 90 epochs in no time would not.
  expect(Number(left)).toBeGreaterThan(10)
})

test('lines of progress come at most every five seconds', async () => {
  const count = async (tickMs: number) =>
    (await shown([], { tickMs })).stderr.match(/^features {2}\d+\/1000 images/gm)?.length ?? 0
  expect(await count(10)).toBe(0)
  expect(await count(6000)).toBe(10)
  const some = await count(1000)
  expect(some).toBeGreaterThan(0)
  expect(some).toBeLessThan(10)
})

test('a bad picture is named once, inert', async () => {
  const { stderr } = await shown([], {})
  expect(stderr.match(/left out: a\\x1b\[2J\\n\.jpg: cut off\n/g)).toHaveLength(1)
})

test('a terminal gets a bar that is cleared, and its state back', async () => {
  const { stderr, stdout } = await shown([], { terminal: true }, 2)
  expect(stdout).toBe('')
  expect(stderr).toContain('░')
  expect(stderr).toContain('/1000 images')
  expect(stderr.lastIndexOf('\u001b[?25h')).toBeGreaterThan(stderr.lastIndexOf('\u001b[?25l'))
  expect(stderr.lastIndexOf('\u001b[?7h')).toBeGreaterThan(stderr.lastIndexOf('\u001b[?7l'))
  // What is said stands on a line of its own, after the bar was cleared.
  expect(stderr).toContain('\u001b[2Kleft out: ')
})

test('a dumb terminal gets lines', async () => {
  const { stderr } = await shown([], { terminal: true, environment: { TERM: 'dumb' } })
  expect(stderr).not.toContain('\u001b')
})

test('with --quiet a terminal stays empty', async () => {
  expect((await shown(['-q'], { terminal: true })).stderr).toBe('')
})

test('--events writes every event as a line of JSON', async () => {
  const file = join(folder, 'events.jsonl')
  await shown(['--quiet', '--events', file], {})
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n')
  expect(lines.map((line) => JSON.parse(line))).toEqual(work)
})

test('a log of events that cannot be written stops the work', async () => {
  const train = async ({ listener, signal }: TrainOptions) => {
    listener?.(epoch)
    await new Promise((resolve) => signal?.addEventListener('abort', resolve))
    throw signal?.reason
  }
  const ran = await perform(['train', 'x', '--events', join(folder, 'none', 'e.jsonl')], { verbs: { train } })
  expect(ran).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('Could not write') })
})
