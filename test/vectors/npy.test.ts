import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { writeFileAtomic } from '../../src/files/atomic-write.ts'
import { npyPieces } from '../../src/vectors/binary-table.ts'
import { openNpy, readNpy } from '../../src/vectors/npy.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { tableOf } from './some-table.ts'

const folder = temporaryFolder()

async function written(
  name: string,
  columns: number,
  values: readonly number[],
  type: 'float32' | 'float16' = 'float32',
) {
  const file = join(folder, name)
  await writeFileAtomic(file, npyPieces(tableOf([{ name: 'x', columns, values }]), 0, type))
  return file
}

const awkward = [1.5, -0, Number.NaN, 3.4e38, 1e-45, 6]

test('rows are read back bit by bit, all or some', async () => {
  const file = await written('X.npy', 2, awkward)
  const { rows, columns, values } = await readNpy(file)
  expect({ rows, columns }).toEqual({ rows: 3, columns: 2 })
  expect([...values]).toEqual([...Float32Array.from(awkward)])
  const matrix = await openNpy(file)
  expect([...(await matrix.readRows(1, 2))]).toEqual([...Float32Array.from(awkward.slice(2))])
})

test('half precision is read back rounded', async () => {
  const matrix = await openNpy(await written('half.npy', 2, [1.5, 0.1, -2048.5, 1e9]))
  expect(matrix.type).toBe('float32')
  const half = await openNpy(await written('half.npy', 2, [1.5, 0.1, -2049, 1e9], 'float16'))
  expect(half.type).toBe('float16')
  expect([...(await half.readRows(0, 2))]).toEqual([1.5, 0.0999755859375, -2048, Number.POSITIVE_INFINITY])
})

test('the header is what NumPy writes, and the values begin at a multiple of 64', async () => {
  for (const [rows, columns] of [
    [0, 5],
    [2, 1280],
    [1, 1],
  ] as const) {
    const file = await written('header.npy', columns, new Array(rows * columns).fill(0))
    const bytes = readFileSync(file)
    const length = bytes.readUInt16LE(8)
    expect(bytes.subarray(0, 8)).toEqual(Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0]))
    expect((10 + length) % 64).toBe(0)
    expect(bytes.length).toBe(10 + length + rows * columns * 4)
    const text = bytes.subarray(10, 10 + length).toString('latin1')
    expect(text).toMatch(
      new RegExp(`^\\{'descr': '<f4', 'fortran_order': False, 'shape': \\(${rows}, ${columns}\\), \\} *\\n$`),
    )
    expect(await readNpy(file)).toMatchObject({ rows, columns })
  }
})

test.each([
  ['another type', "{'descr': '<f8', 'fortran_order': False, 'shape': (1, 1), }", "expected '<f4'"],
  ['big-endian values', "{'descr': '>f4', 'fortran_order': False, 'shape': (1, 1), }", "expected '<f4'"],
  ['Fortran order', "{'descr': '<f4', 'fortran_order': True, 'shape': (1, 1), }", 'Fortran order'],
  ['one dimension', "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", 'expected two sizes'],
  ['three dimensions', "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1), }", 'expected two sizes'],
  ['more values than there are', "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }", 'announces [2, 1]'],
  [
    'a size beyond all bounds',
    "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 99999999999), }",
    'impossibly large',
  ],
  ['a key twice', "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1, 1), }", 'twice'],
  ['an unknown key', "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1), 'x': True}", "unknown key 'x'"],
  ['no dictionary', '[1, 2]', 'not a dictionary'],
])('%s is refused by name', async (_, header, expected) => {
  const file = join(folder, 'strange.npy')
  const text = Buffer.from(`${header}\n`, 'latin1')
  const start = Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, text.length & 255, text.length >> 8])
  writeFileSync(file, Buffer.concat([start, text, Buffer.alloc(4)]))
  await expect(readNpy(file)).rejects.toThrow(expected)
  await expect(readNpy(file)).rejects.toMatchObject({ code: 'data', file })
})

test('every truncation is an error', async () => {
  const bytes = readFileSync(await written('whole.npy', 3, [1, 2, 3]))
  const file = join(folder, 'cut.npy')
  for (let length = 0; length < bytes.length; length++) {
    writeFileSync(file, bytes.subarray(0, length))
    await expect(readNpy(file)).rejects.toMatchObject({ code: 'data' })
  }
})
