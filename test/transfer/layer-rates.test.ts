import { expect, test } from 'vitest'
import { freezeExcept, selectLayers } from '../../src/graph/freeze.ts'
import { graphOf } from '../../src/model/model.ts'
import { planParameters } from '../../src/runtime/parameters.ts'
import { layerRates } from '../../src/transfer/layer-rates.ts'
import type { TrainOptions } from '../../src/transfer/options.ts'
import { parseRates } from '../../src/transfer/rates.ts'
import { completeConfig } from '../../src/transfer/train-defaults.ts'
import { trainableParameters } from '../../src/transfer/trainable.ts'
import { randomModel } from '../stories/random-model.ts'

/** What the parameters of the last two blocks and the head of a MobileNetV1 get. */
async function ratesOf(options: Partial<TrainOptions>) {
  const plain = graphOf(await randomModel('mobilenetv1_025', { labels: ['a', 'b'] }))
  const graph = freezeExcept(plain, selectLayers(plain, 'last:2'))
  const given = { data: '', out: '', mode: 'finetune', ...options } as const
  // The engine has no part in a configuration.
  const config = completeConfig(given as TrainOptions)
  const trainable = trainableParameters(graph, 'train')
  const { rateScale, waits } = layerRates(graph, trainable, config)
  const [planned] = [planParameters(graph)]
  const named = (name: string) => ({ ...planned.get(name), address: 0 })
  const names = ['blocks.3.5.conv_pw.weight', 'blocks.4.0.conv_dw.weight', 'blocks.4.1.bn2.bias', 'classifier.weight']
  const [, ...used] = names
  return {
    scales: used.map((name) => rateScale(named(name))),
    waits: used.map((name) => waits(named(name))),
    trainable,
  }
}

test('all rates are alike unless something else is said', async () => {
  expect(await ratesOf({})).toMatchObject({ scales: [1, 1, 1], waits: [0, 0, 0] })
})

test('A:B goes from A in the first block that trains to B in the head, by one factor', async () => {
  const { scales } = await ratesOf({ lr: '1e-5:1e-3' })
  expect(scales).toEqual([expect.closeTo(0.01, 12), expect.closeTo(0.1, 12), 1])
})

test('--layer-decay multiplies from block to block', async () => {
  const { scales } = await ratesOf({ layerDecay: 0.5 })
  expect(scales).toEqual([expect.closeTo(0.25, 12), expect.closeTo(0.5, 12), 1])
})

test('--gradual thaws from the head on, and has to come to an end', async () => {
  expect((await ratesOf({ gradual: 2, epochs: 5 })).waits).toEqual([4, 2, 0])
  await expect(ratesOf({ gradual: 2, epochs: 4 })).rejects.toMatchObject({
    code: 'usage',
    message: expect.stringMatching(/thaw the last of 3 parts of the network after 4 epochs, but there are 4/),
  })
})

test.each(['1e-3:', ':1', '1:2:3', '0', '-1', '0:1', 'fast', '1e999'])('--lr %j is refused', (text) => {
  expect(() => parseRates(text)).toThrow(/--lr .* is not understood/)
})

test.each([
  [{ lr: '1e-5:1e-3', mode: 'head' }, /a head has only one rate/],
  [{ lr: '1e-5:1e-3', layerDecay: 0.5, mode: 'finetune' }, /both say how the rate falls/],
  [{ layerDecay: 0.5, mode: 'head' }, /--layer-decay has a meaning only with --mode finetune/],
  [{ gradual: 1, mode: 'head' }, /--gradual has a meaning only with --mode finetune/],
  [{ ema: 0.9, mode: 'features' }, /--ema has a meaning only with --mode head/],
] as const)('%j is refused', (options, message) => {
  expect(() => completeConfig({ data: '', out: '', ...options } as unknown as TrainOptions)).toThrow(message)
})
