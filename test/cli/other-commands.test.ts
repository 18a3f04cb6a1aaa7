import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Verbs } from '../../src/cli/verbs.ts'
import { evaluationOf } from '../../src/train/evaluation.ts'
import type { EmbedOptions, EmbedResult, EvaluateResult, Inputs } from '../../src/transfer/options.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { perform } from './stage.ts'

const folder = temporaryFolder()
const embedded: EmbedResult = {
  out: 'vectors',
  rows: 4,
  features: 1280,
  layers: [{ name: 'global_pool', features: 1280 }],
  failed: 1,
  imagesPerSecond: 41.234,
}

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

test('embed --speed says what the cores allow', async () => {
  const speed = {
    cores: 2,
    decoding: { imagesPerSecond: 600, cpuMilliseconds: 3.3 },
    computing: { imagesPerSecond: 45, cpuMilliseconds: 44.4 },
    allowed: 41.93,
  }
  const verbs = { embed: async () => ({ ...embedded, speed }) }
  const { stderr, stdout } = await perform(['embed', 'x', '--speed', '--json'], { verbs })
  expect(stderr).toContain('decoding alone  600 images/s, 3.3 ms of a core per picture\n')
  expect(stderr).toContain('2 cores allow 41.9 images/s; reached were 98.3 % of that, 91.6 % of the network alone\n')
  expect(JSON.parse(stdout).speed).toEqual({
    cores: 2,
    decoding: { images_per_second: 600, cpu_milliseconds: 3.3 },
    computing: { images_per_second: 45, cpu_milliseconds: 44.4 },
    allowed_images_per_second: 41.93,
  })
})

test('embed gives 7 with --strict, and a document with --json', async () => {
  const verbs = { embed: async () => embedded }
  expect(await perform(['embed', 'x', '--strict'], { verbs })).toMatchObject({ exitCode: 7 })
  const { stdout } = await perform(['embed', 'x', '--json'], { verbs })
  expect(JSON.parse(stdout)).toEqual({
    out: 'vectors',
    rows: 4,
    features: 1280,
    layers: [{ name: 'global_pool', features: 1280 }],
    failed: 1,
    images_per_second: 41.234,
  })
})

const embedRows: Verbs['embedRows'] = async function* () {
  const layer = { layer: 'global_pool', columns: 2 }
  yield { path: '=a.jpg', label: null, error: null, vectors: [{ ...layer, values: Float32Array.of(0.1, -2) }] }
  yield { path: 'b.jpg', label: 'b', error: 'is empty', vectors: [{ ...layer, values: null }] }
}

test('embed writes rows to stdout', async () => {
  const csv = await perform(['embed', 'x', '--out', '-', '--format', 'csv'], { verbs: { embedRows } })
  expect(csv).toMatchObject({
    exitCode: 0,
    stdout: "row,path,label,error,f0,f1\n0,'=a.jpg,,,0.100000001,-2\n1,b.jpg,b,is empty,,\n",
  })
  const json = await perform(['embed', 'x', '--out', '-', '--json', '--strict'], { verbs: { embedRows } })
  expect(json.exitCode).toBe(7)
  expect(
    json.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line)),
  ).toEqual([
    { row: 0, path: '=a.jpg', label: null, error: null, vector: [0.100000001, -2] },
    { row: 1, path: 'b.jpg', label: 'b', error: 'is empty', vector: null },
  ])
})

test.each([
  [['--out', '-'], '--format jsonl or csv'],
  [['--out', '-', '--format', 'csv', '--json'], 'contradict'],
  [['--out', '-', '--format', 'csv', '--resume'], '--resume has no meaning'],
  [['--resume'], '--resume needs --out'],
])('embed %s is refused', async (words, expected) => {
  const ran = await perform(['embed', 'x', ...words], { verbs: {} })
  expect(ran.exitCode).toBe(2)
  expect(ran.stderr).toContain(expected)
})

test.each([
  ['3/8', {}, { index: 3, count: 8 }],
  ['auto/8', { SLURM_ARRAY_TASK_ID: '2' }, { index: 3, count: 8 }],
  [
    'auto',
    { SLURM_ARRAY_TASK_ID: '30', SLURM_ARRAY_TASK_MIN: '10', SLURM_ARRAY_TASK_STEP: '10', SLURM_ARRAY_TASK_COUNT: '4' },
    { index: 3, count: 4 },
  ],
  ['auto/8', { JOB_COMPLETION_INDEX: '2' }, { index: 3, count: 8 }],
])('embed --shard %s with %o', async (text, environment, expected) => {
  let seen: unknown
  const embed = async (_model: string, _inputs: Inputs, { shard }: EmbedOptions) => {
    seen = shard
    return embedded
  }
  await perform(['embed', 'x', '--shard', text], { verbs: { embed }, environment })
  expect(seen).toEqual(expected)
})

test.each([
  ['9/8', {}, 'shard 9 of 8'],
  ['x', {}, 'expected 3/8'],
  ['auto', { SLURM_ARRAY_TASK_ID: '1' }, 'SLURM_ARRAY_TASK_COUNT is not set'],
  ['auto/8', {}, 'JOB_COMPLETION_INDEX'],
])('embed --shard %s with %o is refused', async (text, environment, expected) => {
  const ran = await perform(['embed', 'x', '--shard', text], { verbs: {}, environment })
  expect(ran.exitCode).toBe(2)
  expect(ran.stderr).toContain(expected)
})

test('merge passes its folders on, and sums up', async () => {
  let seen: unknown
  const merge: Verbs['merge'] = async (shards, { out, format, pca }) => {
    seen = { shards, out, format, pca }
    return { out, rows: 9, failed: 0, shards: 2 }
  }
  const words = ['merge', 'a', 'b', '--out', 'all', '--format', 'parquet', '--pca', '64']
  const ran = await perform(words, { verbs: { merge } })
  expect(seen).toEqual({ shards: ['a', 'b'], out: 'all', format: 'parquet', pca: 64 })
  expect(ran).toMatchObject({ exitCode: 0, stdout: '', stderr: 'all: 9 rows of 2 shards\n' })
  expect(await perform(['merge', 'a'], { verbs: { merge } })).toMatchObject({ exitCode: 2 })
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

test('search prints a row per match, and the speed on stderr', async () => {
  let seen: unknown
  const match = { row: 7, path: '=b.jpg', label: 'cat', score: 0.98765432 }
  const search: Verbs['search'] = async (vectors, inputs, { topk }) => {
    seen = { vectors, inputs, topk }
    const rows = [
      { query: 'a.jpg', error: null, matches: [match, { ...match, row: 8, label: null }] },
      { query: 'x.jpg', error: 'is empty', matches: [] },
    ]
    return { rows, vectors: 1000, features: 256, seconds: { load: 0.5, search: 0.01234 } }
  }
  const ran = await perform(['search', 'v', 'x.jpg', '--query', 'a.jpg', '--topk', '2'], { verbs: { search } })
  expect(seen).toEqual({ vectors: 'v', inputs: ['a.jpg', 'x.jpg'], topk: 2 })
  expect(ran).toMatchObject({
    exitCode: 0,
    stdout:
      "query,rank,path,label,score,row,error\na.jpg,1,'=b.jpg,cat,0.987654,7,\na.jpg,2,'=b.jpg,,0.987654,8,\nx.jpg,,,,,,is empty\n",
    stderr:
      '1000 vectors of 256 features read in 0.5 s, compared in 0.012 s\n1 of 2 queries failed; their rows say why.\n',
  })
  const json = await perform(['search', 'v', 'a.jpg', '--json', '--strict'], { verbs: { search } })
  expect(json.exitCode).toBe(7)
  expect(JSON.parse(json.stdout.split('\n')[0] ?? '')).toMatchObject({ query: 'a.jpg', matches: [match, { row: 8 }] })
})

test('dedupe prints a row per member of a group', async () => {
  const member = { row: 1, path: 'a.jpg', label: 'cat', score: 0.99 }
  const dedupe: Verbs['dedupe'] = async (_, { similarity = 0 }) => ({
    vectors: 9,
    similarity,
    copies: 1,
    groups: [[member, { ...member, row: 4 }]],
  })
  const ran = await perform(['dedupe', 'v', '--similarity', '0.9'], { verbs: { dedupe } })
  expect(ran).toMatchObject({
    exitCode: 0,
    stdout: 'group,keep,path,label,score,row\n1,yes,a.jpg,cat,0.99,1\n1,no,a.jpg,cat,0.99,4\n',
    stderr: '9 vectors: 1 groups with a cosine of 0.9 or more, 1 rows could go\n',
  })
  const json = await perform(['dedupe', 'v', '--similarity', '0.9', '--json'], { verbs: { dedupe } })
  expect(JSON.parse(json.stdout)).toMatchObject({ copies: 1, groups: [[{ row: 1 }, { row: 4 }]] })
})

const trained = {
  out: 'runs/v-1',
  classes: ['a', 'b'],
  best: { epoch: 1, valAccuracy: 0.75, valLoss: 0.6, valTopAccuracy: 1, valBalancedAccuracy: 0.75, valMacroF1: 0.75 },
  final: { valAccuracy: 0.75, valLoss: 0.6, trainAccuracy: 1 },
  images: { train: 8, val: 4, bad: 1 },
  seconds: { total: 1, decode: 0, compute: 0 },
  belowMinimum: false,
}

test('head passes its options on, sums up, and knows --min-accuracy', async () => {
  let seen: unknown
  const trainHead: Verbs['trainHead'] = async ({ engine: _, signal: __, listener: ___, ...options }) => {
    seen = options
    return { ...trained, belowMinimum: options.minAccuracy !== undefined }
  }
  const words = ['head', 'v', '--out', 'runs/v-1', '--solver', 'ridge', '--strength', 'auto', '--labels', 'l.csv']
  const ran = await perform(words, { verbs: { trainHead } })
  expect(seen).toEqual({ vectors: 'v', out: 'runs/v-1', solver: 'ridge', strength: 'auto', labels: 'l.csv' })
  expect(ran).toMatchObject({ exitCode: 0, stdout: '' })
  expect(ran.stderr).toContain('runs/v-1: validation accuracy 75.0 %')
  expect(ran.stderr).toContain('8 vectors to train on, 4 to validate, 1 left out')
  expect(await perform([...words, '--min-accuracy', '0.9'], { verbs: { trainHead } })).toMatchObject({ exitCode: 5 })
  const { stdout } = await perform([...words, '--json'], { verbs: { trainHead } })
  expect(JSON.parse(stdout)).toMatchObject({ out: 'runs/v-1', best: { val_accuracy: 0.75 }, images: { bad: 1 } })
  expect(await perform(['head'], { verbs: { trainHead } })).toMatchObject({ exitCode: 2 })
  const odd = await perform(['head', 'v', '--strength', 'much'], { verbs: { trainHead } })
  expect(odd).toMatchObject({ exitCode: 2 })
  expect(odd.stderr).toContain("'auto'")
})

test('tune prints a table and a plot, or a document', async () => {
  const trial = (number: number, strength: number, accuracy: number) => ({
    number,
    stage: 'coarse' as const,
    settings: { strength },
    full: true,
    status: 'done' as const,
    reason: null,
    accuracy,
    loss: 1,
    trainAccuracy: 1,
    folds: [accuracy],
  })
  const chosen = trial(2, 0.03, 0.8)
  const stopped = { ...trial(4, 3, 0), status: 'stopped' as const, reason: 'its cost rose', loss: null }
  const trials = [trial(1, 0.001, 0.5), chosen, trial(3, 1, 0.7), stopped]
  const tune: Verbs['tune'] = async () => ({
    ...trained,
    trials,
    chosen,
    usual: trial(0, 0.1, 0.75),
    varied: ['strength'],
  })
  const { stdout, stderr } = await perform(['tune', 'flowers', '--out', 'runs/v-1'], { verbs: { tune } })
  expect(stdout).toContain('*      2  coarse    80.0 %     1  strength 0.03')
  expect(stdout).toContain('1 of 4 trials were stopped or failed.')
  expect(stdout).toContain('accuracy by strength')
  expect(stdout).toContain('Chosen (C): strength 0.03, 80.0 %; as it is by default 75.0 %')
  expect(stderr).toContain('runs/v-1: validation accuracy 75.0 %')
  const json = await perform(['tune', 'flowers', '--out', 'runs/v-1', '--json'], { verbs: { tune } })
  expect(JSON.parse(json.stdout)).toMatchObject({ chosen: { number: 2, settings: { strength: 0.03 } } })
  for (const words of [
    ['--learning-curve', '--trials', '3'],
    ['--models', 'a,b', '--space', 'x'],
    ['--resume', 'a', '--out', 'b'],
  ])
    expect(await perform(['tune', 'flowers', ...words], { verbs: { tune } })).toMatchObject({ exitCode: 2 })
})

test('tune compares networks, and draws a learning curve', async () => {
  const compared = {
    features: 256,
    foldAccuracy: 0.5,
    valAccuracy: 0.6,
    valLoss: 1,
    imagesPerSecond: 123.4,
    sha256: null,
  }
  const compareModels: Verbs['compareModels'] = async ({ models }) => ({
    out: 'o',
    models: models.map((model) => ({ ...compared, model })),
  })
  const table = await perform(['tune', 'flowers', '--models', 'a, b', '--out', 'o'], { verbs: { compareModels } })
  expect(table.stdout).toBe(
    'model  features   folds  validation  images/s\n' +
      'a           256  50.0 %      60.0 %       123\n' +
      'b           256  50.0 %      60.0 %       123\n',
  )
  const point = (images: number, valAccuracy: number) => ({
    share: 1,
    images,
    trainAccuracy: 1,
    valAccuracy,
    valLoss: 1,
  })
  const learningCurve: Verbs['learningCurve'] = async () => ({
    out: 'o',
    points: [point(10, 0.5), point(100, 0.7)],
    lastDoubling: 0.05,
    advice: 'More.',
  })
  const curve = await perform(['tune', 'flowers', '--learning-curve', '--out', 'o'], { verbs: { learningCurve } })
  expect(curve.stdout).toContain('     100   100.0 %      70.0 %')
  expect(curve.stdout).toContain('More.')
})
