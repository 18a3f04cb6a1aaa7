import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'csv-parse/sync'
import { parquetReadObjects } from 'hyparquet'
import { expect, test } from 'vitest'
import type { Verbs } from '../../src/cli/verbs.ts'
import { RegraftError } from '../../src/errors.ts'
import type { Inputs } from '../../src/transfer/options.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { perform, predicting } from './stage.ts'

const folder = temporaryFolder()
const rose = { path: 'rose.jpg', label: 'rose', score: 0.123456789 }
const broken = { path: 'broken.jpg', error: 'cut off' }

test('rows are CSV with six significant digits, in the order of the inputs', async () => {
  const { exitCode, stdout } = await perform(['predict', 'm', 'x'], { verbs: { predict: predicting(rose, broken) } })
  expect(exitCode).toBe(0)
  expect(stdout).toBe('path,label,score,error\nrose.jpg,rose,0.123457,\nbroken.jpg,,,cut off\n')
})

test('rows are whole JSON objects with --json', async () => {
  const { stdout } = await perform(['predict', 'm', 'x', '--json'], { verbs: { predict: predicting(rose, broken) } })
  const rows = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(rows).toEqual([
    { ...rose, error: null, top: [{ label: 'rose', score: 0.123456789 }] },
    { path: 'broken.jpg', label: null, score: null, error: 'cut off', top: [] },
  ])
  expect(Object.keys(rows[0])).toEqual(['path', 'label', 'score', 'error', 'top'])
})

test('more labels get columns of their own, empty where there are fewer classes', async () => {
  const top = [
    { label: 'rose', score: 0.9 },
    { label: 'daisy', score: 0.1 },
  ]
  const { stdout } = await perform(['predict', 'm', 'x', '--topk', '3'], {
    verbs: { predict: predicting({ ...rose, score: 0.9, top }) },
  })
  expect(stdout).toBe('path,label,score,error,label2,score2,label3,score3\nrose.jpg,rose,0.9,,daisy,0.1,,\n')
})

test('formulas in names are text in CSV and exact in JSON', async () => {
  const names = ['=1+1', '+1', '-1', '@SUM(A1)', '\tx', '=HYPERLINK("http://x","y")', 'a,"b"\nc', "'=1"]
  const predict = predicting(...names.map((name) => ({ path: name, label: name, score: 1, error: name })))
  const { stdout } = await perform(['predict', 'm', 'x'], { verbs: { predict } })
  const rows: string[][] = parse(stdout).slice(1)
  expect(rows.map((row) => row[0])).toEqual([
    "'=1+1",
    "'+1",
    "'-1",
    "'@SUM(A1)",
    "'\tx",
    '\'=HYPERLINK("http://x","y")',
    'a,"b"\nc',
    "''=1",
  ])
  for (const row of rows) expect([row[1], row[3]]).toEqual([row[0], row[0]])
  const json = await perform(['predict', 'm', 'x', '--json'], { verbs: { predict } })
  expect(
    json.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).path),
  ).toEqual(names)
})

test('a name cannot control the terminal, and is exact in a pipe', async () => {
  const name = 'a\u001b]0;title\u0007\u009b\u202e.jpg'
  const verbs = { predict: predicting({ path: name, label: 'rose', score: 1 }) }
  const terminal = await perform(['predict', 'm', 'x'], { verbs, stdoutTerminal: true, terminal: true })
  expect(terminal.stdout).toContain('a\\x1b]0;title')
  expect(terminal.stdout).not.toMatch(/[\u001b\u0007\u009b\u202e]/)
  expect((await perform(['predict', 'm', 'x'], { verbs })).stdout).toContain(name)
  const json = await perform(['predict', 'm', 'x', '--json'], { verbs, stdoutTerminal: true })
  expect(json.stdout).not.toMatch(/[\u001b\u0007\u009b\u202e]/)
  expect(JSON.parse(json.stdout).path).toBe(name)
})

test('--out writes CSV or JSON lines by the ending, and nothing to stdout', async () => {
  for (const ending of ['csv', 'jsonl']) {
    const file = join(folder, `rows.${ending}`)
    const ran = await perform(['predict', 'm', 'x', '--out', file], { verbs: { predict: predicting(rose) } })
    expect(ran).toMatchObject({ exitCode: 0, stdout: '' })
    expect(readFileSync(file, 'utf8')).toMatch(ending === 'csv' ? /^path,label/ : /^\{"path":"rose.jpg"/)
  }
})

test('paths come from stdin, between lines or NUL bytes, in the place of the dash', async () => {
  const seen: (readonly string[])[] = []
  const verbs = {
    async *predict(_: string, inputs: Inputs) {
      const paths: string[] = []
      for await (const path of inputs) paths.push(path)
      seen.push(paths)
      yield* predicting(rose)(_, paths, {} as never)
    },
  }
  await perform(['predict', 'm', 'first', '-', 'last'], { verbs, stdin: 'a.jpg\nb c.jpg\r\n\nd.jpg' })
  await perform(['predict', 'm', '-0', '-'], { verbs, stdin: 'a\nb.jpg\0c.jpg\0' })
  await perform(['predict', 'm', '-0'], { verbs, stdin: Buffer.from([0x61, 0xff, 0]) })
  expect(seen).toEqual([['first', 'a.jpg', 'b c.jpg', 'd.jpg', 'last'], ['a\nb.jpg', 'c.jpg'], ['a\udcff']])
  expect(await perform(['predict', 'm', '-'], { verbs })).toMatchObject({ exitCode: 3, stdout: '' })
})

test('failed inputs give 7 with --strict, 0 without, and 3 when there is nothing else', async () => {
  const some = { verbs: { predict: predicting(rose, broken) } }
  const all = { verbs: { predict: predicting(broken, broken) } }
  expect(await perform(['predict', 'm', 'x', '--strict'], some)).toMatchObject({
    exitCode: 7,
    stdout: expect.stringContaining('cut off'),
  })
  expect(await perform(['predict', 'm', 'x'], some)).toMatchObject({
    exitCode: 0,
    stderr: expect.stringContaining('1 of 2 inputs failed'),
  })
  expect(await perform(['predict', 'm', 'x'], all)).toMatchObject({
    exitCode: 3,
    stdout: expect.stringContaining('cut off'),
  })
})

test('an error of the verb keeps its exit code', async () => {
  const predict = () => {
    throw new RegraftError('weights', 'm: not found.')
  }
  expect(await perform(['predict', 'm', 'x'], { verbs: { predict } })).toMatchObject({
    exitCode: 4,
    stderr: 'regraft: m: not found.\n',
  })
})

test('a reader that leaves ends the work quietly', async () => {
  let produced = 0
  let finished = false
  const verbs = {
    async *predict() {
      try {
        for (; produced < 1000; produced++) yield { path: 'a', label: 'b', score: 1, error: null, top: [] }
      } finally {
        finished = true
      }
    },
  }
  const ran = await perform(['predict', 'm', 'x'], { verbs, readerLeavesAfter: 3 })
  expect(ran).toMatchObject({ exitCode: 0, stderr: '', enginesClosed: 1 })
  expect(ran.stdout.split('\n')).toHaveLength(4)
  expect(produced).toBeLessThan(5)
  expect(finished).toBe(true)
})

test('rows go to Parquet, with the columns of the CSV', async () => {
  const out = join(folder, 'labels.parquet')
  const top = [
    { label: 'rose', score: 0.9 },
    { label: 'daisy', score: 0.1 },
  ]
  const many = Array.from({ length: 10_001 }, (_, at) => ({ ...rose, path: `${at}.jpg`, score: 0.9, top }))
  const { exitCode, stderr } = await perform(['predict', 'm', 'x', '--topk', '2', '--out', out], {
    verbs: { predict: predicting(...many, broken) },
  })
  expect(exitCode, stderr).toBe(0)
  const rows = await parquetReadObjects({ file: new Uint8Array(readFileSync(out)).buffer })
  expect(rows).toHaveLength(10_002)
  expect(rows[10_000]).toEqual({
    ...{ path: '10000.jpg', label: 'rose', score: 0.9, error: null, label2: 'daisy', score2: 0.1 },
  })
  expect(rows[10_001]).toEqual({
    ...{ path: 'broken.jpg', label: null, score: null, error: 'cut off', label2: null, score2: null },
  })
})

test('the threshold is handed on', async () => {
  let seen: number | undefined
  const predict: Verbs['predict'] = async function* (_model, _inputs, { threshold }) {
    seen = threshold
    yield { path: 'a.jpg', label: 'unknown', score: 0.3, error: null, top: [{ label: 'rose', score: 0.3 }] }
  }
  const { stdout } = await perform(['predict', 'm', 'x', '--threshold', '0.5'], { verbs: { predict } })
  expect(seen).toBe(0.5)
  expect(stdout).toContain('a.jpg,unknown,0.3,')
})
