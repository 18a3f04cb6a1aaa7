// Choosing layers by name, stage and block, and freezing the others.

import { describe, expect, test } from 'vitest'
import { mobilenetV2Graph } from '../../src/architectures/mobilenet-v2.ts'
import { resnetGraph } from '../../src/architectures/resnet.ts'
import { costOf } from '../../src/graph/cost.ts'
import { blocksOf, freezeExcept, selectLayers, stagesOf } from '../../src/graph/freeze.ts'

const options = { classes: 4, height: 64, width: 64, mean: [0, 0, 0], std: [1, 1, 1] } as const
const mobilenet = mobilenetV2Graph('mobilenetv2_100', 1, options)
const resnet = resnetGraph('resnet18', { repeats: [2, 2, 2, 2] }, options, 64)

describe('a choice', () => {
  test('of the head is the classifier alone', () => {
    expect([...selectLayers(mobilenet, 'head')]).toEqual(['classifier'])
    expect([...selectLayers(resnet, 'head')]).toEqual(['fc'])
  })

  test('of the last blocks is those blocks and all that follows', () => {
    expect([...selectLayers(resnet, 'last:1')]).toEqual([
      'layer4.1.conv1',
      'layer4.1.bn1',
      'layer4.1.conv2',
      'layer4.1.bn2',
      'layer4.1.add',
      'global_pool',
      'fc',
    ])
    expect([...selectLayers(resnet, 'last:0')]).toEqual(['global_pool', 'fc'])
    const last = selectLayers(mobilenet, 'last:1')
    expect(last.has('blocks.6.0.conv_pw')).toBe(true)
    expect(last.has('conv_head')).toBe(true)
    expect(last.has('blocks.5.2.conv_pwl')).toBe(false)
    expect(blocksOf(mobilenet)).toHaveLength(17)
    expect(selectLayers(mobilenet, 'last:17').has('conv_stem')).toBe(false)
    expect(() => selectLayers(mobilenet, 'last:18')).toThrow(/only 17 blocks, from blocks.0.0 to blocks.6.0/)
  })

  test('of a stage is that stage, with a plus all later ones too', () => {
    expect(stagesOf(resnet)).toEqual(['stem', 'layer1', 'layer2', 'layer3', 'layer4', 'head'])
    const stage = selectLayers(resnet, 'stage:layer4')
    expect([...stage].every((name) => name.startsWith('layer4.'))).toBe(true)
    expect(stage.size).toBe(12)
    const above = selectLayers(resnet, 'stage:layer4+')
    expect([...above].filter((name) => !stage.has(name))).toEqual(['global_pool', 'fc'])
    expect(() => selectLayers(resnet, 'stage:layer5')).toThrow(/Did you mean 'layer/)
  })

  test('by a pattern takes names below it, stars anywhere, and dots as dots', () => {
    expect([...selectLayers(resnet, 'layer1.0.bn1')]).toEqual(['layer1.0.bn1'])
    expect(selectLayers(resnet, 'layer1')).toEqual(selectLayers(resnet, 'stage:layer1'))
    expect([...selectLayers(resnet, 'layer*.0.downsample.1')]).toEqual(
      [2, 3, 4].map((stage) => `layer${stage}.0.downsample.1`),
    )
    expect([...selectLayers(resnet, 'bn1, fc')]).toEqual(['bn1', 'fc'])
    expect(() => selectLayers(resnet, 'layer1x0')).toThrow(/No layer matches 'layer1x0'/)
    expect(() => selectLayers(resnet, 'layer4.1.con1')).toThrow(/Did you mean 'layer4\.1\.conv1'\?/)
  })

  test('of all is every layer', () => {
    expect(selectLayers(resnet, 'all').size).toBe(resnet.layers.length)
  })
})

test('freezing marks the layers outside the choice and leaves the graph it was given alone', () => {
  const frozen = freezeExcept(resnet, selectLayers(resnet, 'head'))
  expect(costOf(frozen)).toMatchObject({ parameters: costOf(resnet).parameters, trainable: 512 * 4 + 4 })
  expect(resnet.layers.some((layer) => layer.frozen)).toBe(false)
  const thawed = freezeExcept(frozen, selectLayers(frozen, 'all'))
  expect(thawed).toEqual(resnet)
})
