import * as path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { RegraftError } from '../../src/errors.ts'
import { createEngine, type Engine } from '../../src/kernels/engine.ts'
import type { WorkEvent } from '../../src/train/events.ts'
import { gradcheck } from '../../src/transfer/gradcheck.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { drawFolder } from '../stories/drawn-pictures.ts'

const folder = temporaryFolder()
let engine: Engine
beforeAll(() => {
  engine = createEngine({ threads: 1, simd: 'baseline' })
})
afterAll(() => engine.close())

const few = { unfreeze: 'last:1', coordinates: 2, imgSize: 32 } as const

test('the default model and drawn pictures need no options', async () => {
  const events: WorkEvent[] = []
  const checked = await gradcheck({ ...few, engine, listener: (event) => events.push(event) })
  expect(checked).toMatchObject({ good: true, images: 3, imgSize: 32, bn: 'frozen', loss: 'ce', burnIn: 0 })
  expect(checked.tensors.map(({ name }) => name)).toContain('classifier.bias')
  expect(checked.tensors.map(({ name }) => name)).not.toContain('conv_stem.weight')
  expect(checked.penalty?.tensors.map(({ name }) => name)).not.toContain('classifier.bias')
  expect(events.some((event) => event.type === 'progress' && event.phase === 'gradcheck')).toBe(true)
  expect(await gradcheck({ ...few, engine })).toEqual(checked)
})

test('pictures of a folder, another head, another loss, and steps before the check', async () => {
  const data = path.join(folder, 'things')
  await drawFolder(data)
  const checked = await gradcheck({
    ...few,
    engine,
    data,
    head: 'mlp:16x2',
    activation: 'prelu',
    loss: 'focal',
    pictures: 4,
    burnIn: 3,
    l1: 0,
    l2: 0,
  })
  expect(checked).toMatchObject({ good: true, images: 4, loss: 'focal', burnIn: 3, penalty: undefined })
  expect(checked.tensors.map(({ name }) => name)).toContain('head.hidden.1.weight')
  const same = { head: 'mlp:16x2', activation: 'prelu', loss: 'focal', pictures: 4, l1: 0, l2: 0 } as const
  const before = await gradcheck({ ...few, engine, data, ...same })
  expect(checked.dataLoss.reference).toBeLessThan(before.dataLoss.reference)
})

test('a network of random weights needs no weights', async () => {
  const model = 'mobilenetv2_010'
  await expect(gradcheck({ ...few, engine, model })).rejects.toThrow(RegraftError)
  expect(await gradcheck({ ...few, engine, model: 'mobilenetv2_035', pretrained: false })).toMatchObject({ good: true })
})

test('it can be interrupted', async () => {
  const signal = AbortSignal.abort(new RegraftError('interrupted', 'enough'))
  await expect(gradcheck({ ...few, engine, signal })).rejects.toThrow('enough')
})
