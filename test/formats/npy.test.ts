import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openCheckpoint } from '../../src/formats/index.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { zipOf } from './write-zip.ts'

const folder = temporaryFolder()

function npy(descr: string, shape: string, data: Uint8Array, fortran = 'False'): Buffer {
  const text = `{'descr': '${descr}', 'fortran_order': ${fortran}, 'shape': ${shape}, }`.padEnd(117)
  return Buffer.concat([Buffer.from('\u0093NUMPY\u0001\u0000\u0076\u0000', 'latin1'), Buffer.from(`${text}\n`), data])
}

const bytesOf = (values: Float32Array | Uint16Array | BigInt64Array) => new Uint8Array(values.buffer)

describe('NumPy arrays', () => {
  it('are a checkpoint of one tensor with the name of the file', async () => {
    const file = join(folder, 'vectors.npy')
    writeFileSync(file, npy('<f4', '(2, 3)', bytesOf(Float32Array.of(1, 2, 3, 4, 5, 6))))
    const checkpoint = await openCheckpoint(file)
    expect(checkpoint.names()).toEqual(['vectors'])
    expect(checkpoint.shape('vectors')).toEqual([2, 3])
    expect([...(await checkpoint.read('vectors')).data]).toEqual([1, 2, 3, 4, 5, 6])
  })

  it('of another order of axes or bytes come out as ours', async () => {
    const fortran = join(folder, 'fortran.npy')
    // Three axes, so that a mere transpose would not do: values are 0 … 23 in C order.
    const values = Float32Array.from({ length: 24 }, (_, at) => {
      const [i, j, k] = [at % 2, Math.floor(at / 2) % 3, Math.floor(at / 6)]
      return i * 12 + j * 4 + k
    })
    writeFileSync(fortran, npy('<f4', '(2, 3, 4)', bytesOf(values), 'True'))
    const checkpoint = await openCheckpoint(fortran)
    expect([...(await checkpoint.read('fortran')).data]).toEqual(Array.from({ length: 24 }, (_, at) => at))

    const big = join(folder, 'big.npy')
    writeFileSync(big, npy('>i8', '(2,)', Buffer.from(bytesOf(BigInt64Array.of(-2n, 2n ** 40n))).swap64()))
    const turned = await openCheckpoint(big)
    expect(turned.dtype('big')).toBe('I64')
    expect([...(await turned.read('big')).data]).toEqual([-2, 2 ** 40])
  })

  it('in an archive have the names of its members, compressed or not', async () => {
    const file = join(folder, 'arrays.npz')
    const half = npy('<f2', '()', bytesOf(Uint16Array.of(0x3c00)))
    const full = npy('<f4', '(2,)', bytesOf(Float32Array.of(7, 8)))
    writeFileSync(
      file,
      zipOf([
        { name: 'half.npy', bytes: half, compressed: true },
        { name: 'full.npy', bytes: full },
      ]),
    )
    const checkpoint = await openCheckpoint(file)
    expect(checkpoint.names()).toEqual(['half', 'full'])
    expect([...(await checkpoint.read('half')).data]).toEqual([1])
    expect([...(await checkpoint.read('full')).data]).toEqual([7, 8])
  })

  it('that would unpack to unlikely much are not unpacked', async () => {
    const file = join(folder, 'zeros.npz')
    const bytes = npy('<f4', '(5000000,)', new Uint8Array(20_000_000))
    writeFileSync(file, zipOf([{ name: 'zeros.npy', bytes, compressed: true }]))
    const checkpoint = await openCheckpoint(file)
    expect(checkpoint.shape('zeros')).toEqual([5_000_000])
    await expect(checkpoint.read('zeros')).rejects.toThrow('beyond the limit of 200 to 1')
  })
})
