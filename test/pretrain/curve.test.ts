import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { drawCurve } from '../../scripts/pretrain/curve.ts'
import { curvesSvg } from '../../src/report/curves.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'

const folder = temporaryFolder()
const head =
  'epoch,lr,train_loss,train_accuracy,val_loss,val_accuracy,seconds,val_top_k,val_balanced_accuracy,val_macro_f1,gap'

test('the stages of a run follow each other in one picture, with the best epoch of all', async () => {
  const run = join(folder, 'run')
  const rows = [
    ['1,0.5,3,0.1,2.5,0.2,9,0.4,0.21,0.19,-0.1', '2,0.4,2,0.3,1.5,0.4,9,0.6,0.41,0.39,-0.1'],
    ['1,0.2,1.5,0.4,1,0.6,9,0.8,0.61,0.59,-0.2', '2,0.1,1.4,0.5,1.1,0.5,9,0.7,0.51,0.49,0'],
  ]
  for (const [stage, lines] of rows.entries()) {
    await mkdir(join(run, `stage-${stage + 1}`), { recursive: true })
    await writeFile(join(run, `stage-${stage + 1}`, 'history.csv'), `${[head, ...lines].join('\n')}\n`)
  }
  const file = join(folder, 'curve.svg')
  await drawCurve(run, file)
  const points = rows.flat().map((row, index) => {
    const [, learningRate, trainLoss, trainAccuracy, validationLoss, validationAccuracy, , , balanced, f1] = row
      .split(',')
      .map(Number) as [number, number, number, number, number, number, number, number, number, number]
    const seen = { learningRate, trainLoss, trainAccuracy, validationLoss, validationAccuracy }
    return { epoch: index + 1, ...seen, validationBalancedAccuracy: balanced, validationMacroF1: f1 }
  })
  expect(await readFile(file, 'utf8')).toBe(curvesSvg(points, 3))
})

test('a folder without stages is refused', async () => {
  await mkdir(join(folder, 'empty'))
  await expect(drawCurve(join(folder, 'empty'), join(folder, 'no.svg'))).rejects.toThrow(/holds no stage/)
})
