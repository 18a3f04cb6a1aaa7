import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { evaluationOf } from '../../src/train/evaluation.ts'
import type { EmbedOptions, EmbedResult, EvaluateResult, Inputs } from '../../src/transfer/options.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { perform } from './stage.ts'

const folder = temporaryFolder()
const embedded: EmbedResult = { out: 'vectors', rows: 4, features: 1280, failed: 1, imagesPerSecond: 41.234 }

test('embed passes model, inputs and folder on, and sums up on stderr', async () => {
  let seen: unknown
  const embed = async (model: string, inputs: Inputs, { out, imgSize }: EmbedOptions) => {
    const paths: string[] = []
    for await (const path of inputs) paths.push(path)
    seen = { model, inputs: paths, out, imgSize }
    return embedded
  }
  const ran = await perform(['embed', '-', '--out', 'vectors', '--img-size', '160'], {
    verbs: { embed },
    stdin: 'a\nb',
  })
  expect(seen).toEqual({ model: 'default', inputs: ['a', 'b'], out: 'vectors', imgSize: 160 })
  expect(ran).toMatchObject({ exitCode: 0, stdout: '' })
  expect(ran.stderr).toBe(
    'vectors: 4 rows of 1280 features, 1 of them failed (NaN; index.csv says why); 41.2 images/s\n',
  )
})

test('embed gives 7 with --strict, 3 when every input failed, and a document with --json', async () => {
  const verbs = { embed: async () => embedded }
  expect(await perform(['embed', 'x', '--strict'], { verbs })).toMatchObject({ exitCode: 7 })
  const all = { embed: async () => ({ ...embedded, failed: 4 }) }
  expect(await perform(['embed', 'x'], { verbs: all })).toMatchObject({ exitCode: 3 })
  const { stdout } = await perform(['embed', 'x', '--json'], { verbs })
  expect(JSON.parse(stdout)).toEqual({ out: 'vectors', rows: 4, features: 1280, failed: 1, images_per_second: 41.234 })
})

// Three right, one taken for a rose; all with equal confidence.
const evaluated: EvaluateResult = {
  ...(await evaluationOf(
    {
      logits: Float32Array.of(2, 0, 2, 0, 2, 0, 0, 2),
      labels: Int32Array.of(0, 0, 0, 0),
      paths: ['a.png', 'b.png', 'c.png', 'd.png'],
    },
    ['daisy', '\u001brose'],
  )),
  bad: 1,
  imagesPerSecond: 88,
}

test('eval prints a table, or the document that it can also write', async () => {
  const verbs = { evaluate: async () => evaluated }
  const { stdout, exitCode } = await perform(['eval', 'm', 'd'], { verbs })
  expect(exitCode).toBe(0)
  expect(stdout).toContain(
    'accuracy  75.0 %  (30.1 % to 95.4 %)\nloss      0.6269\nimages    4 (1 left out)\nspeed     88 images/s\n',
  )
  expect(stdout).toMatch(/^daisy +4 +75.0 % {2}30.1 % to 95.4 % +100.0 % +85.7 %$/m)
  expect(stdout).toMatch(/^\\x1brose +0 +- {2}- +0.0 % +0.0 %$/m)
  expect(stdout).toMatch(/^ +1 +25.0 % {2}daisy taken for \\x1brose$/m)
  const file = join(folder, 'metrics.json')
  const json = await perform(['eval', 'm', 'd', '--json', '--out', file, '--strict'], { verbs })
  expect(json.exitCode).toBe(7)
  expect(JSON.parse(json.stdout)).toMatchObject({
    accuracy: 0.75,
    images_per_second: 88,
    confusion: [
      [3, 1],
      [0, 0],
    ],
  })
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(JSON.parse(json.stdout))
})

test('doctor prints its checks and exits with 1 when one failed', async () => {
  const checks = [
    { name: 'kernels', ok: true, detail: 'relaxed' },
    { name: 'sharp', ok: false, detail: 'not there' },
  ]
  const verbs = { doctor: async () => ({ checks }) }
  expect(await perform(['doctor'], { verbs })).toMatchObject({
    exitCode: 1,
    stdout: 'ok      kernels  relaxed\nFAILED  sharp    not there\n',
  })
  const { stdout } = await perform(['doctor', '--json'], { verbs })
  expect(JSON.parse(stdout)).toEqual({ ok: false, checks })
})
