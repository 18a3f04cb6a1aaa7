// A fine-tuned model has exactly the tensors that timm expects: names, types, shapes.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { regraft } from '../stories/command-line.ts'
import { drawFolder } from '../stories/drawn-pictures.ts'
import { savedModel } from '../stories/random-model.ts'
import { keysOf } from './safetensors-keys.ts'

const folder = temporaryFolder()
const data = join(folder, 'data')
beforeAll(async () => {
  await drawFolder(data, 3)
})

/** A network, the length of its features, and how many blocks to train. */
const networks: readonly [string, number, readonly string[]][] = [
  ['mobilenetv1_100', 1024, ['--mode', 'finetune', '--unfreeze', 'last:1', '--epochs', '1']],
  ['mobilenetv2_035', 1280, ['--mode', 'finetune', '--unfreeze', 'last:2', '--bn', 'train-unfrozen', '--epochs', '1']],
  ['mobilenetv1_025', 256, ['--mode', 'features']],
]

describe.each(networks)('%s', (architecture, features, words) => {
  const out = join(folder, architecture)
  const keys = JSON.parse(readFileSync(join(import.meta.dirname, 'fixtures', `${architecture}.keys.json`), 'utf8'))

  test('is saved with the keys, shapes and types that timm has', async () => {
    const model = await savedModel(join(folder, `${architecture}-trunk`), architecture)
    const ran = await regraft(['train', data, '--model', model, '--out', out, ...words])
    expect(ran.exitCode, ran.stderr).toBe(0)
    expect(keysOf(join(out, 'best', 'model.safetensors'))).toEqual({
      ...keys,
      'classifier.weight': ['F32', 3, features],
      'classifier.bias': ['F32', 3],
    })
  })

  test('keeps count of batches as whole numbers without a shape', () => {
    const saved = keysOf(join(out, 'best', 'model.safetensors'))
    const counters = Object.entries(saved).filter(([name]) => name.endsWith('.num_batches_tracked'))
    const norms = Object.keys(saved).filter((name) => name.endsWith('.running_mean'))
    expect(counters).toHaveLength(norms.length)
    for (const [, form] of counters) expect(form).toEqual(['I64'])
  })

  test('has a config.json that says the same', () => {
    const config = JSON.parse(readFileSync(join(out, 'best', 'config.json'), 'utf8'))
    expect(config).toMatchObject({
      architecture,
      num_classes: 3,
      num_features: features,
      label_names: ['bars', 'disc', 'stairs'],
      pretrained_cfg: {
        num_classes: 3,
        input_size: [3, 32, 32],
        crop_pct: 1,
        interpolation: 'bilinear',
        mean: [0.485, 0.456, 0.406],
        std: [0.229, 0.224, 0.225],
        first_conv: 'conv_stem',
        classifier: 'classifier',
      },
    })
    expect(config.pretrained_cfg).not.toHaveProperty('label_names')
  })
})

test('a saved trunk has the keys of timm with num_classes 0', async () => {
  const trunk = await savedModel(join(folder, 'trunk'), 'mobilenetv2_035')
  const file = join(import.meta.dirname, 'fixtures', 'mobilenetv2_035.keys.json')
  expect(keysOf(join(trunk, 'model.safetensors'))).toEqual(JSON.parse(readFileSync(file, 'utf8')))
  expect(JSON.parse(readFileSync(join(trunk, 'config.json'), 'utf8'))).toMatchObject({ num_classes: 0 })
})

test('counters go up with the batches of layers that use batch statistics, and nowhere else', async () => {
  const counted = join(folder, 'mobilenetv2_035', 'best', 'model.safetensors')
  const before = counters(join(folder, 'mobilenetv2_035-trunk', 'model.safetensors'))
  const after = counters(counted)
  expect(Object.keys(after)).toEqual(Object.keys(before))
  const moved = Object.keys(after).filter((name) => after[name] !== before[name])
  expect(moved.length).toBeGreaterThan(3)
  for (const name of moved) {
    // One epoch of one batch, in the layers that `last:2` unfreezes.
    expect((after[name] ?? 0n) - (before[name] ?? 0n)).toBe(1n)
    expect(name).toMatch(/^(blocks\.[56]\.|bn2\.)/)
  }
})

function counters(file: string): Readonly<Record<string, bigint>> {
  const bytes = readFileSync(file)
  const start = 8 + Number(bytes.readBigUInt64LE())
  const header: Record<string, { data_offsets: [number, number] }> = JSON.parse(bytes.toString('utf8', 8, start))
  const names = Object.keys(header).filter((name) => name.endsWith('.num_batches_tracked'))
  return Object.fromEntries(
    names.sort().map((name) => [name, bytes.readBigInt64LE(start + (header[name]?.data_offsets[0] ?? 0))]),
  )
}
