import { expect, test } from 'vitest'
import { csvNumber, csvRows, csvText, plainText } from '../../src/vectors/csv.ts'

async function read(...pieces: readonly string[]): Promise<string[][]> {
  const rows: string[][] = []
  for await (const { cells } of csvRows(pieces, 'x.csv')) rows.push([...cells])
  return rows
}

test('what a spreadsheet would compute gets a single quote in front', () => {
  expect(['=1', '+1', '-1', '@a', '\tx', '\rx', '＝1'].map(csvText)).toEqual([
    "'=1",
    "'+1",
    "'-1",
    "'@a",
    "'\tx",
    '"\'\rx"',
    "'＝1",
  ])
  expect(['a=1', ' =1', "'tis", '', '1'].map(csvText)).toEqual(['a=1', ' =1', "'tis", '', '1'])
})

test('quotes, commas and line ends are quoted', () => {
  expect(['a,b', 'a"b', 'a\nb', 'a\rb'].map(csvText)).toEqual(['"a,b"', '"a""b"', '"a\nb"', '"a\rb"'])
})

test('every text comes back from its cell', async () => {
  const texts = ['a', '', "'", "'=1", "''+1", '=1', 'a,"b"\r\n,', '"', '""', "'tis", '-', '\t"', 'ü😀']
  const rows = await read(`${texts.map((text) => `${csvText(text)},x`).join('\n')}\n`)
  expect(rows.map(([cell = '']) => plainText(cell))).toEqual(texts)
})

test('numbers have six significant digits, and no cell without a number', () => {
  expect([0.123456789, 1e-7, -0.5, 1, 1234567, null, Number.NaN].map(csvNumber)).toEqual([
    '0.123457',
    '1e-7',
    '-0.5',
    '1',
    '1234570',
    '',
    '',
  ])
})

test('both line ends, a byte-order mark, a missing last end and empty cells are read', async () => {
  expect(await read('\ufeffa,b\r\n,\n"",c')).toEqual([
    ['a', 'b'],
    ['', ''],
    ['', 'c'],
  ])
  expect(await read('a,')).toEqual([['a', '']])
  expect(await read('')).toEqual([])
})

test('rows may be cut anywhere between the pieces, and know their lines', async () => {
  const text = 'a,b\n"c\n""d",e\r\nf,g\n'
  for (let cut = 0; cut <= text.length; cut++) {
    const rows: unknown[] = []
    for await (const row of csvRows([text.slice(0, cut), text.slice(cut)], 'x.csv')) rows.push(row)
    expect(rows).toEqual([
      { cells: ['a', 'b'], line: 1 },
      { cells: ['c\n"d', 'e'], line: 2 },
      { cells: ['f', 'g'], line: 4 },
    ])
  }
})

test.each([
  ['a,b\nc\n', /line 2: another number of cells/],
  ['a\n"b', /line \d: a quoted cell does not end/],
  ['a\nb"c', /line 2: a quote inside a cell/],
  ['"a\nb"c', /line 2: text between/],
  [`a\n"${'x'.repeat(2 ** 21)}`, /more than 1048576 characters/],
])('%.20j is refused with its line', async (text, expected) => {
  await expect(read(text)).rejects.toMatchObject({ code: 'data', message: expect.stringMatching(expected) })
})

test('who stops in the middle leaves nothing behind', async () => {
  for await (const { cells } of csvRows(['a\n', 'b\n'], 'x.csv')) {
    expect(cells).toEqual(['a'])
    break
  }
})

test('trouble of the source is heard as it is', async () => {
  async function* failing() {
    yield 'a\n'
    throw new Error('the disk')
  }
  const rows = csvRows(failing(), 'x.csv')
  await expect(
    (async () => {
      for await (const _ of rows);
    })(),
  ).rejects.toThrow('the disk')
})
