import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { sha256 } from '../../src/files/digest.ts'
import { writeSafetensors } from '../../src/formats/safetensors.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { onnxFile, type TestModel } from '../formats/write-onnx.ts'
import { pytorchFile, TestTensor, type TestValue } from '../formats/write-pytorch.ts'
import { regraft } from '../stories/command-line.ts'
import { savedModel } from '../stories/random-model.ts'

const folder = temporaryFolder()

async function inspectJson(...words: readonly string[]) {
  const ran = await regraft(['inspect', ...words, '--json'])
  expect(ran.exitCode, ran.stderr).toBe(0)
  return JSON.parse(ran.stdout)
}

describe('inspect', () => {
  test('tells the layers of a model, what they cost and what would train', async () => {
    const at = await savedModel(join(folder, 'model'), 'mobilenetv2_035', { labels: ['a', 'b'], imgSize: 64 })
    const { network, format, remarks, tensors } = await inspectJson(at)
    expect(format).toBe('safetensors')
    expect(remarks).toEqual([])
    expect(tensors.length).toBe(314)
    expect(network).toMatchObject({
      architecture: 'mobilenetv2_035',
      classes: 2,
      width: 64,
      height: 64,
      unfreeze: 'last:3',
    })
    const sum = (key: string) =>
      network.layers.reduce((total: number, layer: Record<string, number>) => total + (layer[key] ?? 0), 0)
    expect([sum('parameters'), sum('multiply_adds')]).toEqual([network.parameters, network.multiply_adds])
    expect(network.trainable).toBeLessThan(network.parameters)
    const [, stem] = network.layers
    expect(stem).toEqual({
      name: 'conv_stem',
      op: 'conv2d',
      stage: 'stem',
      shape: [32, 32, 16],
      parameters: 432,
      multiply_adds: 32 * 32 * 16 * 27,
      trains: false,
    })
    const all = await inspectJson(at, '--unfreeze', 'all')
    expect(all.network.trainable).toBe(all.network.parameters)
    const { stdout } = await regraft(['inspect', at])
    expect(stdout).toMatch(/^conv_stem +conv2d +32x32x16 +432 +442,368$/m)
  })

  test('measures what predicting and training cost', async () => {
    const at = await savedModel(join(folder, 'measured'), 'mobilenetv1_025', { labels: ['a', 'b'], imgSize: 32 })
    const { cost, network } = await inspectJson(at, '--cost', '--unfreeze', 'last:1', '--batch-size', '4')
    expect(cost.train.batch).toBe(4)
    for (const { images_per_second, memory_bytes } of [cost.predict, cost.train]) {
      expect(images_per_second).toBeGreaterThan(0)
      expect(memory_bytes).toBeGreaterThan(4 * network.parameters)
    }
    expect(cost.disk_bytes).toBeGreaterThan(2 * 4 * network.parameters)
    const training = (parts: readonly { training: number }[]) => parts.reduce((sum, part) => sum + part.training, 0)
    expect(training(cost.trains)).toBe(network.trainable)
    const whole = await inspectJson(at, '--cost', '--unfreeze', 'all', '--batch-size', '4')
    expect(whole.cost.train.memory_bytes).toBeGreaterThan(cost.train.memory_bytes)
    expect(training(whole.cost.trains)).toBe(network.parameters)
    const { stdout } = await regraft(['inspect', at, '--cost'])
    expect(stdout).toMatch(/^train: +\S+ pictures a second in batches of 32, .* with --unfreeze last:3$/m)
    const { exitCode, stderr } = await regraft(['inspect', at, '--batch-size', '4'])
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining('--batch-size belongs to --cost')])
  })

  test('gives the digest of every tensor as it is stored, and names what is not finite', async () => {
    const file = join(folder, 'weights.safetensors')
    const half = Uint16Array.of(0x3c00, 0x7c00)
    await writeSafetensors(file, [
      { name: 'w', dtype: 'F32', shape: [2], data: Float32Array.of(1, 2) },
      { name: 'h', dtype: 'F16', shape: [2], data: Float32Array.of(1, Number.POSITIVE_INFINITY) },
    ])
    const { tensors, network, remarks } = await inspectJson(file, '--digests')
    expect(network).toBeUndefined()
    expect(new Map(tensors.map((tensor: { name: string; sha256: string }) => [tensor.name, tensor.sha256]))).toEqual(
      new Map([
        ['w', sha256(new Uint8Array(Float32Array.of(1, 2).buffer))],
        ['h', sha256(new Uint8Array(half.buffer))],
      ]),
    )
    expect(remarks.join('\n')).toContain('1 tensors have values that are not finite: h.')
    expect(remarks.join('\n')).toContain('those of no network that is known')
  })

  test('says what was chosen in a training checkpoint, with names that cannot harm a terminal', async () => {
    const file = join(folder, 'training.pth')
    const table = (entries: Record<string, TestValue>) => new Map(Object.entries(entries))
    writeFileSync(
      file,
      pytorchFile(table({ epoch: 3, state_dict: table({ '\u001b[31mw': new TestTensor([1], [1]) }) })),
    )
    const { stdout } = await regraft(['inspect', file])
    expect(stdout).toContain("note: The weights are those under 'state_dict'.")
    expect(stdout).toContain('\\x1b[31mw')
    expect(stdout).not.toContain('\u001b')
  })

  test('ends with 4 and the cause for what cannot be read', async () => {
    const file = join(folder, 'page.pth')
    writeFileSync(file, '<!doctype html><title>404</title>')
    const ran = await regraft(['inspect', file, '--digests', '--json'])
    expect(ran).toMatchObject({ exitCode: 4, stdout: '' })
    expect(ran.stderr).toMatch(/page\.pth.*HTML page/)
  })

  test('lists the weights of a network that is not supported', async () => {
    const file = join(folder, 'unsupported.onnx')
    const model: TestModel = {
      input: ['N', 3, 4, 4],
      nodes: [{ op: 'Einsum', inputs: ['x', 'w'], outputs: ['y'] }],
      initialisers: { w: { shape: [2], data: Float32Array.of(1, 2) } },
    }
    writeFileSync(file, onnxFile(model))
    const { tensors, network, remarks } = await inspectJson(file)
    expect([network, tensors.length]).toEqual([undefined, 1])
    expect(remarks.join()).toContain('not supported: Einsum')
  })
})
