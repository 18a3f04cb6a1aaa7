// What the demo says at its end.
import * as path from 'node:path'
import type { PartCounts } from './picture-set.ts'

/** What came out; also `demo.json`. Accuracies are 0…1 on the unseen pictures. */
export interface DemoFigures {
  readonly out: string
  /** The network that was built on. */
  readonly model: string
  readonly things: readonly string[]
  /** Pictures of each thing. */
  readonly counts: PartCounts
  /** Of both modes, from random weights too. */
  readonly epochs: { readonly head: number; readonly finetune: number }
  /** What mode finetune was given besides. */
  readonly finetune: { readonly unfreeze: string; readonly lr: number }
  readonly accuracy: {
    readonly head: number
    readonly finetune: number
    /** Of the one of both that was better on the validation pictures. */
    readonly best: number
    /** Nearest mean of 8x8 thumbnails. */
    readonly thumbnails: number
    readonly untrainedHead: number
    readonly untrainedFinetune: number
  }
  readonly best: 'head' | 'finetune'
  /** Numbers in a feature vector. */
  readonly features: number
  readonly examples: readonly {
    readonly path: string
    readonly truth: string
    readonly label: string
    readonly score: number
  }[]
  /** By step. */
  readonly seconds: Readonly<Record<string, number>>
}

/** The report, line by line. */
export function reportLines(figures: DemoFigures): string[] {
  const { out, things, counts, epochs, finetune, accuracy, best, seconds, examples } = figures
  const at = (...names: string[]) => path.join(out, ...names)
  const took = (step: string) => `${(seconds[step] ?? 0).toFixed(1)} s`
  const percent = (value: number) => `${(100 * value).toFixed(1)} %`.padStart(8)
  const run = at(best)
  return [
    'What it did',
    `  drew ${things.length * (counts.train + counts.val + counts.unseen)} pictures: ${things.join(', ')}  (${took('draw')})`,
    `  trained on ${counts.train} of each, choosing epochs by ${counts.val} more of each:`,
    `    --mode head: a head on the pretrained network as it is, ${epochs.head} epochs  (${took('head')})`,
    `    --mode finetune --unfreeze ${finetune.unfreeze} --lr ${finetune.lr}: all of the network, ${epochs.finetune} epochs  (${took('finetune')})`,
    `  did both once more from random weights  (${took('untrained')})`,
    `  classified and embedded ${counts.unseen} more of each that it had not seen (embedding: ${figures.features} numbers a picture, ${took('embed')})`,
    `  all in ${took('total')}`,
    '',
    'Right on the pictures it had not seen',
    `  pretrained network   head ${percent(accuracy.head)}   finetune ${percent(accuracy.finetune)}`,
    `  untrained network    head ${percent(accuracy.untrainedHead)}   finetune ${percent(accuracy.untrainedFinetune)}`,
    `  8x8 thumbnails            ${percent(accuracy.thumbnails)}   (nearest mean; guessing gives ${percent(1 / things.length).trim()})`,
    '',
    'Some of them',
    ...examples.map(
      ({ path: file, truth, label, score }) =>
        `  ${path.relative(out, file)}  ${label} ${percent(score).trim()}${label === truth ? '' : `   (wrong: ${truth})`}`,
    ),
    '',
    'Where it is',
    `  ${at('pictures.jpg')}  some of the pictures; all are in ${at('pictures')}`,
    `  ${at('head')}, ${at('finetune')}  the runs: best${path.sep} is the model, history.csv how it went`,
    `  ${at('predictions.csv')}, ${at('vectors')}  what ${run} says about the unseen pictures`,
    '',
    'What to try next',
    `  regraft predict ${run} drawing.png --topk 3        (a drawing of yours)`,
    '  regraft train photos --out runs/mine        (photos: a folder for each class, with some of your photos in it)',
    '  regraft train photos --mode finetune --out runs/mine-finetuned',
    '  regraft predict runs/mine more-photos > labels.csv',
    '  regraft embed photos --model runs/mine --out vectors',
  ]
}
