import { expect, test } from 'vitest'
import type { EpochRecord } from '../../src/train/events.ts'
import { gapOf } from '../../src/transfer/gap.ts'
import { completeConfig } from '../../src/transfer/train-defaults.ts'

const record = (trainAccuracy: number, validationAccuracy: number): EpochRecord => ({
  epoch: 3,
  learningRate: 1e-3,
  trainLoss: 0.2,
  trainAccuracy,
  validationLoss: 0.5,
  validationAccuracy,
  validationTopAccuracy: 1,
  validationBalancedAccuracy: validationAccuracy,
  validationMacroF1: validationAccuracy,
  seconds: 1,
})
const many = { train: 5000, val: 1000 }
const config = completeConfig({ data: 'd', out: 'o', mode: 'finetune', augment: 'none' } as never)

test('much better on what was learnt is overfitting, and regularisation is advised', () => {
  const gap = gapOf(record(0.99, 0.8), many, config)
  expect(gap).toMatchObject({ epoch: 3, meaning: 'overfitting', loss: 0.3 })
  expect(gap.accuracy).toBeCloseTo(0.19, 12)
  expect(gap.advice).toMatch(/99\.0 %.*80\.0 %.*--augment light.*--weight-decay 0\.03/)
})

test('no gap and much to learn is underfitting, and a larger model is advised', () => {
  const gap = gapOf(record(0.78, 0.77), many, config)
  expect(gap.meaning).toBe('underfitting')
  expect(gap.advice).toMatch(/larger model/)
})

test('no gap and little left to learn is neither', () => {
  expect(gapOf(record(0.98, 0.97), many, config).meaning).toBe('fitting')
  // Augmentation makes training harder than validation.
  expect(gapOf(record(0.9, 0.97), many, config).meaning).toBe('fitting')
})

test('of few pictures a gap may be chance', () => {
  expect(gapOf(record(0.9, 0.8), { train: 40, val: 10 }, config).meaning).toBe('underfitting')
  expect(gapOf(record(0.9, 0.8), many, config).meaning).toBe('overfitting')
})

test('knowing all training pictures and few of the others is never called learning too little', () => {
  const gap = gapOf(record(1, 0.6), { train: 20, val: 5 }, config)
  expect(gap.meaning).toBe('fitting')
  expect(gap.advice).toMatch(/gap that may be chance \(training 100\.0 %, validation 60\.0 %\).* 5 to validate/)
})
