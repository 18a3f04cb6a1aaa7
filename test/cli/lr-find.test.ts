import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { LrFindOptions, LrFindResult } from '../../src/transfer/lr-find.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { perform } from './stage.ts'

const losses = [2.3, 2.3, 2.2, 1.8, 1.2, 1, 1.1, 9]
const found: LrFindResult = {
  points: losses.map((loss, at) => ({ rate: 10 ** (at - 7), loss })),
  smoothed: losses,
  threshold: 0.1,
  halfway: 3e-4,
  beyond: 'explodes',
  suggestion: 1.5e-4,
  mode: 'head',
  opt: 'adamw',
  batchSize: 32,
  epochs: 30,
}

test('lr-find plots the losses, and says threshold and suggestion', async () => {
  let seen: Partial<LrFindOptions> = {}
  const verbs = {
    lrFind: async (options: LrFindOptions) => {
      seen = options
      return found
    },
  }
  const svg = join(temporaryFolder(), 'rates.svg')
  const words = [
    'lr-find',
    'flowers',
    '--mode',
    'finetune',
    '--steps',
    '50',
    '--from',
    '1e-5',
    '--epochs',
    '5',
    '--svg',
    svg,
  ]
  const { stdout, exitCode } = await perform(words, { verbs })
  expect(exitCode).toBe(0)
  expect(seen).toMatchObject({ data: 'flowers', mode: 'finetune', steps: 50, from: 1e-5, epochs: 5 })
  expect(stdout).toContain('•')
  expect(stdout).toMatch(/└─*S─*T─*\n/)
  expect(stdout).toContain('Beyond 0.1 the cost explodes.\nSuggested: --lr 0.00015\n')
  expect(readFileSync(svg, 'utf8')).toContain('</svg>')
})

test('lr-find gives a document, in which what is no number is null', async () => {
  const verbs = {
    lrFind: async () => ({
      ...found,
      points: [{ rate: 1, loss: Number.NaN }],
      smoothed: [Number.NaN],
      suggestion: undefined,
    }),
  }
  const { stdout } = await perform(['lr-find', 'flowers', '--json'], { verbs })
  expect(JSON.parse(stdout)).toMatchObject({
    suggestion: null,
    threshold: 0.1,
    batch_size: 32,
    epochs: 30,
    points: [{ rate: 1, loss: null, smoothed: null }],
  })
  const { exitCode, stderr } = await perform(['lr-find', 'flowers', '--lr', '1'], { verbs })
  expect(exitCode).toBe(2)
  expect(stderr).toContain('--lr')
})
