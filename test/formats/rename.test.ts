import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { architectureNamed } from '../../src/architectures/index.ts'
import { renameTensors, timmNames } from '../../src/formats/rename.ts'
import { openSafetensors, writeSafetensors } from '../../src/formats/safetensors.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'

const folder = temporaryFolder()
const mobilenetV2 = architectureNamed('mobilenetv2_100').torchvision?.names ?? new Map()
const sameNames = new Map()
const shared = join(import.meta.dirname, '../../../shared')
const torchvision = join(shared, 'oracle/models/mobilenet_v2_0.35.safetensors')
const timm = join(shared, 'weights/mobilenet_v2_0.35_224_tm/model.safetensors')

describe('timmNames', () => {
  it('translates MobileNetV2, first and last block of every stage', () => {
    const pairs: [string, string][] = [
      ['features.0.0.weight', 'conv_stem.weight'],
      ['features.0.1.running_mean', 'bn1.running_mean'],
      ['features.1.conv.0.0.weight', 'blocks.0.0.conv_dw.weight'],
      ['features.1.conv.0.1.bias', 'blocks.0.0.bn1.bias'],
      ['features.1.conv.1.weight', 'blocks.0.0.conv_pw.weight'],
      ['features.1.conv.2.num_batches_tracked', 'blocks.0.0.bn2.num_batches_tracked'],
      ['features.2.conv.0.0.weight', 'blocks.1.0.conv_pw.weight'],
      ['features.3.conv.0.1.weight', 'blocks.1.1.bn1.weight'],
      ['features.4.conv.1.0.weight', 'blocks.2.0.conv_dw.weight'],
      ['features.6.conv.1.1.weight', 'blocks.2.2.bn2.weight'],
      ['features.7.conv.2.weight', 'blocks.3.0.conv_pwl.weight'],
      ['features.10.conv.3.weight', 'blocks.3.3.bn3.weight'],
      ['features.11.conv.2.weight', 'blocks.4.0.conv_pwl.weight'],
      ['features.13.conv.2.weight', 'blocks.4.2.conv_pwl.weight'],
      ['features.14.conv.2.weight', 'blocks.5.0.conv_pwl.weight'],
      ['features.16.conv.2.weight', 'blocks.5.2.conv_pwl.weight'],
      ['features.17.conv.2.weight', 'blocks.6.0.conv_pwl.weight'],
      ['features.18.0.weight', 'conv_head.weight'],
      ['features.18.1.weight', 'bn2.weight'],
      ['classifier.1.weight', 'classifier.weight'],
      ['classifier.1.bias', 'classifier.bias'],
    ]
    expect(
      timmNames(
        pairs.map(([name]) => name),
        mobilenetV2,
      ),
    ).toEqual(pairs)
  })

  it('leaves names that it does not know, or that are timm already', () => {
    const names = ['features.19.conv.0.0.weight', 'features.2.conv.9.weight', 'blocks.0.0.bn1.weight', 'epoch', '']
    expect(timmNames(names, mobilenetV2).map(([, name]) => name)).toEqual(names)
    expect(timmNames(['layer1.0.conv1.weight'], sameNames)).toEqual([
      ['layer1.0.conv1.weight', 'layer1.0.conv1.weight'],
    ])
  })

  it('drops the prefix of a wrapper only when every name has it', () => {
    const of = (...names: string[]) => timmNames(names, sameNames).map(([, name]) => name)
    expect(of('module.fc.weight', 'module.fc.bias')).toEqual(['fc.weight', 'fc.bias'])
    expect(of('_orig_mod.module.fc.weight')).toEqual(['fc.weight'])
    expect(of('module.fc.weight', 'fc.bias')).toEqual(['module.fc.weight', 'fc.bias'])
    expect(of()).toEqual([])
  })
})

describe('renameTensors', () => {
  it('reads the stored tensor under the new name', async () => {
    const file = join(folder, 'a.safetensors')
    await writeSafetensors(file, [
      { name: 'module.classifier.1.bias', dtype: 'F32', shape: [2], data: Float32Array.of(1, 2) },
    ])
    const checkpoint = renameTensors(await openSafetensors(file), mobilenetV2)
    expect(checkpoint.names()).toEqual(['classifier.bias'])
    expect(checkpoint.shape('classifier.bias')).toEqual([2])
    expect(checkpoint.dtype('classifier.bias')).toBe('F32')
    expect([...(await checkpoint.read('classifier.bias')).data]).toEqual([1, 2])
    expect((await checkpoint.readBytes('classifier.bias')).length).toBe(8)
    await expect(checkpoint.read('classifier.bais')).rejects.toThrow("'classifier.bias'")
  })

  it('refuses two tensors that become one', async () => {
    const file = join(folder, 'b.safetensors')
    const tensor = { dtype: 'F32', shape: [1], data: Float32Array.of(1) } as const
    await writeSafetensors(file, [
      { ...tensor, name: 'classifier.bias' },
      { ...tensor, name: 'classifier.1.bias' },
    ])
    const checkpoint = await openSafetensors(file)
    expect(() => renameTensors(checkpoint, mobilenetV2)).toThrow(/'classifier\.1\.bias'.*both 'classifier\.bias'/)
  })

  it.skipIf(!existsSync(torchvision) || !existsSync(timm))(
    "gives a torchvision checkpoint exactly the names and shapes of timm's",
    async () => {
      const renamed = renameTensors(await openSafetensors(torchvision), mobilenetV2)
      const reference = await openSafetensors(timm)
      // The reference comes without its head.
      const trunk = renamed.names().filter((name) => !name.startsWith('classifier.'))
      expect(renamed.names().length - trunk.length).toBe(2)
      expect(trunk.toSorted()).toEqual([...reference.names()].sort())
      for (const name of trunk) expect(renamed.shape(name), name).toEqual(reference.shape(name))
    },
  )
})
