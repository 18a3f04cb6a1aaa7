// What a newcomer gets wrong, through the real command line: one clear message, the right exit code, nothing left behind.
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { regraft } from './command-line.ts'
import { drawFolder } from './drawn-pictures.ts'
import { savedModel } from './random-model.ts'

const folder = temporaryFolder()
const data = join(folder, 'flowers')
const trunk = join(folder, 'trunk')
const classifier = join(folder, 'classifier')
const out = join(folder, 'run')

beforeAll(async () => {
  await drawFolder(data, 4)
  await savedModel(trunk, 'mobilenetv1_025')
  await savedModel(classifier, 'mobilenetv1_025', { labels: ['bars', 'disc', 'stairs'] })
})

/** A copy with something wrong. */
function copyOf(source: string, name: string, spoil: (copy: string) => void): string {
  const copy = join(folder, name)
  cpSync(source, copy, { recursive: true })
  spoil(copy)
  return copy
}

/** Runs words that must fail: with this code, these parts in one message, and a folder that is as it was. */
async function fails(words: readonly string[], exitCode: number, ...parts: (string | RegExp)[]): Promise<string> {
  const before = treeOf(folder)
  const ran = await regraft(words)
  expect({ exitCode: ran.exitCode, stdout: ran.stdout }, ran.stderr).toEqual({ exitCode, stdout: '' })
  for (const part of parts) expect(ran.stderr).toMatch(part)
  expect(ran.stderr.match(/^regraft: /gm), ran.stderr).toHaveLength(1)
  expect(ran.stderr).not.toMatch(/^\s+at |node:internal|\bbug\b/m)
  expect(treeOf(folder)).toEqual(before)
  return ran.stderr
}

function treeOf(root: string): readonly string[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' }).sort()
}

const trainWith = (dataFolder: string, ...more: readonly string[]) => [
  'train',
  dataFolder,
  '--model',
  trunk,
  '--out',
  out,
  '--mode',
  'features',
  ...more,
]

describe('data', () => {
  test('a folder that is not there is answered with its neighbour', async () => {
    await fails(trainWith(join(folder, 'flwoers')), 3, /no folder .*flwoers/, /Did you mean 'flowers'\?/)
  })

  test('a file in the place of the folder is told', async () => {
    await fails(trainWith(join(data, 'bars', '0.png')), 3, /0\.png is not a folder/, /a folder per class/)
  })

  test('one class is too few', async () => {
    const one = copyOf(data, 'one', (copy) => {
      for (const name of ['disc', 'stairs']) rmSync(join(copy, name), { recursive: true })
    })
    await fails(trainWith(one), 3, /one class only: 'bars'/, /at least two/)
  })

  test('an empty class folder is named', async () => {
    const empty = copyOf(data, 'empty', (copy) => mkdirSync(join(copy, 'tulip')))
    await fails(trainWith(empty), 3, /'tulip'/, /Put pictures in, or remove the folder/)
  })

  test('a folder of pictures without class folders is explained', async () => {
    await fails(trainWith(join(data, 'bars')), 3, /lie in no class folder/, /Make a folder per class/)
  })

  test('a class whose pictures are all broken is named', async () => {
    const broken = copyOf(data, 'broken-class', (copy) => {
      for (const name of readdirSync(join(copy, 'disc')))
        writeFileSync(join(copy, 'disc', name), '\x89PNG\r\n\x1a\nbroken')
    })
    await fails(
      trainWith(broken),
      3,
      /No readable training picture in class disc/,
      /The first that cannot be: disc.*png: /,
    )
  })

  test('too many broken pictures stop the training and the limit is told', async () => {
    const many = copyOf(data, 'many-broken', (copy) => {
      for (const name of ['bars/0', 'bars/1', 'disc/0', 'stairs/1']) writeFileSync(join(copy, `${name}.png`), 'GIF89a')
    })
    await fails(trainWith(many, '--max-bad', '10'), 3, /More than 10 % of the pictures/, /Raise --max-bad/)
  })

  describe('an image that is not one', () => {
    const messy = join(folder, 'messy')
    beforeAll(() => {
      copyOf(data, 'messy', (copy) => writeFileSync(join(copy, 'bars', 'notes.jpg'), 'Buy milk.'))
    })

    test('is named and left out, and the training succeeds', async () => {
      const run = join(folder, 'messy-run')
      const ran = await regraft(['train', messy, '--model', trunk, '--out', run, '--mode', 'features'])
      expect(ran.exitCode, ran.stderr).toBe(0)
      expect(ran.stderr).toMatch(/bars\/notes\.jpg/)
      expect(ran.stderr).toContain('1 left out')
      const bad = readFileSync(join(run, 'bad.jsonl'), 'utf8')
      expect(JSON.parse(bad)).toMatchObject({ path: 'bars/notes.jpg', reason: expect.any(String) })
    })

    test('stops a strict training with 3 before the first epoch', async () => {
      const stderr = await fails(trainWith(messy, '--strict'), 3, /bars\/notes\.jpg/, /--strict/)
      expect(stderr).not.toMatch(/^epoch /m)
    })

    test('gives a strict prediction 7, with a row for every input', async () => {
      const ran = await regraft(['predict', classifier, join(messy, 'bars'), '--strict'])
      expect(ran.exitCode, ran.stderr).toBe(7)
      const rows = ran.stdout.trimEnd().split('\n')
      expect(rows).toHaveLength(1 + 5)
      expect(rows.filter((row) => /notes\.jpg,,,./.test(row))).toHaveLength(1)
    })

    test('ends a training with --on-error stop at once', async () => {
      await fails(trainWith(messy, '--on-error', 'stop'), 3, /notes\.jpg/)
    })
  })
})

describe('models', () => {
  test('an unknown model is answered with a near name', async () => {
    await fails(
      ['train', data, '--model', 'defualt', '--out', out],
      4,
      /no model 'defualt'/,
      /Did you mean 'default'\?/,
    )
  })

  test('so is a path with something like it beside it', async () => {
    const meant = new RegExp(`Did you mean '${trunk}'\\?`)
    await fails(['train', data, '--model', `${trunk}k`, '--out', out], 4, meant)
  })

  test('and the name of a network', async () => {
    await fails(['train', data, '--model', 'mobilenetv2_10', '--out', out], 4, /Did you mean 'mobilenetv2_100'\?/)
  })

  test('an architecture without weights is explained', async () => {
    await fails(['train', data, '--model', 'mobilenetv1_025', '--out', out], 4, /is an architecture/, /--no-pretrained/)
  })

  test('an unknown architecture in config.json is answered with a near name', async () => {
    const other = copyOf(trunk, 'other-architecture', (copy) => {
      const file = join(copy, 'config.json')
      writeFileSync(file, readFileSync(file, 'utf8').replace('mobilenetv1_025', 'mobilenetv1_25'))
    })
    await fails(
      ['train', data, '--model', other, '--out', out],
      4,
      /mobilenetv1_25/,
      /Did you mean 'mobilenetv1_025'\?/,
    )
  })

  test('a folder without weights names the file that is missing', async () => {
    const without = copyOf(trunk, 'without', (copy) => rmSync(join(copy, 'model.safetensors')))
    await fails(['predict', without, data], 4, /no model\.safetensors in .*without/)
  })

  test.each([0, 4, 1000, 200_000])('weights cut to %d bytes are named', async (bytes) => {
    const cut = copyOf(classifier, `cut-${bytes}`, (copy) => {
      const file = join(copy, 'model.safetensors')
      writeFileSync(file, readFileSync(file).subarray(0, bytes))
    })
    await fails(['predict', cut, data], 4, /cut-\d+\/model\.safetensors/)
  })

  test('weights that do not fit config.json are told with both shapes', async () => {
    const wide = copyOf(trunk, 'wide', (copy) => {
      const file = join(copy, 'config.json')
      writeFileSync(file, readFileSync(file, 'utf8').replace('mobilenetv1_025', 'mobilenetv1_050'))
    })
    await fails(
      ['train', data, '--model', wide, '--out', out],
      4,
      /does not fit the network/,
      /conv_stem\.weight \[8, 3, 3, 3\], expected \[16, 3, 3, 3\]/,
      /Is the architecture in config\.json/,
    )
  })

  test('another number of classes is told to be one', async () => {
    const five = copyOf(classifier, 'five', (copy) => {
      rmSync(join(copy, 'regraft.json'))
      const config = JSON.parse(readFileSync(join(copy, 'config.json'), 'utf8'))
      delete config.label_names
      writeFileSync(join(copy, 'config.json'), JSON.stringify({ ...config, num_classes: 5 }))
    })
    await fails(['predict', five, data], 4, /Only the classifier 'classifier'/, /correct num_classes/)
  })

  test.each([
    ['not JSON', 'architecture: mobilenetv1_025'],
    ['cut short', '{"architecture": "mobilenetv1_025",'],
    ['empty', ''],
    ['a list', '["mobilenetv1_025"]'],
  ])('a config.json that is %s is named', async (name, text) => {
    const odd = copyOf(trunk, `config ${name}`, (copy) => writeFileSync(join(copy, 'config.json'), text))
    await fails(['embed', data, '--model', odd, '--out', out], 4, /config\.json/)
  })

  test('a model without a classifier cannot predict, and the way on is told', async () => {
    await fails(['predict', trunk, data], 4, /has no classifier/, /regraft train DATA --model/)
  })
})

describe('the folder to write', () => {
  const file = join(folder, 'a-file')
  beforeAll(() => writeFileSync(file, 'mine'))

  test('below a file it cannot be made', async () => {
    await fails(['train', data, '--model', trunk, '--out', join(file, 'run')], 2, /a-file is a file/)
    await fails(['embed', data, '--model', trunk, '--out', join(file, 'vectors')], 2, /a-file is a file/)
    await fails(['predict', classifier, data, '--out', join(file, 'rows.csv')], 2, /a-file/)
  })

  test('a file in its place is left alone', async () => {
    await fails(['train', data, '--model', trunk, '--out', file], 2, /is a file, not a folder/)
    expect(readFileSync(file, 'utf8')).toBe('mine')
  })

  test.skipIf(!existsSync('/proc/self'))('in a place that takes no files it is refused', async () => {
    await fails(['train', data, '--model', trunk, '--out', '/proc/regraft'], 2, /\/proc\/regraft/)
  })

  test('what is in it already is not touched', async () => {
    const full = join(folder, 'full')
    mkdirSync(full)
    writeFileSync(join(full, 'thesis.txt'), 'years of work')
    await fails(
      ['train', data, '--model', trunk, '--out', full],
      2,
      /is not empty, and holds files that are not a run.s/,
    )
    await fails(['train', data, '--model', trunk, '--out', full, '--overwrite'], 2, /thesis\.txt/, /another folder/)
    await fails(['embed', data, '--model', trunk, '--out', full, '--overwrite'], 2, /is not empty/)
    expect(readFileSync(join(full, 'thesis.txt'), 'utf8')).toBe('years of work')
  })

  test('a folder that is no run cannot be gone on with', async () => {
    await fails(['train', '--resume', data], 2, /there is no run in this folder/)
    await fails(['train', '--resume', join(folder, 'nowhere')], 2, /there is no run in this folder/)
  })
})

describe('memory', () => {
  // Batch norm that learns wants its whole batch.
  const little = [
    '--mode',
    'finetune',
    '--unfreeze',
    'all',
    '--bn',
    'train',
    '--max-memory',
    '40MiB',
    '--batch-size',
    '512',
  ]

  test('too little of it is told with what is needed and what to lower', async () => {
    const stderr = await fails(
      ['train', data, '--model', trunk, '--out', out, ...little],
      6,
      /batch of 512 needs [\d.]+ [MG]iB of memory; the limit is 40\.0 MiB/,
      /--batch-size/,
    )
    // Before the work begins.
    expect(stderr).not.toMatch(/^(features|epoch) /m)
  })

  test('the batch that is said to fit does fit', async () => {
    const { stderr } = await regraft(['train', data, '--model', trunk, '--out', out, ...little])
    const [, fits = ''] = /lower --batch-size to (\d+)/.exec(stderr) ?? []
    expect(Number(fits)).toBeGreaterThan(0)
    const run = join(folder, 'fits')
    const words = ['train', data, '--model', trunk, '--out', run, '--epochs', '1', ...little, '--batch-size', fits]
    const next = String(Number(fits) + 1)
    await fails([...words, '--batch-size', next], 6, new RegExp(`lower --batch-size to ${fits}`))
    const ran = await regraft(words)
    expect(ran.exitCode, ran.stderr).toBe(0)
  })

  test('too little for a single picture is told', async () => {
    const words = ['--mode', 'finetune', '--unfreeze', 'all', '--max-memory', '16MiB', '--img-size', '128']
    const all = ['train', data, '--model', trunk, '--out', out, '--threads', '1', ...words]
    await fails(all, 6, /needs [\d.]+ [MG]iB of memory; the limit is 16\.0 MiB/)
  })

  test('a part of a batch that cannot be meant is told', async () => {
    const words = ['train', data, '--model', trunk, '--out', out, '--mode', 'finetune', '--batch-size', '8']
    await fails([...words, '--micro-batch', '9'], 2, /--micro-batch 9 .*--batch-size/)
    await fails([...words, '--micro-batch', '4', '--bn', 'train-unfrozen'], 2, /--batch-size 4 --accum 2/)
  })

  test('too little for the workers is told', async () => {
    await fails(['predict', classifier, data, '--max-memory', '16MiB', '--threads', '32'], 6, /--threads/)
  })

  test('a batch that is too large for prediction is told', async () => {
    const tooLarge = ['predict', classifier, data, '--img-size', '2048', '--max-memory', '64MiB']
    await fails(tooLarge, 6, /the limit is 64\.0 MiB/, /--batch-size|--img-size/)
  })
})

describe('words', () => {
  test('an unknown option is answered with the nearest', async () => {
    await fails(trainWith(data, '--epoch', '3'), 2, /unknown option '--epoch'/, /Did you mean '--epochs'\?/)
  })

  test('bad values are all told at once', async () => {
    await fails(
      trainWith(data, '--epochs', 'ten', '--opt', 'adm', '--val', ''),
      2,
      /--epochs: 'ten' is not a whole number/,
      /Did you mean 'adam'\?/,
      /--val/,
    )
  })

  test('options that contradict each other are refused before anything is read', async () => {
    await fails(trainWith(data, '--unfreeze', 'all'), 2, /--unfreeze .*--mode finetune/)
    await fails(['train', data, '--no-pretrained', '--out', out], 2, /--no-pretrained/, /--mode finetune/)
  })

  test('a pattern of layers that matches nothing is told with those there are', async () => {
    const words = ['train', data, '--model', trunk, '--out', out, '--mode', 'finetune', '--unfreeze', 'stage:blok']
    await fails(words, 2, /blok/)
  })

  test('a list that is not there is told', async () => {
    await fails(trainWith(data, '--val', join(folder, 'val.txt')), 3, new RegExp(basename('val.txt')))
  })
})
