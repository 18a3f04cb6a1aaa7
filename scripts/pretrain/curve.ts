// How a run went, all stages in a row, as a picture.
import { readFile } from 'node:fs/promises'
import * as path from 'node:path'
import { RegraftError } from '../../src/errors.ts'
import { writeFileAtomic } from '../../src/files/atomic-write.ts'
import { listFolder } from '../../src/files/folder.ts'
import { type CurvePoint, curvesSvg } from '../../src/report/curves.ts'

/** Columns of `history.csv`. */
const columns = {
  learningRate: 'lr',
  trainLoss: 'train_loss',
  trainAccuracy: 'train_accuracy',
  validationLoss: 'val_loss',
  validationAccuracy: 'val_accuracy',
  validationBalancedAccuracy: 'val_balanced_accuracy',
  validationMacroF1: 'val_macro_f1',
} as const

/**
 * @param run   folder of a training, with a folder for each stage
 * @param file  an SVG
 * @throws RegraftError 'usage' for a folder without a stage that has ended an epoch
 */
export async function drawCurve(run: string, file: string): Promise<void> {
  const history: CurvePoint[] = []
  for (const { name } of await listFolder(run)) {
    if (!/^stage-\d+$/.test(name)) continue
    const [head = '', ...rows] = (await readFile(path.join(run, name, 'history.csv'), 'utf8')).trim().split('\n')
    const names = head.split(',')
    for (const row of rows) {
      const cells = row.split(',')
      const value = (column: string) => Number(cells[names.indexOf(column)])
      const point = Object.entries(columns).map(([key, column]) => [key, value(column)])
      history.push({ epoch: history.length + 1, ...Object.fromEntries(point) })
    }
  }
  if (history.length === 0) throw new RegraftError('usage', `${run} holds no stage that has ended an epoch.`)
  const best = history.reduce((a, b) => (b.validationAccuracy > a.validationAccuracy ? b : a))
  await writeFileAtomic(file, curvesSvg(history, best.epoch))
}
