// The verb `demo`: the first minute. Draws pictures, trains on them, and shows that it was the pretrained network that did it.
import * as path from 'node:path'
import { throwIfAborted } from '../errors.ts'
import { writeFileAtomic } from '../files/atomic-write.ts'
import { writeJson } from '../files/strict-json.ts'
import { freshModel } from '../model/load.ts'
import { saveModel } from '../model/save.ts'
import { csvNumber, csvText } from '../vectors/csv.ts'
import { contactSheet } from './demo/contact-sheet.ts'
import { difficulty } from './demo/difficulty.ts'
import { type PartCounts, writePictures } from './demo/picture-set.ts'
import { type DemoFigures, reportLines } from './demo/report.ts'
import { type LabelledJpeg, nearestCentroidAccuracy } from './demo/thumbnails.ts'
import { embed } from './embed.ts'
import type { Prediction, TrainOptions, WorkOptions } from './options.ts'
import { predict } from './predict.ts'
import { emptiedFolder, type FolderRules } from './taken-folder.ts'
import { train } from './train.ts'

export interface DemoOptions extends WorkOptions {
  /** Folder to write; new, empty, or with `overwrite` a former demo's. */
  readonly out: string
  readonly overwrite?: boolean
  /** The network to build on: the embedded one if left out. */
  readonly model?: string
  /** Pictures of each thing; fewer are quicker, and prove less. */
  readonly counts?: PartCounts
  readonly epochs?: { readonly head: number; readonly finetune: number }
  readonly imgSize?: number
  readonly seed?: number
}

export interface DemoResult extends DemoFigures {
  /** What it did, for a person. */
  readonly lines: readonly string[]
}

/** Epochs that are enough for pictures like these. */
const EPOCHS = { head: 30, finetune: 7 }
/** Drawings are far from the photos that the network knows: all of it has to move. */
const FINETUNE = { unfreeze: 'all', lr: 1e-3 }
const SHEET_COLUMNS = 12
/** What a demo's folder may hold; anything else is somebody's, and is not overwritten. */
const OWN = ['pictures', 'pictures.jpg', 'head', 'finetune', 'untrained', 'vectors', 'predictions.csv', 'demo.json']

/**
 * Draws pictures, trains on them in modes head and finetune, predicts and embeds pictures that were not trained on, and
 * does the same training from random weights for comparison. Neither the network nor any file but its own is touched.
 * @throws RegraftError 'usage' for a folder that is not free; otherwise as `train`
 */
export async function demo(options: DemoOptions): Promise<DemoResult> {
  const { engine, signal, listener, out } = options
  const model = options.model ?? 'default'
  const counts = options.counts ?? difficulty.counts
  const epochs = options.epochs ?? EPOCHS
  const seed = options.seed ?? 0
  const things = difficulty.things
  const startedAt = performance.now()
  const seconds: Record<string, number> = {}
  const step = async <T>(name: string, what: string, work: () => Promise<T>): Promise<T> => {
    throwIfAborted(signal)
    listener?.({ type: 'note', message: what })
    const from = performance.now()
    const result = await work()
    seconds[name] = (performance.now() - from) / 1000
    return result
  }
  const at = (...names: string[]) => path.join(out, ...names)
  const basics = { engine, ...(signal ? { signal } : {}), ...(listener ? { listener } : {}) }
  await emptiedFolder(out, rulesOf(options.overwrite ?? false))

  const perThing = counts.train + counts.val + counts.unseen
  const pictures = await step(
    'draw',
    `Drawing ${perThing * things.length} pictures of ${things.length} things ...`,
    async () => {
      const kept = { train: [] as LabelledJpeg[], unseen: [] as LabelledJpeg[] }
      await writePictures(at('pictures'), { things, counts, seed, signal }, ({ part, thing, jpeg }) => {
        if (part !== 'val') kept[part].push({ jpeg, label: thing })
      })
      const rows = things.map((thing) =>
        kept.train.flatMap(({ jpeg, label }) => (label === thing ? [jpeg] : [])).slice(0, SHEET_COLUMNS),
      )
      await writeFileAtomic(at('pictures.jpg'), await contactSheet(rows))
      return kept
    },
  )
  const thumbnails = await step('thumbnails', 'Comparing 8x8 thumbnails ...', () =>
    nearestCentroidAccuracy(pictures.train, pictures.unseen),
  )

  const unseen = [at('pictures', 'unseen')]
  const trainAndTry = async (run: string, how: Partial<TrainOptions> & Pick<TrainOptions, 'mode'>) => {
    const imgSize = options.imgSize === undefined ? {} : { imgSize: options.imgSize }
    const data = { data: at('pictures', 'train'), val: at('pictures', 'val') }
    const { best } = await train({ ...basics, ...imgSize, ...data, model, out: run, seed, ...how })
    const predictions: Prediction[] = []
    for await (const prediction of predict(run, unseen, basics)) predictions.push(prediction)
    return { run, validation: best.valAccuracy, accuracy: share(predictions, isRight), predictions }
  }

  const head = await step(
    'head',
    'Training a head on the pretrained network, which stays as it is (--mode head) ...',
    () => trainAndTry(at('head'), { mode: 'head', epochs: epochs.head }),
  )
  const finetune = await step(
    'finetune',
    `Training all of the network (--mode finetune --unfreeze ${FINETUNE.unfreeze} --lr ${FINETUNE.lr}) ...`,
    () => trainAndTry(at('finetune'), { mode: 'finetune', ...FINETUNE, epochs: epochs.finetune }),
  )
  // By the validation pictures: the unseen ones are for judging, not for choosing.
  const best = finetune.validation >= head.validation ? finetune : head

  const untrained = await step(
    'untrained',
    'The same two trainings from random weights, for comparison ...',
    async () => {
      const start = at('untrained', 'start')
      await saveModel(await freshModel(model, seed), start)
      return {
        head: await trainAndTry(at('untrained', 'head'), { mode: 'head', model: start, epochs: epochs.head }),
        finetune: await trainAndTry(at('untrained', 'finetune'), {
          mode: 'finetune',
          ...FINETUNE,
          pretrained: false,
          epochs: epochs.finetune,
        }),
      }
    },
  )
  const vectors = await step('embed', 'Taking the features of the unseen pictures ...', () =>
    embed(best.run, unseen, { ...basics, out: at('vectors') }),
  )
  await writeFileAtomic(
    at('predictions.csv'),
    [
      'path,label,score',
      ...best.predictions.map((row) => `${csvText(row.path)},${csvText(row.label ?? '')},${csvNumber(row.score)}`),
      '',
    ].join('\n'),
  )

  const figures: DemoFigures = {
    out,
    model,
    things,
    counts,
    epochs,
    finetune: FINETUNE,
    accuracy: {
      head: head.accuracy,
      finetune: finetune.accuracy,
      best: best.accuracy,
      thumbnails,
      untrainedHead: untrained.head.accuracy,
      untrainedFinetune: untrained.finetune.accuracy,
    },
    best: best === finetune ? 'finetune' : 'head',
    features: vectors.features,
    examples: examplesOf(best.predictions, things.length),
    seconds: { ...seconds, total: (performance.now() - startedAt) / 1000 },
  }
  await writeJson(at('demo.json'), figures)
  return { ...figures, lines: reportLines(figures) }
}

/** The folder of a picture is its class. */
const truth = (prediction: Prediction): string => path.basename(path.dirname(prediction.path))
const isRight = (prediction: Prediction): boolean => prediction.label === truth(prediction)

function share<T>(items: readonly T[], holds: (item: T) => boolean): number {
  return items.length === 0 ? 0 : items.filter(holds).length / items.length
}

/** One picture of each thing, and up to three that were mistaken. */
function examplesOf(predictions: readonly Prediction[], things: number): DemoFigures['examples'] {
  const each = predictions.length / things
  const first = Array.from({ length: Math.min(5, things) }, (_, index) => predictions[Math.floor(index * each)])
  const wrong = predictions.filter((prediction) => !isRight(prediction) && !first.includes(prediction)).slice(0, 3)
  return [...first, ...wrong].flatMap((row) =>
    row ? [{ path: row.path, truth: truth(row), label: row.label ?? '', score: row.score ?? 0 }] : [],
  )
}

function rulesOf(overwrite: boolean): FolderRules {
  const foreign = (_: string, names: readonly string[]) => names.filter((name) => !OWN.includes(name))
  return { overwrite, whose: "a demo's", foreign, instead: 'or replace the demo in it' }
}
