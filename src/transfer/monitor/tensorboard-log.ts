import * as path from 'node:path'
import { writeFileAtomic } from '../../files/atomic-write.ts'
import { createFolder } from '../../files/folder.ts'
import { fileBeginning, summaryRecord } from '../../report/tensorboard.ts'
import type { Listener } from '../../train/events.ts'
import type { Spread } from './monitor.ts'

export interface TensorBoardLog {
  readonly listener: Listener
  onSpread(spread: Spread): void
  /** Writes all that happened so far. */
  flush(): Promise<void>
}

/** An event file in the folder of a run; each process that works on it has one of its own. */
export function tensorBoardLog(out: string, stepsPerEpoch: number): TensorBoardLog {
  const seconds = () => Date.now() / 1000
  const folder = path.join(out, 'tensorboard')
  const file = path.join(folder, `events.out.tfevents.${Date.now()}.regraft`)
  const records = [fileBeginning(seconds())]
  let written = 0
  return {
    listener(event) {
      if (event.type === 'step') {
        const step = (event.epoch - 1) * stepsPerEpoch + event.step
        records.push(
          summaryRecord(seconds(), step, [
            { tag: 'step/loss', value: event.loss },
            { tag: 'step/gradient_norm', value: event.gradientNorm },
            { tag: 'step/learning_rate', value: event.learningRate },
          ]),
        )
      } else if (event.type === 'epoch') {
        records.push(
          summaryRecord(seconds(), event.epoch, [
            { tag: 'loss/training', value: event.trainLoss },
            { tag: 'loss/validation', value: event.validationLoss },
            { tag: 'accuracy/training', value: event.trainAccuracy },
            { tag: 'accuracy/validation', value: event.validationAccuracy },
            { tag: 'accuracy/validation_balanced', value: event.validationBalancedAccuracy },
            { tag: 'macro_f1/validation', value: event.validationMacroF1 },
          ]),
        )
      }
    },
    onSpread({ kind, name, epoch, ...values }) {
      records.push(summaryRecord(seconds(), epoch, [{ tag: `${kind}s/${name}`, ...values }]))
    },
    async flush() {
      if (written === records.length) return
      written = records.length
      await createFolder(folder)
      await writeFileAtomic(file, records.slice(0, written))
    },
  }
}
