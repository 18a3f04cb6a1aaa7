import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openSafetensors } from '../../src/formats/safetensors.ts'
import { createEngine } from '../../src/kernels/engine.ts'
import { loadModel } from '../../src/model/load.ts'
import { embed } from '../../src/transfer/embed.ts'
import { evaluate } from '../../src/transfer/evaluate.ts'
import { type HeadOptions, trainHead } from '../../src/transfer/head.ts'
import type { EmbedOptions, Prediction, PredictOptions } from '../../src/transfer/options.ts'
import { predict } from '../../src/transfer/predict.ts'
import { train } from '../../src/transfer/train.ts'
import { vectorFormats } from '../../src/vectors/write-table.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { drawFolder } from '../stories/drawn-pictures.ts'
import { errorOf } from '../stories/interrupted.ts'
import { savedModel } from '../stories/random-model.ts'

const folder = temporaryFolder()
const pictures = join(folder, 'pictures')
const model = join(folder, 'model')
const vectors = join(folder, 'vectors')
const engine = createEngine({ threads: 2 })
afterAll(() => engine.close())

let runs = 0
const fresh = () => join(folder, `run-${runs++}`)

async function embedded(options: Partial<EmbedOptions> = {}, inputs: readonly string[] = [pictures]): Promise<string> {
  const out = fresh()
  await embed(model, inputs, { engine, out, ...options })
  return out
}

async function headOf(options: Partial<HeadOptions> = {}) {
  return await trainHead({ engine, vectors, out: fresh(), seed: 3, ...options })
}

async function predictions(run: string, options: Partial<PredictOptions> = {}): Promise<Prediction[]> {
  const rows: Prediction[] = []
  for await (const row of predict(run, [pictures], { engine, topk: 3, ...options })) rows.push(row)
  return rows
}

/** Share of a run's validation pictures that predictions have right. */
function validationAccuracy(run: string, rows: readonly Prediction[]): number {
  const lines = readFileSync(join(run, 'split.jsonl'), 'utf8').trim().split('\n')
  const validated = lines.map((line) => JSON.parse(line)).filter(({ split }) => split === 'val')
  const hits = validated.filter(({ path, label }) => rows.find((row) => row.path === path)?.label === label)
  return hits.length / validated.length
}

/** Contents of all files of the best model. */
function best(run: string): Record<string, string> {
  const files = readdirSync(join(run, 'best')).sort()
  return Object.fromEntries(files.map((name) => [name, readFileSync(join(run, 'best', name)).toString('base64')]))
}

beforeAll(async () => {
  await drawFolder(pictures, 12)
  await savedModel(model, 'mobilenetv1_025', { labels: ['a', 'b', 'c'] })
  await embed(model, [pictures], { engine, out: vectors })
})

const ways: Readonly<Record<string, Partial<HeadOptions>>> = {
  lbfgs: {},
  'lbfgs of cross-validated strength': { strength: 'auto' },
  'lbfgs on whitened components': { pca: 5, whiten: true },
  ridge: { solver: 'ridge' },
  'ridge of a strength on components': { solver: 'ridge', strength: 0.5, pca: 6 },
  knn: { solver: 'knn' },
  'knn on whitened components': { solver: 'knn', neighbours: 3, pca: 4, whiten: true },
  centroid: { solver: 'centroid' },
  gradient: { solver: 'gradient', epochs: 3 },
  'a hidden layer': { head: 'mlp:8', epochs: 3 },
  'hidden layers on components': { head: 'mlp:8x2', epochs: 3, pca: 5 },
}

describe.each(Object.entries(ways))('%s', (_, options) => {
  test('is what train --mode features gives, and predicts what it gave when it was trained', async () => {
    const trained = fresh()
    await train({ engine, data: pictures, model, out: trained, mode: 'features', seed: 3, checks: false, ...options })
    // The same pictures in the same parts.
    const run = fresh()
    const result = await headOf({ out: run, labels: join(trained, 'split.jsonl'), ...options })
    expect(best(run)).toEqual(best(trained))
    const evaluated = await evaluate(run, pictures, { engine })
    const { best: better, images } = result
    expect(images.train + images.val).toBe(36)
    const rows = await predictions(run)
    const right = rows.filter(({ path, label }) => path.includes(`/${label}/`)).length
    expect(right / rows.length).toBeCloseTo(evaluated.accuracy, 10)
    expect(validationAccuracy(run, rows)).toBeCloseTo(better.valAccuracy, 10)
  })
})

describe('a head of neighbours', () => {
  test('finds by brute force what predict finds', async () => {
    const { out } = await headOf({ solver: 'knn', neighbours: 3 })
    const stored = await openSafetensors(join(out, 'best', 'head.safetensors'))
    const [mean, scale, remembered, labels] = await Promise.all(
      ['head.mean', 'head.scale', 'head.vectors', 'head.labels'].map(async (name) => (await stored.read(name)).data),
    )
    const matrix = readFileSync(join(vectors, 'X.npy'))
    const values = new Float32Array(matrix.buffer.slice(matrix.byteOffset + matrix.length - 36 * 256 * 4))
    const rows = await predictions(out)
    for (const [at, row] of rows.entries()) {
      const own = Float32Array.from(
        { length: 256 },
        (_, c) => ((values[at * 256 + c] ?? 0) - (mean?.[c] ?? 0)) * (scale?.[c] ?? 0),
      )
      const cosines = Array.from(labels ?? [], (label, r) => {
        const other = remembered?.subarray(r * 256, (r + 1) * 256) ?? own
        let [dot, a, b] = [0, 0, 0]
        for (const [c, value] of own.entries()) {
          dot += value * (other[c] ?? 0)
          a += value * value
          b += (other[c] ?? 0) ** 2
        }
        return { label, cosine: dot / Math.sqrt(a * b) }
      })
      const nearest = cosines.sort((a, b) => b.cosine - a.cosine).slice(0, 3)
      const total = nearest.reduce((sum, { cosine }) => sum + (1 + cosine) / 2, 1)
      const share = (label: number) =>
        nearest.reduce((sum, near) => sum + (near.label === label ? (1 + near.cosine) / 2 : 0), 1 / 3) / total
      const expected = ['bars', 'disc', 'stairs'].map((name, label) => ({ name, score: share(label) }))
      for (const { name, score } of expected)
        expect(row.top.find(({ label }) => label === name)?.score).toBeCloseTo(score, 6)
    }
  })

  test('is refused where its file is damaged or does not fit', async () => {
    const { out } = await headOf({ solver: 'knn', neighbours: 3 })
    const file = join(out, 'best', 'regraft.json')
    const saved = JSON.parse(readFileSync(file, 'utf8'))
    for (const change of [{ rows: 7 }, { neighbours: 0 }, { width: 3 }, { projected: true }, { neighbours: 1000 }]) {
      writeFileSync(file, JSON.stringify({ ...saved, head: { ...saved.head, ...change } }))
      expect(await errorOf(loadModel(out))).toMatchObject({ code: 'weights' })
    }
  })
})

describe('a head whose network is elsewhere', () => {
  test.each(['lbfgs', 'knn', 'a hidden layer'])('(%s) is joined with it by --backbone', async (way) => {
    const copy = fresh()
    cpSync(model, copy, { recursive: true })
    const made = fresh()
    await embed(copy, [pictures], { engine, out: made })
    const whole = await headOf({ vectors: made, ...ways[way] })
    renameSync(copy, `${copy}-moved`)
    const notes: string[] = []
    const lone = await headOf({
      vectors: made,
      listener: (event) => event.type === 'note' && notes.push(event.message),
      ...ways[way],
    })
    expect(notes.join('\n')).toContain('--backbone')
    expect(readdirSync(join(lone.out, 'best')).sort()).toEqual(['head.safetensors', 'regraft.json'])
    const error = await errorOf(predictions(lone.out))
    expect(error).toMatchObject({ code: 'weights', message: expect.stringContaining('--backbone') })
    const joined = { backbone: `${copy}-moved` }
    expect(await predictions(lone.out, joined)).toEqual(await predictions(whole.out, {}))
    const evaluated = await evaluate(lone.out, pictures, { engine, ...joined })
    expect(evaluated.accuracy).toBe((await evaluate(whole.out, pictures, { engine })).accuracy)
    // Named when the head is trained, it is found then.
    const named = await headOf({ vectors: made, ...joined, ...ways[way] })
    expect(best(named.out)).toEqual(best(whole.out))
  })

  test('is not joined with another one', async () => {
    const other = await savedModel(fresh(), 'mobilenetv1_025', { seed: 9 })
    expect(await errorOf(headOf({ backbone: other }))).toMatchObject({
      code: 'weights',
      message: expect.stringContaining('SHA-256'),
    })
    const copy = fresh()
    cpSync(model, copy, { recursive: true })
    const made = fresh()
    await embed(copy, [pictures], { engine, out: made })
    cpSync(other, copy, { recursive: true })
    const { out } = await headOf({ vectors: made })
    expect(existsSync(join(out, 'best', 'model.safetensors'))).toBe(false)
    expect(await errorOf(predictions(out, { backbone: copy }))).toMatchObject({
      code: 'weights',
      message: expect.stringContaining('is not the model that made the vectors'),
    })
    expect(await errorOf(predictions((await headOf()).out, { backbone: model }))).toMatchObject({ code: 'usage' })
  })
})

describe('vectors', () => {
  test.each(vectorFormats)('are read as %s', async (format) => {
    const made = await embedded({ format })
    if (format === 'parquet') expect(await errorOf(headOf({ vectors: made }))).toMatchObject({ code: 'data' })
    else expect(best((await headOf({ vectors: made })).out)).toEqual(best((await headOf()).out))
  })

  test('that embed reduced to components give a head for the whole network', async () => {
    const made = await embedded({ pca: 5, whiten: true })
    for (const options of [{}, { head: 'mlp:8', epochs: 2 }]) {
      const run = await headOf({ vectors: made, ...options })
      expect(validationAccuracy(run.out, await predictions(run.out))).toBeCloseTo(run.best.valAccuracy, 10)
    }
    expect((await headOf({ vectors: made })).best.valAccuracy).toBeGreaterThan(0.5)
    expect(await errorOf(headOf({ vectors: made, solver: 'knn' }))).toMatchObject({ code: 'usage' })
  })

  test('that failed, or are not finite, are left out and counted', async () => {
    const bad = join(folder, 'bad')
    mkdirSync(join(bad, 'disc'), { recursive: true })
    writeFileSync(join(bad, 'disc', 'no.png'), 'no picture')
    const made = await embedded({}, [pictures, bad])
    const { out, images } = await headOf({ vectors: made })
    expect(images).toMatchObject({ bad: 1 })
    expect(images.train + images.val).toBe(36)
    expect(readFileSync(join(out, 'bad.jsonl'), 'utf8')).toContain('no.png')
    const file = join(made, 'X.npy')
    const bytes = readFileSync(file)
    bytes.writeFloatLE(Number.POSITIVE_INFINITY, bytes.length - 2 * 256 * 4)
    writeFileSync(file, bytes)
    const again = await headOf({ vectors: made })
    expect(again.images.bad).toBe(2)
    expect(readFileSync(join(again.out, 'bad.jsonl'), 'utf8')).toContain('not finite')
  })

  test('may validate from another folder, or by a list', async () => {
    const other = await embedded({}, [join(pictures, 'bars'), join(pictures, 'disc')])
    // Given by itself, a folder of pictures is no folder per class.
    expect(await errorOf(headOf({ val: other }))).toMatchObject({ code: 'data' })
    const list = join(folder, 'val.txt')
    writeFileSync(list, 'bars/0.png\r\n./disc/3.png\nstairs/11.png\n')
    const { images, out } = await headOf({ val: list, test: vectors })
    expect(images).toMatchObject({ train: 33, val: 3 })
    expect(existsSync(join(out, 'evaluation-test', 'evaluation.json'))).toBe(true)
    writeFileSync(list, 'bars/77.png\n')
    expect(await errorOf(headOf({ val: list }))).toMatchObject({
      code: 'data',
      message: expect.stringContaining('77.png'),
    })
  })
})

describe('what cannot be learnt from is refused', () => {
  const refused: Readonly<
    Record<string, readonly [Partial<HeadOptions> | (() => Promise<Partial<HeadOptions>>), string, string]>
  > = {
    'vectors of length 1': [
      async () => ({ vectors: await embedded({ l2Normalize: true }) }),
      'usage',
      '--l2-normalize',
    ],
    'another layer': [async () => ({ vectors: await embedded({ layers: ['blocks.2.0'] }) }), 'usage', 'blocks.2.0'],
    'no labels': [
      async () => ({
        vectors: await embedded(
          {},
          readdirSync(join(pictures, 'bars')).map((name) => join(pictures, 'bars', name)),
        ),
      }),
      'data',
      '--labels FILE',
    ],
    'one class': [async () => ({ vectors: await embedded({}, [join(pictures, '..', 'one')]) }), 'data', 'one class'],
    'a matrix that embed did not write': [
      async () => {
        const out = fresh()
        mkdirSync(out)
        cpSync(join(vectors, 'X.npy'), join(out, 'X.npy'))
        cpSync(join(vectors, 'index.csv'), join(out, 'index.csv'))
        return { vectors: join(out, 'X.npy') }
      },
      'data',
      'meta.json',
    ],
    'more components than there are': [{ pca: 200 }, 'usage', '--pca 200'],
    'whitening of nothing': [{ whiten: true }, 'usage', '--pca'],
    'a solver for hidden layers': [{ solver: 'ridge', head: 'mlp' }, 'usage', '--solver gradient'],
    'a strength without use': [{ solver: 'knn', strength: 3 }, 'usage', '--strength'],
    'neighbours without use': [{ neighbours: 3 }, 'usage', '--neighbours'],
    'a rate without use': [{ lr: 0.1 }, 'usage', '--lr'],
  }

  test.each(Object.entries(refused))('%s', async (_, [options, code, words]) => {
    mkdirSync(join(folder, 'one', 'only'), { recursive: true })
    cpSync(join(pictures, 'bars', '0.png'), join(folder, 'one', 'only', '0.png'))
    cpSync(join(pictures, 'bars', '1.png'), join(folder, 'one', 'only', '1.png'))
    const out = fresh()
    const error = await errorOf(headOf({ out, ...(typeof options === 'function' ? await options() : options) }))
    expect(error).toMatchObject({ code, message: expect.stringContaining(words) })
    expect(existsSync(out)).toBe(false)
  })

  test('labels that fit no row, or two of them', async () => {
    const file = join(folder, 'labels.csv')
    writeFileSync(file, 'path,label\nelsewhere/0.png,a\n')
    expect((await errorOf(headOf({ labels: file }))).message).toContain('names none of the 36 rows')
    writeFileSync(file, 'path,label\n0.png,a\n')
    expect((await errorOf(headOf({ labels: file }))).message).toContain('Write more of the path')
    writeFileSync(file, 'path,kind\nbars/0.png,a\ndisc/0.png,b\n')
    expect(await errorOf(headOf({ labels: file }))).toMatchObject({ code: 'data' })
    const rows = ['bars', 'disc', 'stairs'].flatMap((name) =>
      Array.from({ length: 12 }, (_, at) => `${name}/${at}.png,${name === 'bars' ? 'bars' : 'other'}`),
    )
    writeFileSync(file, `path,label\n${rows.slice(0, 30).join('\n')}\n`)
    const { classes, images } = await headOf({ labels: file })
    expect(classes).toEqual(['bars', 'other'])
    expect(images.bad).toBe(6)
  })
})

describe('numbers', () => {
  // A number that the shape decides, nearly.
  const numberOf = { bars: 120, disc: -40, stairs: 35 } as const
  const table = (column: string) => {
    const file = join(folder, `numbers-${runs++}.csv`)
    const rows = Object.entries(numberOf).flatMap(([name, number]) =>
      Array.from({ length: 12 }, (_, at) => `${name}/${at}.png,${name},${number + at / 10}`),
    )
    writeFileSync(file, `path,label,${column}\n${rows.join('\n')}\n`)
    return file
  }

  test.each([
    ['ridge', {}],
    ['lbfgs', { solver: 'lbfgs' }],
    ['components', { pca: 16, whiten: true }],
    ['gradient', { solver: 'gradient', epochs: 60, lr: 0.01 }],
    ['a hidden layer', { head: 'mlp:8', epochs: 60, lr: 0.01 }],
    ["Huber's loss", { loss: 'huber', huberDelta: 0.5, epochs: 60, lr: 0.01 }],
    ['the absolute error', { loss: 'l1', epochs: 60, lr: 0.01 }],
  ] as const)('by %s are predicted as they were when the head was trained', async (_, options) => {
    const { out, numbers } = await headOf({ labels: table('price'), target: 'price', ...options })
    expect(numbers?.val.r2).toBeGreaterThan(0.3)
    const rows = await predictions(out, { topk: 1 })
    for (const { label } of rows) expect(label).toBe('price')
    const validated = readFileSync(join(out, 'split.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
      .filter(({ split }) => split === 'val')
    const squares = validated.map(({ path }) => {
      const [, name = '', at = ''] = /(\w+)\/(\d+)\.png$/.exec(path) ?? []
      const truth = (new Map(Object.entries(numberOf)).get(name as 'bars') ?? 0) + Number(at) / 10
      return ((rows.find((row) => row.path === path)?.score ?? Number.NaN) - truth) ** 2
    })
    const rmse = Math.sqrt(squares.reduce((sum, square) => sum + square, 0) / squares.length)
    expect(rmse / (numbers?.val.rmse ?? 1)).toBeCloseTo(1, 3)
    const saved = JSON.parse(readFileSync(join(out, 'best', 'regraft.json'), 'utf8'))
    const kind = 'loss' in options ? options.loss : 'mse'
    expect(saved).toMatchObject({ output: 'identity', loss: { kind }, labels: ['price'] })
    const metrics = JSON.parse(readFileSync(join(out, 'metrics.json'), 'utf8'))
    expect(metrics).toMatchObject({ best: { val_accuracy: null }, numbers: { val: { r2: numbers?.val.r2 } } })
  })

  test('may be the labels themselves; rows without one are left out', async () => {
    const file = join(folder, 'plain.csv')
    const rows = Array.from({ length: 12 }, (_, at) => `bars/${at}.png,${at}\ndisc/${at}.png,${at + 50}`)
    writeFileSync(file, `path,label\n${rows.join('\n')}\nstairs/1.png,many\n`)
    const { classes, images } = await headOf({ labels: file, target: 'numeric' })
    expect(classes).toEqual(['value'])
    expect(images.train + images.val).toBe(24)
    expect(images.bad).toBe(12)
  })

  test('are refused where they cannot be had', async () => {
    const labels = table('price')
    for (const options of [
      { target: 'price' },
      { labels, target: 'price', loss: 'ce' },
      { labels, target: 'price', loss: 'huber', solver: 'ridge' },
      { labels, target: 'price', classWeights: 'auto' },
      { labels, target: 'price', solver: 'knn' },
    ] as const)
      expect(await errorOf(headOf(options))).toMatchObject({ code: 'usage' })
    const error = await errorOf(headOf({ labels, target: 'prize' }))
    expect(error).toMatchObject({ code: 'data', message: expect.stringContaining("Did you mean 'price'?") })
    expect(await errorOf(headOf({ labels, target: 'label' }))).toMatchObject({ code: 'data' })
  })
})

test.each([
  {},
  { classWeights: 'auto' },
  { solver: 'gradient', epochs: 20, lr: 0.01 },
  { loss: 'sigmoid-focal', epochs: 40, lr: 0.01 },
] as const)('several labels of a picture: a sigmoid for each (%j)', async (options) => {
  const file = join(folder, 'several.csv')
  const labelsOf = { bars: ['striped'], disc: ['round', 'closed'], stairs: ['closed'] }
  const rows = Object.entries(labelsOf).flatMap(([name, labels]) =>
    Array.from({ length: 12 }, (_, at) => labels.map((label) => `${name}/${at}.png,${label}`).join('\n')),
  )
  writeFileSync(file, `path,label\n${rows.join('\n')}\n`)
  const { out, classes, best: better } = await headOf({ labels: file, ...options })
  expect(classes).toEqual(['closed', 'round', 'striped'])
  expect(better.valAccuracy).toBeGreaterThan(0.7)
  const predicted = await predictions(out)
  let right = 0
  for (const { path, top } of predicted) {
    const name = Object.keys(labelsOf).find((shape) => path.includes(`/${shape}/`)) as keyof typeof labelsOf
    for (const { label, score } of top) if (score > 0.5 === labelsOf[name].includes(label)) right += 1
  }
  expect(right / (3 * predicted.length)).toBeGreaterThan(0.85)
  expect(predicted.some(({ top }) => top.reduce((sum, { score }) => sum + score, 0) > 1.5)).toBe(true)
  const saved = JSON.parse(readFileSync(join(out, 'best', 'regraft.json'), 'utf8'))
  expect(saved).toMatchObject({ output: 'sigmoid', loss: { kind: 'loss' in options ? options.loss : 'bce' } })
  expect(await errorOf(headOf({ labels: file, solver: 'ridge' }))).toMatchObject({ code: 'usage' })
  const focal = { labels: file, loss: 'sigmoid-focal', classWeights: 'auto' } as const
  expect(await errorOf(headOf(focal))).toMatchObject({ code: 'usage' })
})

test('a label that weighs more is seen more often', async () => {
  const file = join(folder, 'rare.csv')
  const labels = { bars: 'plain', disc: 'plain', stairs: 'plain' }
  const rows = Object.entries(labels).flatMap(([name, label]) =>
    // Which pictures are odd cannot be seen: what counts is how often it is said.
    Array.from({ length: 12 }, (_, at) => `${name}/${at}.png,${label}${at % 4 ? '' : `\n${name}/${at}.png,odd`}`),
  )
  writeFileSync(file, `path,label\n${rows.join('\n')}\n`)
  const weights = join(folder, 'odd.json')
  writeFileSync(weights, '{"plain": 1, "odd": 9}')
  const meanOf = async (options: object) => {
    const { out } = await headOf({ labels: file, strength: 1e-4, ...options })
    const scores = (await predictions(out)).map(({ top }) => top.find(({ label }) => label === 'odd')?.score ?? 0)
    return scores.reduce((sum, score) => sum + score, 0) / scores.length
  }
  // Where nothing tells them apart, the likeliest score is w·n / (w·n + 1 - n) of the share n that has the label.
  expect(await meanOf({})).toBeLessThan(0.45)
  expect(await meanOf({ classWeights: weights })).toBeGreaterThan(0.6)
  const manifest = JSON.parse(
    readFileSync(join((await headOf({ labels: file, classWeights: 'auto' })).out, 'manifest.json'), 'utf8'),
  )
  const [odd = 0, plain = 0] = manifest.classWeights
  expect(odd).toBeGreaterThan(1)
  expect(plain).toBeLessThan(0.1)
})

test('a folder that is taken is refused before anything is computed', async () => {
  const out = fresh()
  mkdirSync(out)
  writeFileSync(join(out, 'thesis.txt'), 'precious')
  for (const overwrite of [false, true])
    expect(await errorOf(headOf({ out, overwrite }))).toMatchObject({ code: 'usage' })
  const run = await headOf()
  expect(await errorOf(headOf({ out: run.out }))).toMatchObject({ code: 'usage' })
  const before = best(run.out)
  expect(best((await headOf({ out: run.out, overwrite: true })).out)).toEqual(before)
})
