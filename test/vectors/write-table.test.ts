import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parquetMetadata, parquetReadObjects } from 'hyparquet'
import { expect, test } from 'vitest'
import { openSafetensors } from '../../src/formats/safetensors.ts'
import type { VectorTable } from '../../src/vectors/vector-table.ts'
import { type VectorFormat, vectorFiles, writeTable } from '../../src/vectors/write-table.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { tableOf } from './some-table.ts'

const NaNs = [Number.NaN, Number.NaN, Number.NaN]
const names = ['a.jpg', '=1+1', 'naïve, "quoted"\n\u{1f33c}.png', 'broken.jpg', 'e']
const table = tableOf(
  [
    { name: 'stage4', columns: 3, values: [1, 2, 3, 0.1, -1e-7, 3.4e38, 7, 8, 9, ...NaNs, 0, -0, 5] },
    { name: 'head.x', columns: 1, values: [1, 2, 3, Number.NaN, 5] },
  ],
  (row) => ({
    path: names[row] ?? '',
    label: row === 1 ? 'rose' : null,
    error: row === 3 ? 'is not an image but text' : null,
  }),
)
const single: VectorTable = { ...table, arrays: table.arrays.slice(0, 1) }
const expected = [[1, 2, 3], [...Float32Array.of(0.1, -1e-7, 3.4e38)], [7, 8, 9], NaNs, [0, -0, 5]]

async function written(format: VectorFormat, of = single, type: 'float32' | 'float16' = 'float32'): Promise<string> {
  const folder = temporaryFolder()
  await writeTable(folder, of, { format, type })
  return folder
}

test('index.csv says which row is which input', async () => {
  const folder = await written('npy')
  expect(readFileSync(join(folder, 'index.csv'), 'utf8')).toBe(
    'row,path,label,error\n0,a.jpg,,\n1,\'=1+1,rose,\n2,"naïve, ""quoted""\n\u{1f33c}.png",,\n3,broken.jpg,,is not an image but text\n4,e,,\n',
  )
})

test('several layers have a file each as npy, and one together in other formats', () => {
  expect(vectorFiles('npy', table.arrays)).toEqual(['X.stage4.npy', 'X.head.x.npy'])
  expect(vectorFiles('npy', single.arrays)).toEqual(['X.npy'])
  expect(vectorFiles('npz', table.arrays)).toEqual(['X.npz'])
  expect(vectorFiles('npy', [{ name: '../a' }, { name: '.._a' }])).toEqual(['X..._a.npy', 'X..._a-2.npy'])
})

test('Parquet has a column for each feature, and path, label, error', async () => {
  const file = new Uint8Array(readFileSync(join(await written('parquet'), 'X.parquet'))).buffer
  const rows = await parquetReadObjects({ file })
  expect(rows.map(({ path }) => path)).toEqual(names)
  expect(rows.map(({ label }) => label)).toEqual([null, 'rose', null, null, null])
  expect(rows[3]).toMatchObject({ error: 'is not an image but text' })
  expect(rows.map(({ f0, f1, f2 }) => [f0, f1, f2])).toEqual(expected)
  const several = new Uint8Array(readFileSync(join(await written('parquet', table), 'X.parquet'))).buffer
  expect(parquetMetadata(several).schema.map(({ name }) => name)).toEqual([
    ...['root', 'path', 'label', 'error'],
    ...['stage4.f0', 'stage4.f1', 'stage4.f2', 'head.x.f0'],
  ])
  expect((await parquetReadObjects({ file: several })).map((row) => row['head.x.f0'])).toEqual([1, 2, 3, Number.NaN, 5])
})

test('safetensors are read back', async () => {
  const one = await openSafetensors(join(await written('safetensors'), 'X.safetensors'))
  expect([...(await one.read('X')).data]).toEqual(expected.flat())
  const several = await openSafetensors(join(await written('safetensors', table, 'float16'), 'X.safetensors'))
  expect([...(await several.read('head.x')).data]).toEqual([1, 2, 3, Number.NaN, 5])
  expect((await several.read('stage4')).shape).toEqual([5, 3])
})

test('CSV and JSON Lines have all digits, and nothing where there is no vector', async () => {
  const csv = readFileSync(join(await written('csv'), 'X.csv'), 'utf8')
  expect(csv.split('\n').slice(0, 3)).toEqual([
    'row,path,label,error,f0,f1,f2',
    '0,a.jpg,,,1,2,3',
    "1,'=1+1,rose,,0.100000001,-1.00000001e-7,3.39999995e+38",
  ])
  expect(csv).toContain('\n3,broken.jpg,,is not an image but text,,,\n')
  const lines = readFileSync(join(await written('jsonl', table), 'X.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
  const rows = lines.map((line) => JSON.parse(line))
  expect(rows[2]).toEqual({
    row: 2,
    path: names[2],
    label: null,
    error: null,
    vectors: { stage4: [7, 8, 9], 'head.x': [3] },
  })
  expect(rows[3]).toMatchObject({ vectors: { stage4: null, 'head.x': null } })
  expect(rows[1].vectors.stage4.map(Math.fround)).toEqual(expected[1])
})

const python = '/usr/bin/python3'
const hasNumPy = spawnSync(python, ['-c', 'import numpy']).status === 0

test.skipIf(!hasNumPy)('NumPy reads .npy and .npz', async () => {
  const script = `
import json, sys, numpy
x = numpy.load(sys.argv[1] + '/X.npy')
z = numpy.load(sys.argv[2] + '/X.npz')
print(json.dumps([str(x.dtype), x.shape, z.files, str(z['stage4'].dtype), z['stage4'].shape, z['head.x'][:3, 0].tolist(), bool(numpy.isnan(x[3]).all())]))
`
  const folders = [await written('npy'), await written('npz', table, 'float16')]
  expect(JSON.parse(execFileSync(python, ['-c', script, ...folders], { encoding: 'utf8' }))).toEqual([
    'float32',
    [5, 3],
    ['stage4', 'head.x'],
    'float16',
    [5, 3],
    [1, 2, 3],
    true,
  ])
})

test('a format without half precision refuses it', async () => {
  await expect(written('csv', single, 'float16')).rejects.toMatchObject({ code: 'usage' })
})
