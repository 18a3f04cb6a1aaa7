import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { scanImages } from '../../src/data/image-folder.ts'
import { loadData } from '../../src/data/load-data.ts'
import { manifestFiles } from '../../src/data/manifest-files.ts'
import { fill, plainPng, temporaryFolder } from './pictures.ts'

const paths = (samples: readonly { path: string }[]) => samples.map(({ path }) => path)
const pictures = { 'p/1.png': undefined, 'p/2.png': undefined, 'p/3.png': undefined, 'p/4.png': undefined }

async function withManifest(name: string, text: string): Promise<string> {
  const root = temporaryFolder()
  await fill(root, pictures)
  await writeFile(join(root, name), text)
  return join(root, name)
}

test('CSV and JSON Lines say the same', async () => {
  const csv = await withManifest(
    'm.csv',
    '\ufeffpath,label,split,group,weight,camera\r\np/2.png,"b, c",val,g1,0.5,x\r\np/1.png,a,train,,,\r\np/3.png,a,Training,g2,2,\r\np/4.png,"b, c",test,,,\r\n',
  )
  const jsonl = await withManifest(
    'm.jsonl',
    [
      { path: 'p/2.png', label: 'b, c', split: 'val', group: 'g1', weight: 0.5, camera: 'x' },
      { path: './p/1.png', label: 'a', split: 'train' },
      { path: 'p/3.png', label: 'a', split: 'training', group: 'g2', weight: '2', group2: null },
      { path: 'p/4.png', label: 'b, c', split: 'test' },
    ]
      .map((row) => `${JSON.stringify(row)}\n`)
      .join('\n'),
  )
  const strip = ({ files }: Awaited<ReturnType<typeof manifestFiles>>) => files.map(({ file: _, ...rest }) => rest)
  const expected = [
    { path: 'p/1.png', label: 'a', part: 'train' },
    { path: 'p/2.png', label: 'b, c', part: 'val', group: 'g1', weight: 0.5 },
    { path: 'p/3.png', label: 'a', part: 'train', group: 'g2', weight: 2 },
    { path: 'p/4.png', label: 'b, c', part: 'test' },
  ]
  expect(strip(await manifestFiles(csv))).toEqual(expected)
  expect(strip(await manifestFiles(jsonl))).toEqual(expected)
})

test('names are kept exactly, whatever they are', async () => {
  const labels = ['__proto__', 'constructor', '10', '9', '1', 'ß', 'İ', 'a b', '=1', "'=1", '😀', ' x']
  const root = temporaryFolder()
  const rows: string[] = []
  const spreadsheet: string[] = ['path,label']
  for (const [i, label] of labels.entries()) {
    await fill(root, { [`${i}.png`]: undefined })
    rows.push(JSON.stringify({ path: `${i}.png`, label }))
    // As regraft itself writes what a spreadsheet would take for a formula.
    spreadsheet.push(`${i}.png,${/^'*=/.test(label) ? `'${label}` : label}`)
  }
  await writeFile(join(root, 'm.jsonl'), rows.join('\n'))
  await writeFile(join(root, 'm.csv'), spreadsheet.join('\n'))
  for (const name of ['m.jsonl', 'm.csv']) {
    const { classes, samples } = await scanImages(join(root, name))
    expect(new Set(classes)).toEqual(new Set(labels))
    for (const { path, label } of samples) expect(classes[label]).toBe(labels[Number.parseInt(path, 10)])
  }
})

test('a number as a label is its text', async () => {
  const file = await withManifest('m.jsonl', '{"path":"p/1.png","label":10}\n{"path":"p/2.png","label":"9"}')
  expect((await scanImages(file)).classes).toEqual(['10', '9'])
})

describe('is refused with its line:', () => {
  const cases: Readonly<Record<string, readonly [string, RegExp]>> = {
    'no-path.csv': ['file,label\na,b\n', /no column 'path' in its first line, which has 'file', 'label'/],
    'semicolons.csv': ['path;label\na;b\n', /Cells are separated by commas/],
    'twice.csv': ['path,path\na,b\n', /'path' is there twice/],
    'empty.csv': ['', /the manifest is empty/],
    'header.csv': ['path,label\n', /names no picture/],
    'split.csv': ['path,label,split\np/1.png,a,dev\n', /line 2: split is 'dev'; train, val and test/],
    'weight.csv': ['path,label,weight\np/1.png,a,-1\n', /line 2: weight is '-1'/],
    'unlabelled.csv': ['path,label\np/1.png,a\np/2.png,\n', /line 3: 'p\/2\.png' has no label/],
    'again.csv': ['path,label\np/1.png,a\np/1.png,b\n', /line 3: 'p\/1\.png' is named on line 2 already/],
    'cells.csv': ['path,label\np/1.png\n', /line 2: another number of cells/],
    'gone.csv': [
      'path,label\nq/1.png,a\nq/2.png,b\n',
      /none of its 2 pictures is there; the first is looked for at .*q\/1\.png/,
    ],
    'list.jsonl': ['["p/1.png","a"]\n', /line 1: expected an object/],
    'json.jsonl': ['{"path":"p/1.png","label":"a"}\n{"path":\n', /line 2/],
    'nested.jsonl': ['{"path":"p/1.png","label":{"a":1}}\n', /line 1: label is neither text nor a number/],
    'lost.jsonl': ['{"label":"a"}\n', /line 1: there is no path/],
  }
  test.each(Object.keys(cases))('%s', async (name) => {
    const [text, message] = cases[name] ?? ['', /never/]
    const file = await withManifest(name, text)
    await expect(manifestFiles(file)).rejects.toMatchObject({ code: 'data', message: expect.stringMatching(message) })
  })
})

test('files that are not there are skipped and named', async () => {
  const file = await withManifest('m.csv', 'path,label\np/1.png,a\np/2.png,b\np/9.png,b\np,b\n')
  const { files, skipped } = await manifestFiles(file)
  expect(paths(files)).toEqual(['p/1.png', 'p/2.png'])
  expect(skipped).toEqual([
    { path: 'p', reason: 'is a folder' },
    { path: 'p/9.png', reason: 'does not exist' },
  ])
})

describe('as data', () => {
  test('its split is taken, and rows without one train', async () => {
    const file = await withManifest(
      'm.csv',
      'path,label,split\np/1.png,a,\np/2.png,b,train\np/3.png,b,val\np/4.png,a,test\n',
    )
    const data = await loadData(file, { seed: 1 })
    expect([data.train, data.validation, data.test].map(paths)).toEqual([
      ['p/1.png', 'p/2.png'],
      ['p/3.png'],
      ['p/4.png'],
    ])
    expect(data.root).toBe(join(file, '..'))
  })

  test('another choice of validation leaves its own out, named', async () => {
    const file = await withManifest('m.csv', 'path,label,split\np/1.png,a,train\np/2.png,b,train\np/3.png,b,val\n')
    const data = await loadData(file, { seed: 1, validation: 0 })
    expect(paths(data.train)).toEqual(['p/1.png', 'p/2.png'])
    expect(data.skipped).toEqual([{ path: 'p/3.png', reason: 'is set apart by the data, but another choice was made' }])
  })

  test('may name the validation of a folder; training takes the rest', async () => {
    const root = temporaryFolder()
    await fill(root, {
      'a/1.png': undefined,
      'a/2.png': undefined,
      'b/1.png': undefined,
      'val.csv': 'path,label\na/2.png,a\n',
    })
    const data = await loadData(root, { seed: 1, validation: 'val.csv' })
    expect([data.train, data.validation].map(paths)).toEqual([['a/1.png', 'b/1.png'], ['a/2.png']])
  })

  test('its groups, or another column as groups, are never divided', async () => {
    const root = temporaryFolder()
    const lines = ['path,label,group,patient']
    for (let i = 0; i < 60; i++) {
      await writeFile(join(root, `${i}.png`), await plainPng([i, 0, 0]))
      lines.push(`${i}.png,${i % 2 ? 'a' : 'b'},${i % 15},${Math.floor(i / 6)}`)
    }
    await writeFile(join(root, 'm.csv'), lines.join('\n'))
    for (const [groupBy, groupOf] of [
      [undefined, (i: number) => i % 15],
      ['patient', (i: number) => Math.floor(i / 6)],
      ['^(\\d)', (i: number) => i % 15],
    ] as const) {
      const data = await loadData(join(root, 'm.csv'), { seed: 2, validation: 0.3, groupBy })
      const groups = (samples: readonly { path: string }[]) =>
        new Set(paths(samples).map((path) => groupOf(Number.parseInt(path, 10))))
      const learned = groups(data.train)
      expect(data.validation.length).toBeGreaterThan(0)
      expect([...groups(data.validation)].filter((group) => learned.has(group))).toEqual([])
    }
  })
})
