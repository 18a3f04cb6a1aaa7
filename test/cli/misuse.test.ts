import { expect, test } from 'vitest'
import { optimiserNames } from '../../src/optim/optimisers.ts'
import { perform } from './stage.ts'

const cases: readonly [string, readonly string[], readonly string[]][] = [
  ['an unknown command', ['trian', 'x'], ["unknown command 'trian'", "Did you mean 'train'?"]],
  [
    'an unknown option',
    ['train', 'x', '--epoch', '3'],
    ["unknown option '--epoch'", "Did you mean '--epochs'?", 'regraft train --help'],
  ],
  [
    'an option of another command',
    ['predict', 'm', 'x', '--gradual', '3'],
    ["unknown option '--gradual'", 'It is an option of train.'],
  ],
  ['a missing value', ['train', 'x', '--epochs'], ['--epochs <n>', 'argument missing']],
  ['a forgotten value', ['train', 'x', '--out', '--overwrite'], ['--out has no value', '--out=--overwrite']],
  ['a missing argument', ['eval', 'm'], ["missing required argument 'data'"]],
  ['too many arguments', ['eval', 'm', 'a', 'b'], ['too many arguments']],
  ['a word for a number', ['train', 'x', '--epochs', 'ten'], ["--epochs: 'ten'", 'a whole number from 1']],
  ['a fraction for a whole number', ['train', 'x', '--seed', '1.5'], ["--seed: '1.5'", 'a whole number from 0']],
  ['a number out of range', ['train', 'x', '--lr', '-1'], ["--lr: '-1' is out of range", 'a number above 0']],
  ['a hexadecimal number', ['train', 'x', '--epochs', '0x10'], ["--epochs: '0x10' is not a whole number"]],
  [
    'an end that is excluded',
    ['train', 'x', '--smoothing', '1'],
    ["--smoothing: '1' is out of range", 'from 0 to below 1'],
  ],
  [
    'an unknown word',
    ['train', 'x', '--opt', 'adm'],
    ["--opt: 'adm'", optimiserNames.join(', '), "Did you mean 'adam'?"],
  ],
  ['a size that is none', ['train', 'x', '--max-memory', '2 cats'], ["--max-memory: '2 cats'", '16MiB to 4GiB']],
  ['a size out of range', ['train', 'x', '--max-memory', '5GiB'], ["--max-memory: '5GiB' is out of range"]],
  ['an empty text', ['train', 'x', '--out', ''], ["--out: '' is empty"]],
  ['no data', ['train'], ['DATA is missing']],
  ['no inputs', ['predict', 'm'], ['INPUTS are missing']],
  ['stdin twice', ['predict', 'm', '-', '-'], ["'-' is given 2 times"]],
  ['an unknown ending', ['predict', 'm', 'x', '--out', 'a.xlsx'], ['a.xlsx', '.csv', '.jsonl', '.parquet']],
  ['two folders for one run', ['train', '--resume', 'a', '--out', 'b'], ['cannot be combined with --out']],
  ['an unknown topic', ['help', 'exit-code'], ["Did you mean 'exit-codes'?"]],
]

test.each(cases)('%s is explained and exits with 2', async (_, words, expected) => {
  const { exitCode, stdout, stderr } = await perform(words)
  expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' })
  expect(stderr).toMatch(/^regraft: /)
  for (const part of expected) expect(stderr).toContain(part)
  expect(stderr).not.toMatch(/^\s+at /m)
})

test('all wrong values are told at once', async () => {
  const { stderr } = await perform(['train', 'x', '--epochs', 'ten', '--opt', 'adm', '--threads', '0'])
  for (const flag of ['--epochs', '--opt', '--threads']) expect(stderr).toContain(`${flag}: `)
})

test('what was typed is shown without obeying it', async () => {
  const { stderr } = await perform(['train', 'x', '--opt', '\u001b[31mred\u202e'])
  expect(stderr).toContain('\\x1b[31mred\\u202e')
  expect(stderr).not.toContain('\u001b')
})

test("an error that is nobody's fault prints its stack, its cause and a request to report it, and exits with 1", async () => {
  const doctor = () => Promise.reject(new TypeError('x is \u001b not a function', { cause: new Error('deeper') }))
  const { exitCode, stderr, enginesClosed } = await perform(['doctor'], { verbs: { doctor } })
  expect(exitCode).toBe(1)
  expect(stderr).toContain('TypeError: x is')
  expect(stderr).toMatch(/^\s+at /m)
  expect(stderr).toContain('deeper')
  expect(stderr).toContain('this is a bug in regraft')
  expect(stderr).not.toContain('\u001b')
  expect(enginesClosed).toBe(1)
})
