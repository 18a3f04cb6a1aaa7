import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { withFileSystem } from '../../src/files/file-system.ts'
import { npyWriter, readNpy } from '../../src/vectors/npy.ts'
import { faultyFileSystem, systemError } from '../files/faulty-file-system.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'

const folder = temporaryFolder()

test('rows written one by one and together are read back bit by bit', async () => {
  const file = join(folder, 'X.npy')
  const writer = npyWriter(file, { rows: 3, columns: 2 })
  const row = Float32Array.of(1.5, -0)
  await writer.append(row)
  row.fill(9)
  await writer.append(Float32Array.of(Number.NaN, 3.4e38, 1e-45, 6))
  expect(existsSync(file)).toBe(false)
  await writer.finish()
  const { rows, columns, values } = await readNpy(file)
  expect({ rows, columns }).toEqual({ rows: 3, columns: 2 })
  expect([...values]).toEqual([1.5, -0, Number.NaN, ...Float32Array.of(3.4e38, 1e-45), 6])
})

test('the header is what NumPy writes, and the values begin at a multiple of 64', async () => {
  for (const shape of [
    { rows: 0, columns: 5 },
    { rows: 2, columns: 1280 },
    { rows: 1, columns: 1 },
  ]) {
    const file = join(folder, 'header.npy')
    const writer = npyWriter(file, shape)
    await writer.append(new Float32Array(shape.rows * shape.columns))
    await writer.finish()
    const bytes = readFileSync(file)
    const length = bytes.readUInt16LE(8)
    expect(bytes.subarray(0, 8)).toEqual(Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0]))
    expect((10 + length) % 64).toBe(0)
    expect(bytes.length).toBe(10 + length + shape.rows * shape.columns * 4)
    const text = bytes.subarray(10, 10 + length).toString('latin1')
    expect(text).toMatch(
      new RegExp(
        `^\\{'descr': '<f4', 'fortran_order': False, 'shape': \\(${shape.rows}, ${shape.columns}\\), \\} *\\n$`,
      ),
    )
    expect(await readNpy(file)).toMatchObject(shape)
  }
})

test('an abandoned file leaves no trace, and the former one in place', async () => {
  const file = join(folder, 'kept.npy')
  writeFileSync(file, 'former')
  const writer = npyWriter(file, { rows: 2, columns: 2 })
  await writer.append(Float32Array.of(1, 2))
  await writer.abandon()
  expect(readFileSync(file, 'utf8')).toBe('former')
  expect(readdirSync(folder).filter((name) => name.includes('.tmp-'))).toEqual([])
})

test('other than the announced rows are refused', async () => {
  const file = join(folder, 'rows.npy')
  const few = npyWriter(file, { rows: 2, columns: 2 })
  await few.append(Float32Array.of(1, 2))
  await expect(few.finish()).rejects.toThrow('1 rows were appended, 2 announced')
  const many = npyWriter(file, { rows: 1, columns: 2 })
  await expect(many.append(new Float32Array(4))).rejects.toThrow('more than the announced 1 rows')
  await expect(many.append(new Float32Array(3))).rejects.toThrow('no whole number of rows')
  await many.abandon()
  expect(existsSync(file)).toBe(false)
})

test('a full disk stops the writing, whichever call it hits, and says how much is needed', async () => {
  const file = join(folder, 'full.npy')
  let failures = 0
  for (let nth = 1; ; nth++) {
    let calls = 0
    const faulty = faultyFileSystem((call) => {
      if (call === 'write' && ++calls === nth) throw systemError('ENOSPC')
    }, 100)
    const result = await withFileSystem(faulty, async () => {
      const writer = npyWriter(file, { rows: 4, columns: 16 })
      try {
        for (let row = 0; row < 4; row++) await writer.append(new Float32Array(16))
        await writer.finish()
        return 'written'
      } catch (error) {
        await writer.abandon()
        return error
      }
    })
    if (result === 'written') break
    failures += 1
    expect(result).toMatchObject({ code: 'memory', message: expect.stringContaining('384 bytes') })
    expect(readdirSync(folder).filter((name) => name.startsWith('full') || name.includes('.tmp-'))).toEqual([])
  }
  expect(failures).toBeGreaterThan(3)
  expect(existsSync(file)).toBe(true)
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
  const whole = join(folder, 'whole.npy')
  const writer = npyWriter(whole, { rows: 1, columns: 3 })
  await writer.append(Float32Array.of(1, 2, 3))
  await writer.finish()
  const bytes = readFileSync(whole)
  const file = join(folder, 'cut.npy')
  for (let length = 0; length < bytes.length; length++) {
    writeFileSync(file, bytes.subarray(0, length))
    await expect(readNpy(file)).rejects.toMatchObject({ code: 'data' })
  }
})
