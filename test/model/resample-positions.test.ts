// Positions for pictures of another size, as timm resamples them: test/parity/fixtures/record.py wrote them down.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { loadModel } from '../../src/model/load.ts'
import { resampledPositions } from '../../src/model/resample-positions.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { formulaTensor } from '../parity/formula.ts'
import { savedModel } from '../stories/random-model.ts'
import { relativeDifference } from '../support/relative-difference.ts'

const folder = temporaryFolder()
const cases: { size: number; rows: number; columns: number; values: number[] }[] = JSON.parse(
  readFileSync(join(import.meta.dirname, 'fixtures/positions.json'), 'utf8'),
)

test.each(cases)('from $size x $size to $rows x $columns', ({ size, rows, columns, values }) => {
  const resampled = resampledPositions(formulaTensor('pos_embed', [1, 1 + size * size, 2], 1), [rows, columns])
  expect(resampled?.shape).toEqual([1, 1 + rows * columns, 2])
  expect(relativeDifference(resampled?.data ?? [], values)).toBeLessThan(1e-6)
})

test('positions of no square grid are left to be refused', () => {
  expect(resampledPositions({ shape: [1, 8, 2], data: new Float32Array(16) }, [2, 2])).toBeUndefined()
})

test('a vision transformer opens at another size of pictures, and says its size to timm', async () => {
  const saved = await savedModel(join(folder, 'vit'), 'vit_tiny_patch16_224', { labels: ['a', 'b'], imgSize: 64 })
  expect(JSON.parse(readFileSync(join(saved, 'config.json'), 'utf8'))).toMatchObject({
    model_args: { img_size: [64, 64] },
  })
  const [own, larger] = [await loadModel(saved), await loadModel(saved, { imgSize: 96 })]
  expect(own.model.tensors.get('pos_embed')?.shape).toEqual([1, 17, 192])
  expect(larger.model.tensors.get('pos_embed')?.shape).toEqual([1, 37, 192])
})
