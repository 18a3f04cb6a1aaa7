import { existsSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openCheckpoint } from '../../src/formats/index.ts'
import { openSafetensors } from '../../src/formats/safetensors.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { pickleOf, pytorchFile, TestTensor, type TestValue } from './write-pytorch.ts'
import { zipOf } from './write-zip.ts'

const folder = temporaryFolder()
const oracle = join(import.meta.dirname, '../../../shared/oracle')
const recorded = existsSync(join(oracle, 'index.json'))

interface RecordedCheckpoint {
  readonly name: string
  readonly op: string
  readonly file: string
  readonly config: { readonly checkpoint?: string }
  readonly tensors: readonly { readonly name: string }[]
}

// The index of the recordings says its own format.
const checkpoints: readonly RecordedCheckpoint[] = recorded
  ? (JSON.parse(readFileSync(join(oracle, 'index.json'), 'utf8')) as { cases: RecordedCheckpoint[] }).cases.filter(
      ({ op, config }) => op === 'checkpoint' && config.checkpoint?.endsWith('.pth'),
    )
  : []

async function expectSameTensors(file: string, reference: string): Promise<void> {
  const [found, expected] = await Promise.all([openCheckpoint(file), openSafetensors(reference)])
  expect([...found.names()].sort()).toEqual([...expected.names()].sort())
  for (const name of expected.names()) {
    expect(found.shape(name), name).toEqual(expected.shape(name))
    expect(found.dtype(name), name).toBe(expected.dtype(name))
    expect(Buffer.from(await found.readBytes(name)).equals(await expected.readBytes(name)), name).toBe(true)
  }
}

describe.skipIf(!recorded)('files that PyTorch wrote', () => {
  const readable = checkpoints.filter(({ tensors }) => tensors.length > 0)

  it.each(readable.map((item) => [item.name, item] as const))('%s has the tensors that were saved', async (_, item) => {
    await expectSameTensors(join(oracle, item.config.checkpoint ?? ''), join(oracle, item.file))
  })

  it.each(['mobilenet_v2_0.35', 'squeezenet1_1'])('%s has the weights of its safetensors twin', async (name) => {
    await expectSameTensors(join(oracle, `models/${name}.pth`), join(oracle, `models/${name}.safetensors`))
  })

  it('a model that was saved as an object is refused by the name of its class', async () => {
    const file = join(oracle, 'checkpoint/whole_module.pth')
    await expect(openCheckpoint(file)).rejects.toThrow(/whole model.*torch\.nn\.modules\.linear\.Linear.*not allowed/)
  })
})

const weight = new TestTensor([2, 2], [1, 2, 3, 4])
const other = new TestTensor([1], [5])
const table = (entries: Record<string, TestValue>) => new Map(Object.entries(entries))

async function open(root: TestValue, name = 'file.pth') {
  const file = join(folder, name)
  writeFileSync(file, pytorchFile(root))
  return openCheckpoint(file)
}

describe('the weights in a PyTorch file', () => {
  it('are the table at the root', async () => {
    const checkpoint = await open(table({ 'fc.weight': weight, 'fc.bias': other }))
    expect(checkpoint.names()).toEqual(['fc.weight', 'fc.bias'])
    expect(checkpoint.shape('fc.weight')).toEqual([2, 2])
    expect([...(await checkpoint.read('fc.weight')).data]).toEqual([1, 2, 3, 4])
    expect(checkpoint.remarks).toEqual([])
  })

  it('are found under the usual keys, and that is said', async () => {
    const root = table({ epoch: 3, model: table({ a: weight }), optimizer: table({ state: table({ m: other }) }) })
    const checkpoint = await open(root)
    expect(checkpoint.names()).toEqual(['a'])
    expect(checkpoint.remarks).toEqual([
      "The weights are those under 'model'.",
      "Left out, beside the weights: 'epoch', 'optimizer'.",
    ])
  })

  it('are the plain ones before averaged ones, and the averaged ones before none', async () => {
    const both = await open(table({ model_ema: table({ averaged: weight }), state_dict: table({ plain: weight }) }))
    expect(both.names()).toEqual(['plain'])
    expect(both.remarks.join()).toContain("'model_ema'")
    expect((await open(table({ epoch: 1, model_ema: table({ averaged: weight }) }))).names()).toEqual(['averaged'])
  })

  it('are found below a key below a key, and under a single unusual one', async () => {
    const deep = await open(table({ model: table({ state_dict: table({ a: weight }) }) }))
    expect(deep.remarks).toEqual(["The weights are those under 'model.state_dict'."])
    expect((await open(table({ teacher: table({ b: weight }), step: 1 }))).names()).toEqual(['b'])
  })

  it('are not guessed among several unusual ones', async () => {
    const root = table({ teacher: table({ a: weight }), student: table({ a: weight }) })
    await expect(open(root)).rejects.toThrow(/several tables .* 'teacher', 'student'/)
  })

  it('are missed where there are none', async () => {
    await expect(open(table({ epoch: 1, lr: 2 }))).rejects.toThrow(/no state dict.*'epoch', 'lr'/)
  })

  it('leave out what is no tensor', async () => {
    const checkpoint = await open(table({ a: weight, note: 'text' }))
    expect(checkpoint.names()).toEqual(['a'])
    expect(checkpoint.remarks).toEqual(["Left out, since they are no tensors: 'note'."])
  })

  it('are refused when the file changes before they are read', async () => {
    const checkpoint = await open(table({ a: weight }), 'changing.pth')
    utimesSync(join(folder, 'changing.pth'), 1, 1)
    await expect(checkpoint.read('a')).rejects.toThrow('was changed while it was in use')
  })
})

describe('a PyTorch file', () => {
  it('may be cut or changed anywhere without being taken for whole', async () => {
    const file = join(folder, 'damaged.pth')
    const whole = pytorchFile(table({ a: weight, b: other }))
    const readAll = async () => {
      const checkpoint = await openCheckpoint(file)
      return Promise.all(checkpoint.names().map(async (name) => [name, [...(await checkpoint.read(name)).data]]))
    }
    writeFileSync(file, whole)
    const expected = await readAll()
    for (let length = 0; length < whole.length; length++) {
      writeFileSync(file, whole.subarray(0, length))
      await expect(readAll(), `${length} bytes`).rejects.toMatchObject({ code: 'weights' })
    }
    for (let at = 0; at < whole.length; at++) {
      const flipped = Buffer.from(whole)
      flipped[at] = (flipped[at] ?? 0) ^ 1
      writeFileSync(file, flipped)
      // Dates, versions and the like say nothing about the weights.
      const result = await readAll().catch((error: unknown) => {
        expect(error, `byte ${at}`).toMatchObject({ code: 'weights' })
        return expected
      })
      expect(result, `byte ${at}`).toEqual(expected)
    }
  })

  it('names the class of an object that is not allowed', async () => {
    const { bytes } = pickleOf(null)
    const hostile = Buffer.concat([bytes.subarray(0, 2), Buffer.from('cos\nsystem\n)R.')])
    const file = join(folder, 'system.pth')
    writeFileSync(file, pytorchFile(null, { bytes: hostile, storages: [] }))
    await expect(openCheckpoint(file)).rejects.toThrow(/os\.system, which is not allowed/)
  })

  it('that was packed again with compression is refused with the way out', async () => {
    const file = join(folder, 'compressed.pth')
    const { bytes } = pickleOf(table({}))
    writeFileSync(
      file,
      zipOf([
        { name: 'a/data.pkl', bytes, compressed: true },
        { name: 'a/version', bytes: Buffer.from('3') },
      ]),
    )
    await expect(openCheckpoint(file)).rejects.toThrow(/compressed.*\nUnpack the archive/)
  })
})
