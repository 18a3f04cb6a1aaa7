import { expect, test } from 'vitest'
import { architectureNamed } from '../../src/architectures/index.ts'
import { freezeExcept, selectLayers } from '../../src/graph/freeze.ts'
import type { TrainOptions } from '../../src/transfer/options.ts'
import { droppingOf } from '../../src/transfer/regularisers.ts'
import { completeConfig } from '../../src/transfer/train-defaults.ts'

const size = { height: 32, width: 32, mean: [0, 0, 0], std: [1, 1, 1] } as const

test('weights are left out of no head that is frozen', () => {
  const plain = architectureNamed('resnet18').build({ classes: 3, ...size })
  const config = completeConfig({ data: 'd', out: 'o', mode: 'finetune', dropconnect: 0.1 } as never)
  expect(droppingOf({ architecture: 'resnet18' }, plain, config).dropConnect).toBe(0.1)
  const frozen = freezeExcept(plain, selectLayers(plain, 'layer4'))
  expect(() => droppingOf({ architecture: 'resnet18' }, frozen, config)).toThrow(/--dropconnect .*--freeze/)
})

function ratesOf(architecture: string, unfreeze: string, dropPath: number) {
  const plain = architectureNamed(architecture).build({ classes: 3, ...size })
  const graph = freezeExcept(plain, selectLayers(plain, unfreeze))
  const config = completeConfig({ data: 'd', out: 'o', mode: 'finetune', dropPath } as never)
  return new Map([...droppingOf({ architecture }, graph, config).paths].map(([name, { rate }]) => [name, rate]))
}

test('the share of stochastic depth grows with the block as in timm', () => {
  const resnet = ratesOf('resnet18', 'all', 0.7)
  // Eight blocks; from the first nothing is left out.
  expect([...resnet.keys()]).toEqual(
    ['layer1.1', 'layer2.0', 'layer2.1', 'layer3.0', 'layer3.1', 'layer4.0', 'layer4.1'].map((block) => `${block}.add`),
  )
  for (const [at, rate] of [...resnet.values()].entries()) expect(rate).toBeCloseTo((at + 1) / 10, 12)
  // Of 17 blocks ten have a way around them; the last that has is the sixteenth.
  const mobile = ratesOf('mobilenetv2_035', 'all', 0.2)
  expect(mobile.size).toBe(10)
  expect(mobile.get('blocks.1.1.add')).toBeCloseTo((0.2 * 2) / 17, 12)
  expect([...mobile].at(-1)).toEqual(['blocks.5.2.add', (0.2 * 15) / 17])
})

test('blocks before the first one that trains are left as they are', () => {
  expect([...ratesOf('resnet18', 'layer3.1,head', 0.7).keys()]).toEqual([
    'layer3.1.add',
    'layer4.0.add',
    'layer4.1.add',
  ])
})

test('a network without residual branches, or with none that trains, is refused', () => {
  expect(() => ratesOf('mobilenetv1_025', 'all', 0.1)).toThrow(/--drop-path .* mobilenetv1_025 has none.*resnet18/)
  expect(() => ratesOf('resnet18', 'head', 0.1)).toThrow(/--drop-path .*none among them.*--unfreeze/)
  expect(ratesOf('mobilenetv1_025', 'all', 0).size).toBe(0)
})

test('what would change nothing is refused', () => {
  const refused: readonly (readonly [TrainOptions['mode'], Partial<TrainOptions>])[] = [
    ['features', { dropout: 0.1 }],
    ['features', { dropconnect: 0.1 }],
    ['features', { mixup: 0.2 }],
    ['head', { dropPath: 0.1 }],
    ['head', { mixup: 0.2 }],
    ['head', { cutmix: 1 }],
    ['head', { reprob: 0.1 }],
  ]
  for (const [mode, option] of refused) {
    const flag = Object.keys(option)[0]?.replace(/[A-Z]/, (letter) => `-${letter.toLowerCase()}`)
    const complete = () => completeConfig({ data: 'd', out: 'o', ...(mode && { mode }), ...option } as never)
    expect(complete).toThrow(new RegExp(`^--${flag} has a meaning only with --mode .*; this is --mode ${mode}`))
  }
  for (const option of [{ dropout: 0 }, { mixup: 0 }, { dropPath: 0 }, { reprob: 0 }])
    expect(() => completeConfig({ data: 'd', out: 'o', mode: 'features', ...option } as never)).not.toThrow()
})
