import { expect, test } from 'vitest'
import { checkPreprocessing, evalGeometry, type Preprocessing, roundHalfToEven } from '../../src/data/preprocessing.ts'

const base: Preprocessing = {
  width: 224,
  height: 224,
  cropPct: 0.875,
  interpolation: 'bicubic',
  cropMode: 'center',
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
}

function numbers(imageWidth: number, imageHeight: number, changes: Partial<Preprocessing> = {}): number[] {
  const { resizeWidth, resizeHeight, left, top } = evalGeometry(imageWidth, imageHeight, { ...base, ...changes })
  return [resizeWidth, resizeHeight, left, top]
}

test('halves are rounded to the even neighbour', () => {
  expect([0.5, 1.5, 2.5, -1.5, 58.5, 59.5, 1.2, 1.8].map(roundHalfToEven)).toEqual([0, 2, 2, -2, 58, 60, 1, 2])
})

test('the short side becomes floor(size / crop-pct) and the long side is truncated', () => {
  expect(numbers(500, 375)).toEqual([341, 256, 58, 16]) // 341.33; (341 - 224) / 2 = 58.5
  expect(numbers(296, 500)).toEqual([256, 432, 16, 104]) // 432.43
  expect(numbers(350, 156)).toEqual([574, 256, 175, 16]) // 574.36
  expect(numbers(512, 929)).toEqual([256, 464, 16, 120]) // 464.5 truncated
  expect(numbers(100, 100, { width: 160, height: 160 })).toEqual([182, 182, 11, 11]) // 182.86
  expect(numbers(1000, 999, { width: 128, height: 128 })).toEqual([146, 146, 9, 9]) // 146.29, 146.15
})

test('a crop offset of a half goes to the even side', () => {
  expect(numbers(341, 256)).toEqual([341, 256, 58, 16]) // 58.5
  expect(numbers(343, 256)).toEqual([343, 256, 60, 16]) // 59.5
})

test("a picture of the network's own size is resized and cropped like any other", () => {
  expect(numbers(224, 224)).toEqual([256, 256, 16, 16])
  expect(numbers(224, 224, { cropPct: 1 })).toEqual([224, 224, 0, 0])
})

test('squash gives both sides their size', () => {
  expect(numbers(500, 100, { cropMode: 'squash' })).toEqual([256, 256, 16, 16])
  expect(numbers(500, 100, { cropMode: 'squash', cropPct: 1 })).toEqual([224, 224, 0, 0])
})

test('border fits the long side and fills up around the rest', () => {
  expect(numbers(100, 50, { cropMode: 'border', cropPct: 1 })).toEqual([224, 112, 0, -56])
  expect(numbers(50, 100, { cropMode: 'border', cropPct: 1 })).toEqual([112, 224, -56, 0])
  expect(numbers(3000, 2, { cropMode: 'border', cropPct: 1 })).toEqual([224, 1, 0, -111])
})

test('a picture smaller than the crop is filled up, the odd pixel after it', () => {
  expect(numbers(9, 9, { width: 5, height: 5, cropPct: 2 })).toEqual([2, 2, -1, -1])
})

test('another width than height fits the tighter side', () => {
  expect(numbers(400, 400, { width: 200, height: 100, cropPct: 1 })).toEqual([200, 200, 0, 50])
  expect(numbers(300, 101, { width: 200, height: 100, cropPct: 1 })).toEqual([297, 100, 48, 0]) // 48.5
})

test('every wrong field is named at once', () => {
  const wrong = { ...base, width: 0, cropPct: Number.NaN, std: [1, 0, 1] as const }
  expect(() => checkPreprocessing(wrong)).toThrowError(/size 0x224.*crop-pct NaN.*std \[1,0,1\]/)
  expect(() => checkPreprocessing(base)).not.toThrow()
})
