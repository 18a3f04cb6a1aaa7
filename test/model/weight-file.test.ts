// A weight file as MODEL: with a configuration beside it, and without one.
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { sha256 } from '../../src/files/digest.ts'
import { writeSafetensors } from '../../src/formats/safetensors.ts'
import { type LoadedModel, loadModel } from '../../src/model/load.ts'
import type { Model } from '../../src/model/model.ts'
import { saveModel } from '../../src/model/save.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { pytorchFile, TestTensor, type TestValue } from '../formats/write-pytorch.ts'
import { randomModel } from '../stories/random-model.ts'

const folder = temporaryFolder()
const oracle = join(import.meta.dirname, '../../../shared/oracle/models')

/** Names and values, comparable in no time. */
function digests({ tensors }: Model): (readonly [string, string])[] {
  return [...tensors].map(([name, { shape, data }]) => [name, `${shape} ${sha256(new Uint8Array(data.buffer))}`])
}

/** A model's weights as PyTorch would save them after a training. */
function asPytorch(model: Model, prefix = ''): Buffer {
  const weights = new Map<string, TestValue>()
  for (const [name, { shape, data }] of model.tensors) weights.set(prefix + name, new TestTensor(shape, [...data]))
  return pytorchFile(
    new Map<string, TestValue>([
      ['epoch', 7],
      ['state_dict', weights],
    ]),
  )
}

test.each([
  ['mobilenetv1_025', 3],
  ['mobilenetv2_035', 0],
  ['resnet18', 2],
] as const)('%s is recognised by names and shapes, and what is assumed is said', async (architecture, classes) => {
  const labels = Array.from({ length: classes }, (_, at) => String(at))
  const model = await randomModel(architecture, { head: { kind: classes === 0 ? 'none' : 'linear' }, labels })
  const saved = join(folder, architecture)
  await saveModel(model, saved)
  const alone = join(folder, `${architecture}.safetensors`)
  copyFileSync(join(saved, 'model.safetensors'), alone)
  const loaded = await loadModel(alone)
  expect([loaded.model.architecture, loaded.model.labels]).toEqual([architecture, labels])
  expect(digests(loaded.model)).toEqual(digests(model))
  expect(loaded.remarks.join('\n')).toContain(`it is ${architecture} ${classes === 0 ? 'without' : `with ${classes}`}`)
  expect(loaded.remarks.join('\n')).toContain('Assumed: pictures of 224 pixels')
})

test('the weights of a folder may be a PyTorch file, with the prefix of a wrapper', async () => {
  const model = await randomModel('mobilenetv1_025', { head: { kind: 'linear' }, labels: ['a', 'b'] })
  const saved = join(folder, 'timm')
  await saveModel(model, saved)
  const timm = join(folder, 'pytorch')
  mkdirSync(timm)
  copyFileSync(join(saved, 'config.json'), join(timm, 'config.json'))
  writeFileSync(join(timm, 'pytorch_model.bin'), asPytorch(model, 'module.'))
  const loaded = await loadModel(timm)
  expect(digests(loaded.model)).toEqual(digests(model))
  expect(loaded.model.labels).toEqual(['a', 'b'])
  expect(loaded.remarks.join()).toContain("The weights are those under 'state_dict'")
})

test('a file that fits no network is refused with the networks that are known', async () => {
  const file = join(folder, 'other.safetensors')
  await writeSafetensors(file, [{ name: 'w', dtype: 'F32', shape: [1], data: Float32Array.of(1) }])
  await expect(loadModel(file)).rejects.toThrow(/its 1 tensors are those of no network that is known: mobilenetv1_025/)
})

test.skipIf(!existsSync(oracle))('a network of torchvision is the same from .pth and .safetensors', async () => {
  const [fromPickle, fromSafetensors] = await Promise.all(
    ['pth', 'safetensors'].map((ending) => loadModel(join(oracle, `mobilenet_v2_0.35.${ending}`))),
  )
  expect(fromPickle?.model.architecture).toBe('mobilenetv2_035')
  expect(fromPickle?.model.labels.length).toBe(10)
  const sorted = (loaded: LoadedModel | undefined) => (loaded ? digests(loaded.model).sort() : [])
  expect(sorted(fromPickle)).toEqual(sorted(fromSafetensors))
})
