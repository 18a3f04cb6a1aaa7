import { existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeEach, describe, expect, test } from 'vitest'
import type { StopSignal } from '../../src/cli/host.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { perform, type Stage } from './stage.ts'

const folder = temporaryFolder()
const acting = fileURLToPath(new URL('acting-program.mjs', import.meta.url))
let at: string
let record: string

beforeEach(() => {
  at = mkdtempSync(join(folder, 'batch-'))
  record = join(at, 'record.jsonl')
})

function jobs(text: string, name = 'jobs.yaml'): string {
  const file = join(at, name)
  writeFileSync(file, text)
  return file
}

function run(file: string, more: readonly string[] = [], stage: Partial<Stage> = {}) {
  const out = more.includes('--dry-run') ? [] : ['--out', join(at, 'out')]
  return perform(['run', file, ...out, ...more], { program: [process.execPath, acting, record], ...stage })
}

interface Recorded {
  readonly words?: readonly string[]
  readonly threads?: string | null
  readonly signal?: string
  readonly waiting?: boolean
}

/** Whole lines alone: another process may be writing the last one. */
const recorded = (): readonly Recorded[] =>
  existsSync(record)
    ? readFileSync(record, 'utf8')
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line))
    : []

const wordsRun = () => recorded().flatMap(({ words }) => (words ? [words.join(' ')] : []))

describe('a file of jobs', () => {
  test('multiplies a job by those lists of the matrix that it names', async () => {
    const file = jobs(`
matrix:
  data: [flowers, clothing]
  seed: [0, 1]
options: { epochs: 3 }
jobs:
  - name: train-{data}-{seed}
    run: train {data}
    options: { seed: '{seed}', out: 'runs/{data}-{seed}', overwrite: true }
  - run: [train, '{data}', --out, 'x {data}']
    options: { noChecks: true }
`)
    const { exitCode, stdout } = await run(file, ['--dry-run'])
    expect({ exitCode, stdout }).toEqual({
      exitCode: 0,
      stdout: [
        'regraft train flowers --epochs=3 --seed=0 --out=runs/flowers-0 --overwrite',
        'regraft train flowers --epochs=3 --seed=1 --out=runs/flowers-1 --overwrite',
        'regraft train clothing --epochs=3 --seed=0 --out=runs/clothing-0 --overwrite',
        'regraft train clothing --epochs=3 --seed=1 --out=runs/clothing-1 --overwrite',
        "regraft train flowers --out 'x flowers' --epochs=3 --no-checks",
        "regraft train clothing --out 'x clothing' --epochs=3 --no-checks",
        '',
      ].join('\n'),
    })
  })

  test.each<[string, string, RegExp]>([
    ['no jobs', 'jobs: []', /'jobs' must be a list/],
    ['an unknown key', 'jobs: [{ rum: train x }]', /job 1 has the key 'rum'.*Did you mean 'run'\?/],
    ['a key twice', 'jobs: [{ run: train x }]\njobs: []', /cannot be read/],
    ['an alias', 'jobs: &a [{ run: train x }]\nmatrix: *a', /cannot be read/],
    [
      'a gap without values',
      'matrix: { seed: [1] }\njobs: [{ run: "train x --seed {sed}" }]',
      /the gap \{sed\}.*Did you mean \{seed\}\?/,
    ],
    ['quotes', `jobs: [{ run: "train 'my data'" }]`, /there is no shell/],
    [
      'no list in the matrix',
      'matrix: { seed: 1 }\njobs: [{ run: "train x --seed {seed}" }]',
      /no list of values for 'seed'/,
    ],
    [
      'an option of another command',
      'jobs: [{ run: train x, options: { topk: 3 } }]',
      /job 1 .*unknown option '--topk/,
    ],
    ['a wrong value', 'jobs: [{ run: train x, options: { epochs: ten } }]', /--epochs: 'ten' is not a whole number/],
    [
      'several mistakes',
      'jobs: [{ run: trian x }, { run: predict m x --topk 0 }]',
      /job 1 .*'trian'[\s\S]*job 2 .*--topk: '0'/,
    ],
    ['another file of jobs', 'jobs: [{ run: run other.yaml }]', /cannot run another file/],
    ['one name for two', 'jobs: [{ name: a, run: train x }, { name: A, run: train y }]', /two jobs are called 'A'/],
    [
      'one folder for two',
      'matrix: { seed: [0, 1] }\njobs: [{ run: "train x --out o --seed {seed}" }]',
      /both write to --out o/,
    ],
    [
      'too many',
      `matrix: { a: [${'1,'.repeat(101)}1], b: [${'1,'.repeat(101)}1] }\njobs: [{ run: "train {a} --out {b}" }]`,
      /more than 10000/,
    ],
  ])('with %s is refused before anything runs', async (_, text, message) => {
    const { exitCode, stdout, stderr } = await run(jobs(text))
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' })
    expect(stderr).toMatch(message)
    expect(recorded()).toEqual([])
    expect(existsSync(join(at, 'out'))).toBe(false)
  })

  test('may be JSON', async () => {
    const { stdout } = await run(jobs('{"jobs": [{"run": "train x"}]}', 'jobs.json'), ['--dry-run'])
    expect(stdout).toBe('regraft train x\n')
  })
})

describe('a batch', () => {
  test('runs its jobs in their order, keeps what they say, and sums up', async () => {
    const file = jobs(
      `jobs: [{ name: first, run: predict m x }, { name: second, run: train d --out=${join(at, 'run')} }]`,
    )
    const { exitCode, stdout } = await run(file, ['--threads', '2'])
    expect(exitCode).toBe(0)
    expect(wordsRun()).toEqual(['predict m x', `train d --out=${join(at, 'run')}`])
    expect(recorded()[0]?.threads).toBe('2')
    expect(readFileSync(join(at, 'out', 'logs', 'first.out'), 'utf8')).toBe('rows of predict m x\n')
    expect(readFileSync(join(at, 'out', 'logs', 'first.log'), 'utf8')).toBe('said by predict m x\n')
    expect(stdout.replace(/ +[\d.]+ s/g, ' T')).toBe(
      [
        'job     state  exit   time  val accuracy',
        'first   done      0 T',
        'second  done      0 T        75.0 %',
        '',
      ].join('\n'),
    )
    const summary = JSON.parse(readFileSync(join(at, 'out', 'summary.json'), 'utf8'))
    expect(summary).toMatchObject({
      done: 2,
      failed: 0,
      not_run: 0,
      jobs: [{ val_accuracy: null }, { val_accuracy: 0.75 }],
    })
  })

  test('stops at the first failure with its code, and says what was not run', async () => {
    const file = jobs('jobs: [{ run: predict a x }, { run: predict exits-3 x }, { run: predict b x }]')
    const { exitCode, stdout, stderr } = await run(file, ['--json'])
    expect(exitCode).toBe(3)
    expect(wordsRun()).toEqual(['predict a x', 'predict exits-3 x'])
    expect(JSON.parse(stdout)).toMatchObject({ done: 1, failed: 1, not_run: 1 })
    expect(stderr).toMatch(/2-predict failed with 3: .*2-predict\.log/)
  })

  test('goes on with --keep-going, and exits with the first code', async () => {
    const file = jobs('jobs: [{ run: predict exits-7 x }, { run: predict exits-3 x }, { run: predict b x }]')
    const { exitCode, stdout } = await run(file, ['--keep-going', '--json'])
    expect(exitCode).toBe(7)
    expect(JSON.parse(stdout)).toMatchObject({ done: 1, failed: 2, not_run: 0 })
  })

  test.skipIf(process.platform === 'win32')('names a job that was killed, as when memory runs out', async () => {
    const { exitCode, stdout } = await run(jobs('jobs: [{ run: predict dies x }]'), ['--json'])
    expect(exitCode).toBe(6)
    expect(JSON.parse(stdout)).toMatchObject({ jobs: [{ state: 'failed', exit_code: 137 }] })
  })

  test('is not begun twice by mistake; --resume runs only what is not done', async () => {
    const file = jobs(
      `jobs: [{ run: predict a x }, { run: train --model once d --out=${join(at, 'run')} }, { run: predict b x }]`,
    )
    expect((await run(file)).exitCode).toBe(4)
    const again = await run(file)
    expect(again.exitCode).toBe(2)
    expect(again.stderr).toMatch(/run already.*--resume/)
    const resumed = await run(file, ['--resume', '--json'])
    expect(resumed.exitCode).toBe(0)
    expect(wordsRun().slice(2)).toEqual([`train --resume ${join(at, 'run')}`, 'predict b x'])
    expect(JSON.parse(resumed.stdout).jobs.map(({ before }: { before: boolean }) => before)).toEqual([
      true,
      false,
      false,
    ])
    const done = await run(file, ['--resume'])
    expect(done).toMatchObject({ exitCode: 0 })
    expect(wordsRun()).toHaveLength(4)
  })

  test('runs a job again whose command line has changed', async () => {
    await run(jobs('jobs: [{ name: a, run: predict m x }]'))
    await run(jobs('jobs: [{ name: a, run: predict m y }]'), ['--resume'])
    expect(wordsRun()).toEqual(['predict m x', 'predict m y'])
  })

  test('keeps names of files tame', async () => {
    await run(jobs(`jobs: [{ name: "../../e v/il\\e", run: predict m x }]`.replace('\\e', '\\\\e')))
    expect(readdirSync(join(at, 'out', 'logs')).sort()).toEqual(['e_v_il_e.log', 'e_v_il_e.out'])
  })

  test.skipIf(process.platform === 'win32').each<[StopSignal, number]>([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ])('passes %s on once, waits for the job, and exits with %d', async (signal, code) => {
    const file = jobs('jobs: [{ run: predict waits x }, { run: predict b x }]')
    const { exitCode, stderr, stdout } = await run(file, ['--json'], {
      onStart(send) {
        const looking = setInterval(() => {
          if (!recorded().some(({ waiting }) => waiting)) return
          clearInterval(looking)
          send(signal)
        }, 20)
      },
    })
    expect(exitCode).toBe(code)
    expect(recorded().filter((line) => line.signal !== undefined)).toEqual([{ signal }])
    expect(wordsRun()).toEqual(['predict waits x'])
    expect(JSON.parse(stdout)).toMatchObject({ failed: 1, not_run: 1, jobs: [{ exit_code: code }, {}] })
    expect(stderr).toMatch(/Go on with: regraft run .*jobs\.yaml --resume --out /)
  })
})
