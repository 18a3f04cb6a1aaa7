// The loss of each of the first steps, to the last bit: what a repetition is compared with.
import { readFile } from 'node:fs/promises'
import { writeFileAtomic } from '../../src/files/atomic-write.ts'

/** Steps that are written down. */
const MOST_STEPS = 200

export interface LossLog {
  add(step: number, loss: number): void
  write(): Promise<void>
}

/** Goes on with the table that a run left, as far as its steps were kept. */
export async function lossLog(file: string, stepsDone: number): Promise<LossLog> {
  const before = stepsDone === 0 ? '' : await readFile(file, 'utf8')
  const rows = before.split('\n').slice(1, 1 + Math.min(stepsDone, MOST_STEPS))
  let written = rows.length
  return {
    add(step, loss) {
      // The shortest digits that give the same number when they are read.
      if (step <= MOST_STEPS) rows.push(`${step},${loss}`)
    },
    async write() {
      if (written === rows.length && stepsDone > 0) return
      await writeFileAtomic(file, `${['step,loss', ...rows].join('\n')}\n`)
      written = rows.length
    },
  }
}
