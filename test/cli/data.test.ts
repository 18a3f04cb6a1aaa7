import { join } from 'node:path'
import { expect, test } from 'vitest'
import { verbs } from '../../src/cli/verbs.ts'
import { fill, plainPng, temporaryFolder } from '../data/pictures.ts'
import { perform } from './stage.ts'

async function flowers(): Promise<string> {
  const root = temporaryFolder()
  for (let i = 0; i < 24; i++) {
    await fill(root, { [`${i % 2 ? 'rose' : 'tulip'}/${i}.png`]: await plainPng([i * 9, 0, 99], 40, 40) })
  }
  return root
}

test('a check of good data ends with 0, of harmful data with 3; no engine is started', async () => {
  const root = await flowers()
  const good = await perform(['data', 'check', root], { verbs })
  expect(good).toMatchObject({ exitCode: 0, engines: [], stdout: expect.stringMatching(/No problem found\./) })
  await fill(root, { 'rose/\u001b[2Jx.png': 'x' })
  const bad = await perform(['data', 'check', root], { verbs })
  expect(bad.exitCode).toBe(3)
  expect(bad.stdout).toMatch(
    /What would harm a training:\n {2}- One picture cannot be used\.\n {6}rose\/\\x1b\[2Jx\.png: is not an image but text/,
  )
  const document = JSON.parse((await perform(['data', 'check', root, '--json'], { verbs })).stdout)
  expect(document).toMatchObject({
    harmful: true,
    images: { train: 24, unreadable: 1 },
    unreadable: [{ path: 'rose/\u001b[2Jx.png', reason: 'is not an image but text' }],
    problems: [{ severity: 'error', kind: 'unreadable', files: ['rose/\u001b[2Jx.png'] }],
  })
})

test('stats sums up, or gives a row per file', async () => {
  const root = await flowers()
  expect(JSON.parse((await perform(['data', 'stats', root, '--json'], { verbs })).stdout)).toMatchObject({ images: 24 })
  expect((await perform(['data', 'stats', root], { verbs })).stdout).toMatch(/^images {4}24, .*\nformats {3}png 24$/m)
  const rows = (await perform(['data', 'stats', root, '--files', '--json'], { verbs })).stdout.trim().split('\n')
  expect(rows).toHaveLength(24)
  expect(JSON.parse(rows[1] ?? '')).toMatchObject({ label: 'rose', format: 'png', width: 40, height: 40, error: null })
  const table = (await perform(['data', 'stats', root, '--files'], { verbs })).stdout.trim().split('\n')
  expect(table[0]).toBe('path,label,format,width,height,red,green,blue,bytes,sha256,error')
  expect(table[1]).toMatch(/\/rose\/1\.png,rose,png,40,40,9\.00,0\.00,99\.00,\d+,[0-9a-f]{64},$/)
})

test('split writes a manifest that check reads', async () => {
  const root = await flowers()
  const out = join(root, 'split.csv')
  const ran = await perform(['data', 'split', root, '--val', '0.3', '--out', out], { verbs })
  expect(ran).toMatchObject({ exitCode: 0, stdout: '' })
  expect(ran.stderr).toMatch(/split\.csv: \d+ pictures to train on, \d+ to validate/)
  expect((await perform(['data', 'check', out], { verbs })).exitCode).toBe(0)
})

test.each([
  [['data', 'chek', 'x'], /'chek' is not known; check, stats and split are\. Did you mean 'check'\?/],
  [['data', 'check', 'x', '--folds', '3'], /--folds has a meaning only with data split/],
  [['data', 'stats', 'x', '--val', '0.2'], /--val has a meaning only with data check and split/],
  [['data', 'split', 'x'], /--out is missing/],
  [['data', 'split', 'x', '--out', 'a.csv', '--folds', '3', '--val', '0.1'], /--val has no place/],
  [['data', 'check'], /missing required argument 'data'/],
])('%j is refused', async (words, message) => {
  const ran = await perform(words, { verbs })
  expect(ran).toMatchObject({ exitCode: 2, stdout: '' })
  expect(ran.stderr).toMatch(message)
})
