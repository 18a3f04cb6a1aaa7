import { existsSync, readFileSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { sha256 } from '../../src/files/digest.ts'
import { openCheckpoint } from '../../src/formats/index.ts'
import { openSafetensors, type TensorToWrite, writeSafetensors } from '../../src/formats/safetensors.ts'
import { randomStream } from '../../src/random.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'

const folder = temporaryFolder()
const shared = join(import.meta.dirname, '../../../shared')

const tensors: readonly TensorToWrite[] = [
  { name: 'fc.weight', dtype: 'F32', shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, Number.NaN) },
  { name: 'half', dtype: 'F16', shape: [3], data: Float32Array.of(1, -2, 65504) },
  { name: 'bn.num_batches_tracked', dtype: 'I64', shape: [], data: BigInt64Array.of(7n) },
  { name: 'empty', dtype: 'F32', shape: [0, 4], data: new Float32Array(0) },
  { name: '10', dtype: 'U8', shape: [1], data: Uint8Array.of(255) },
  { name: '9', dtype: 'BOOL', shape: [2], data: Uint8Array.of(1, 0) },
  { name: '__proto__', dtype: 'F32', shape: [1], data: Float32Array.of(4) },
]

describe('safetensors', () => {
  it('asked for together, give each its own values in its own memory', async () => {
    const file = join(folder, 'together.safetensors')
    // Some stretches of many tensors, and one tensor that is longer than a stretch.
    const many = Array.from({ length: 60 }, (_, index): TensorToWrite => {
      const length = index === 30 ? 100_000 : 1 + ((index * 977) % 4001)
      const data = Float32Array.from({ length }, (_, at) => index * 1e6 + at)
      return { name: `t${index}`, dtype: 'F32', shape: [length], data }
    })
    await writeSafetensors(file, many)
    const checkpoint = await openSafetensors(file)
    for (let round = 0; round < 2; round++) {
      const read = await Promise.all([...many, ...many].map(({ name }) => checkpoint.read(name)))
      for (const [index, { data }] of read.entries()) expect(data).toEqual(many[index % many.length]?.data)
      expect(new Set(read.map(({ data }) => data.buffer)).size).toBe(read.length)
      for (const { data } of read) data.fill(-1)
    }
  })

  it('come back as they were written', async () => {
    const file = join(folder, 'all.safetensors')
    await writeSafetensors(file, tensors, { format: 'pt', 'über "x"': '\n' })
    const checkpoint = await openSafetensors(file)
    expect([...checkpoint.names()].sort()).toEqual(tensors.map((tensor) => tensor.name).sort())
    expect(checkpoint.source).toBe(file)
    expect([...checkpoint.metadata]).toEqual([
      ['format', 'pt'],
      ['über "x"', '\n'],
    ])
    for (const { name, dtype, shape } of tensors) {
      expect(checkpoint.dtype(name)).toBe(dtype)
      expect(checkpoint.shape(name)).toEqual(shape)
    }
    expect([...(await checkpoint.read('fc.weight')).data]).toEqual([1, 2, 3, 4, 5, Number.NaN])
    expect([...(await checkpoint.read('half')).data]).toEqual([1, -2, 65504])
    expect([...(await checkpoint.read('bn.num_batches_tracked')).data]).toEqual([7])
    expect([...(await checkpoint.read('empty')).data]).toEqual([])
    expect([...(await checkpoint.readBytes('10'))]).toEqual([255])
    expect([...(await checkpoint.read('9')).data]).toEqual([1, 0])
    expect([...(await checkpoint.read('__proto__')).data]).toEqual([4])
  })

  it('are the same bytes in whatever order the tensors come, with aligned data', async () => {
    const first = join(folder, 'first.safetensors')
    await writeSafetensors(first, tensors, { b: '1', a: '2' })
    const expected = sha256(readFileSync(first))
    for (let sample = 0; sample < 5; sample++) {
      const order = randomStream({ seed: 1, sample, purpose: 'test: order' }).shuffle(tensors)
      const file = join(folder, 'other.safetensors')
      await writeSafetensors(
        file,
        order,
        new Map([
          ['a', '2'],
          ['b', '1'],
        ]),
      )
      expect(sha256(readFileSync(file))).toBe(expected)
    }
    expect(readFileSync(first).readUInt32LE(0) % 8).toBe(0)
    const empty = join(folder, 'empty.safetensors')
    await writeSafetensors(empty, [])
    expect((await openSafetensors(empty)).names()).toEqual([])
  })

  it('refuse to write what does not fit', async () => {
    const file = join(folder, 'never.safetensors')
    const tensor = { name: 'a', dtype: 'F32', shape: [2], data: new Float32Array(2) } as const
    await expect(writeSafetensors(file, [{ ...tensor, shape: [3] }])).rejects.toThrow('shape [3]')
    await expect(writeSafetensors(file, [tensor, tensor])).rejects.toThrow("'a'")
    await expect(writeSafetensors(file, [{ ...tensor, name: '__metadata__' }])).rejects.toThrow('taken')
    await expect(writeSafetensors(file, [{ ...tensor, name: '\ud800' }])).rejects.toThrow('half')
    expect(existsSync(file)).toBe(false)
  })

  it('cut at any byte are refused with the number of missing bytes', async () => {
    const whole = join(folder, 'whole.safetensors')
    await writeSafetensors(whole, tensors)
    const bytes = readFileSync(whole)
    const cut = join(folder, 'cut.safetensors')
    for (let length = 0; length < bytes.length; length++) {
      writeFileSync(cut, bytes.subarray(0, length))
      await expect(openSafetensors(cut), `${length}`).rejects.toMatchObject({
        code: 'weights',
        file: cut,
        message: expect.stringMatching(/truncated|empty/),
      })
    }
    writeFileSync(cut, bytes.subarray(0, bytes.length - 5))
    await expect(openSafetensors(cut)).rejects.toThrow(/5 of \d+ data bytes are missing/)
    writeFileSync(cut, Buffer.concat([bytes, Buffer.of(0)]))
    await expect(openSafetensors(cut)).rejects.toThrow('1 bytes of trailing data')
    writeFileSync(cut, new Uint8Array(bytes.length))
    await expect(openSafetensors(cut)).rejects.toThrow('zeros')
  })

  it('end in an ordinary error or other tensors for any flipped bit of the header, never in a crash', async () => {
    const whole = join(folder, 'whole.safetensors')
    await writeSafetensors(whole, tensors)
    const bytes = readFileSync(whole)
    const file = join(folder, 'flipped.safetensors')
    const headerBits = (8 + bytes.readUInt32LE(0)) * 8
    for (let bit = 0; bit < headerBits; bit += 3) {
      const copy = Uint8Array.from(bytes)
      copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      writeFileSync(file, copy)
      const error: unknown = await openSafetensors(file).then(
        () => undefined,
        (thrown: unknown) => thrown,
      )
      if (error !== undefined) expect(error, `bit ${bit}`).toMatchObject({ name: 'RegraftError', code: 'weights' })
    }
  })

  it('that change after opening are not read', async () => {
    const file = join(folder, 'changing.safetensors')
    await writeSafetensors(file, tensors)
    const checkpoint = await openSafetensors(file)
    utimesSync(file, 1, 1)
    await expect(checkpoint.read('half')).rejects.toThrow('was changed')
    truncateSync(file, 20)
    await expect(checkpoint.readBytes('half')).rejects.toThrow('was changed')
  })

  it('offer the nearest tensor for a name that is not there', async () => {
    const file = join(folder, 'all.safetensors')
    await writeSafetensors(file, tensors)
    const checkpoint = await openSafetensors(file)
    expect(() => checkpoint.shape('fc.wieght')).toThrow("'fc.weight'")
    await expect(checkpoint.read('constructor')).rejects.toMatchObject({ code: 'weights', where: 'constructor' })
  })
})

describe('openCheckpoint', () => {
  it('opens by content, whatever the name, and finds the weights in a folder', async () => {
    const file = join(folder, 'model.safetensors')
    await writeSafetensors(file, tensors)
    writeFileSync(join(folder, 'odd.onnx'), readFileSync(file))
    expect((await openCheckpoint(join(folder, 'odd.onnx'))).names().length).toBe(tensors.length)
    expect((await openCheckpoint(folder)).source).toBe(file)
  })

  it.each([
    ['a.h5', '\u0089HDF\r\n\u001a\n', 'HDF5'],
    ['a.tflite', '\u001c\u0000\u0000\u0000TFL3', 'TensorFlow Lite'],
    ['a.pb', '\n\u0004', 'TensorFlow graph'],
    ['a.keras', 'x', 'Keras'],
  ])('says how to convert %s', async (name, content, words) => {
    const file = join(folder, name)
    writeFileSync(file, Buffer.from(content, 'latin1'))
    await expect(openCheckpoint(file)).rejects.toThrow(words)
    await expect(openCheckpoint(file)).rejects.toThrow(/which is not supported\.\nConvert it/)
  })

  it('names broken downloads and missing files', async () => {
    const file = join(folder, 'pointer.pth')
    writeFileSync(file, 'version https://git-lfs.github.com/spec/v1\n')
    await expect(openCheckpoint(file)).rejects.toThrow('Git LFS pointer')
    await expect(openCheckpoint(join(folder, 'all.safetensor'))).rejects.toThrow('all.safetensors')
  })
})

const weights = join(shared, 'weights/mobilenet_v1_0.25_128/model.safetensors')
describe.skipIf(!existsSync(weights))('weights of a real model', () => {
  it('are rewritten byte for byte', async () => {
    const checkpoint = await openCheckpoint(weights)
    const again = await Promise.all(
      checkpoint.names().map(async (name) => ({
        name,
        dtype: checkpoint.dtype(name),
        shape: checkpoint.shape(name),
        data: await checkpoint.readBytes(name),
      })),
    )
    const file = join(folder, 'again.safetensors')
    await writeSafetensors(file, again, checkpoint.metadata)
    const copy = await openCheckpoint(file)
    for (const name of checkpoint.names()) {
      expect(Buffer.from(await copy.readBytes(name)).equals(Buffer.from(await checkpoint.readBytes(name)))).toBe(true)
    }
    expect(sha256(readFileSync(file))).toBe(sha256(readFileSync(weights)))
  })
})
