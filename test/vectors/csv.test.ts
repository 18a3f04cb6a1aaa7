import { expect, test } from 'vitest'
import { csvNumber, csvText, parseCsv, plainText } from '../../src/vectors/csv.ts'

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

test('every text comes back from its cell', () => {
  const texts = ['a', '', "'", "'=1", "''+1", '=1', 'a,"b"\r\n,', '"', '""', "'tis", '-', '\t"', 'ü😀']
  const rows = parseCsv(`${texts.map((text) => `${csvText(text)},x`).join('\n')}\n`, 'x.csv')
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

test('both line ends, a missing last one and empty cells are read', () => {
  expect(parseCsv('a,b\r\n,\n"",c', 'x.csv')).toEqual([
    ['a', 'b'],
    ['', ''],
    ['', 'c'],
  ])
  expect(parseCsv('a,', 'x.csv')).toEqual([['a', '']])
  expect(parseCsv('', 'x.csv')).toEqual([])
})

test.each([
  ['a,b\nc\n', 'line 2: 1 cells, expected 2'],
  ['a\n"b', 'line 2: a quoted cell does not end'],
  ['a\nb"c', 'line 2: a quote inside a cell'],
  ['"a\nb"c', 'line 2: text between'],
])('%j is refused with its line', (text, expected) => {
  expect(() => parseCsv(text, 'x.csv')).toThrow(expected)
})
