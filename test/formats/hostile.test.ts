import { createHash } from 'node:crypto'
import { cpSync, existsSync, readFileSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { RegraftError } from '../../src/errors.ts'
import { openCheckpoint } from '../../src/formats/index.ts'
import { importOnnx } from '../../src/formats/onnx-network.ts'
import { openSafetensors } from '../../src/formats/safetensors.ts'
import { createEngine } from '../../src/kernels/engine.ts'
import type { Checkpoint } from '../../src/tensor/checkpoint.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { readConfig } from '../hostile/read-config.ts'
import { onnxInput, runOnnx } from './run-onnx.ts'

const corpus = join(import.meta.dirname, '../../../shared/hostile/corpus')
const present = existsSync(join(corpus, 'index.json'))

interface Case {
  readonly id: string
  readonly file: string
  readonly kind: string
  readonly set: string
  readonly expect: 'accept' | 'reject' | 'either'
  readonly tolerate?: 'accept' | 'reject'
  readonly code?: string
  readonly message?: string
  readonly tensors?: Record<string, { dtype: string; shape: number[]; le_hex?: string; sha256?: string }>
  readonly tensor_count?: number
  readonly value?: unknown
  readonly input?: Record<string, string>
  readonly outputs?: Record<string, { file: string }>
  readonly tolerance?: { abs: number; rel: number }
  readonly setup?: readonly { symlink?: string; target: string }[]
}

// The corpus' own index, in the form its README describes.
const cases: readonly Case[] = present
  ? (JSON.parse(readFileSync(join(corpus, 'index.json'), 'utf8')) as { cases: Case[] }).cases.filter(
      (item) => item.set === 'visible',
    )
  : []

const ofKind = (kind: string) => cases.filter((item) => item.kind === kind)

/** What the reader gave, or the error it refused with, which has to be one for people. */
async function attempt<T>(item: Case, work: () => Promise<T>): Promise<T | undefined> {
  const before = Object.getOwnPropertyNames(Object.prototype).length
  let value: T | undefined
  let error: unknown
  try {
    value = await work()
  } catch (thrown) {
    error = thrown
  }
  expect(Object.getOwnPropertyNames(Object.prototype).length, 'Object.prototype stays clean').toBe(before)
  if (error === undefined) {
    if (item.tolerate !== 'accept') expect(item.expect, 'accepted').not.toBe('reject')
    return value
  }
  if (!(error instanceof RegraftError)) throw error
  expect(item.expect, `refused: ${error.message}`).not.toBe('accept')
  expect(error.message).toContain(item.file)
  expect(error.message).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/)
  if (item.expect === 'reject' && item.message) expect(error.message).toMatch(new RegExp(item.message, 'i'))
  return undefined
}

describe.skipIf(!present)('hostile safetensors files', () => {
  it.each(ofKind('safetensors').map((item) => [item.id, item] as const))('%s', async (_, item) => {
    const checkpoint = await attempt(item, () => openSafetensors(join(corpus, item.file)))
    if (checkpoint !== undefined) await expectTensors(checkpoint, item)
  })
})

describe.skipIf(!present)('hostile indexes of shards', () => {
  const folder = temporaryFolder()

  it.each(ofKind('safetensors-index').map((item) => [item.id, item] as const))('%s', async (_, item) => {
    const copy = join(folder, item.id.replace('/', '-'))
    const file = join(copy, item.file)
    cpSync(dirname(join(corpus, item.file)), dirname(file), { recursive: true })
    cpSync(join(corpus, '_outside'), join(copy, '_outside'), { recursive: true })
    for (const { symlink, target } of item.setup ?? []) if (symlink) symlinkSync(target, join(dirname(file), symlink))
    // Errors name the index, or the folder that the path would leave.
    const checkpoint = await attempt({ ...item, file: dirname(file) }, () => openCheckpoint(file))
    if (checkpoint === undefined) return
    await expectTensors(checkpoint, item)
    expect((await openCheckpoint(dirname(file))).names()).toEqual(checkpoint.names())
  })

  it('follow links into a cache that is named', async () => {
    const item = ofKind('safetensors-index').find((each) => each.id.endsWith('shard-symlink'))
    const copy = join(folder, 'cache')
    const file = join(copy, 'a/b/model.safetensors.index.json')
    cpSync(dirname(join(corpus, item?.file ?? '')), dirname(file), { recursive: true })
    cpSync(join(dirname(file), 'model-00001-of-00002.safetensors'), join(copy, 'blobs/1'))
    symlinkSync('../../blobs/1', join(dirname(file), 'link.safetensors'))
    await expect(openCheckpoint(file)).rejects.toThrow('leads outside')
    expect((await openCheckpoint(file, { cacheRoot: copy })).names()).toEqual(['a', 'b'])
  })
})

describe.skipIf(!present)('hostile PyTorch files', () => {
  it.each(ofKind('pth').map((item) => [item.id, item] as const))('%s', async (_, item) => {
    const checkpoint = await attempt(item, () => openAndRead(join(corpus, item.file)))
    if (checkpoint !== undefined) await expectTensors(checkpoint, item)
    expect(existsSync('PWNED'), 'nothing in the file was run').toBe(false)
  })
})

describe.skipIf(!present)('hostile NumPy files', () => {
  it.each([...ofKind('npy'), ...ofKind('npz')].map((item) => [item.id, item] as const))('%s', async (_, item) => {
    const checkpoint = await attempt(item, () => openAndRead(join(corpus, item.file)))
    if (checkpoint === undefined) return
    // The index calls a single array ''.
    const [name = ''] = checkpoint.names()
    const { '': only, ...others } = item.tensors ?? {}
    await expectTensors(checkpoint, only === undefined ? item : { ...item, tensors: { ...others, [name]: only } })
  })
})

describe.skipIf(!present)('hostile files of TensorFlow.js', () => {
  it.each(ofKind('tfjs').map((item) => [item.id, item] as const))('%s', async (_, item) => {
    // Errors about shards name the folder, those about missing ones the shard.
    const checkpoint = await attempt({ ...item, file: dirname(item.file) }, () => openAndRead(join(corpus, item.file)))
    if (checkpoint !== undefined) await expectTensors(checkpoint, item)
  })
})

describe.skipIf(!present)('hostile ONNX files', () => {
  const engine = createEngine({ threads: 1, simd: 'baseline' })
  afterAll(() => engine.close())

  it.each(ofKind('onnx').map((item) => [item.id, item] as const))('%s', async (_, item) => {
    const file = join(corpus, item.file)
    const [inputName = '', inputFile] = Object.entries(item.input ?? {})[0] ?? []
    const input = inputFile === undefined ? undefined : await readArray(join(dirname(file), inputFile))
    // Errors about data outside the file name the folder.
    const outputs = await attempt({ ...item, file: dirname(item.file) }, async () => {
      const network = await importOnnx(file, onnxInput)
      if (input !== undefined) expect(network.input.name).toBe(inputName)
      return runOnnx(engine, network, input)
    })
    for (const [name, { file: expectedFile }] of Object.entries((outputs && item.outputs) ?? {})) {
      const expected = await readArray(join(dirname(file), expectedFile))
      const found = outputs?.get(name)
      expect(found?.shape).toEqual(expected.shape)
      const { abs = 0, rel = 0 } = item.tolerance ?? {}
      for (const [at, value] of expected.data.entries()) {
        expect(Math.abs((found?.data[at] ?? Number.NaN) - value)).toBeLessThanOrEqual(abs + rel * Math.abs(value))
      }
    }
    return undefined
  })

  async function readArray(file: string): Promise<{ shape: readonly number[]; data: Float32Array }> {
    const checkpoint = await openCheckpoint(file)
    return checkpoint.read(checkpoint.names()[0] ?? '')
  }
})

/** Opens a file and reads all of it: checksums are looked at when the values are. */
async function openAndRead(file: string): Promise<Checkpoint> {
  const checkpoint = await openCheckpoint(file)
  for (const name of checkpoint.names()) await checkpoint.readBytes(name)
  return checkpoint
}

async function expectTensors(checkpoint: Checkpoint, item: Case): Promise<void> {
  const expected = Object.entries(item.tensors ?? {})
  if (item.tensor_count !== undefined) expect(checkpoint.names().length).toBe(item.tensor_count)
  else if (item.expect === 'accept') expect([...checkpoint.names()].sort()).toEqual(expected.map(([n]) => n).sort())
  for (const [name, tensor] of expected) {
    expect(checkpoint.shape(name)).toEqual(tensor.shape)
    expect(checkpoint.dtype(name)).toBe(tensor.dtype)
    const bytes = Buffer.from(await checkpoint.readBytes(name))
    if (tensor.le_hex !== undefined) expect(bytes.toString('hex')).toBe(tensor.le_hex)
    if (tensor.sha256 !== undefined) expect(createHash('sha256').update(bytes).digest('hex')).toBe(tensor.sha256)
    const { data } = await checkpoint.read(name)
    expect(data.length).toBe(tensor.shape.reduce((a, b) => a * b, 1))
  }
}

describe.skipIf(!present)('hostile configurations', () => {
  it.each(ofKind('config').map((item) => [item.id, item] as const))('%s', async (_, item) => {
    // Errors about fields name the file that they became.
    const read = await attempt({ ...item, file: '.json' }, () => readConfig(join(corpus, item.file)))
    if (item.value !== undefined) expect(JSON.parse(JSON.stringify(read?.value))).toMatchObject(Object(item.value))
  })
})
