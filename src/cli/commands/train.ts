import * as path from 'node:path'
import { RegraftError } from '../../errors.ts'
import { listFolder } from '../../files/folder.ts'
import { inertName } from '../../inert-text.ts'
import type { TrainResult } from '../../transfer/options.ts'
import { defineCommand, type Work } from '../command.ts'
import { duration, jsonText, percent, shellWord } from '../format.ts'
import { nextRun } from '../run-name.ts'
import { json, onError, overwrite, preprocessing } from '../shared-settings.ts'
import { choice, number, onOff, text, wholeNumber } from '../values.ts'

/** `train DATA`: from an image folder to a run folder. */
export const train = defineCommand({
  name: 'train',
  summary: 'train a classifier on an image folder',
  description:
    'DATA is a folder with one folder of pictures per class. The run folder gets the best model (best/), the history, ' +
    'metrics.json, the effective configuration and checkpoints.',
  arguments: [{ name: 'data', help: 'the image folder; known already with --resume', optional: true }],
  examples: [
    'regraft train flowers',
    'regraft train flowers --mode finetune --unfreeze last:2 --epochs 10 --lr 1e-3',
    'regraft train --resume runs/flowers-1',
  ],
  settings: {
    data: text('<dir>', { group: 'Data', help: 'the image folder', positional: true }),
    val: text('<fraction|dir|file>', { group: 'Data', help: 'validation pictures: a share, a folder or a list file' }),
    trainList: text('<file>', { group: 'Data', help: 'train on the pictures named in this file only' }),
    test: text('<dir>', { group: 'Data', help: 'measure the best model on this folder at the end' }),
    seed: wholeNumber({ from: 0, to: Number.MAX_SAFE_INTEGER }, { group: 'Data', help: 'of all that is random' }),
    onError,
    strict: onOff({ group: 'Data', help: 'stop with 3 before the first epoch when any picture is bad' }),
    maxBad: number({ from: 0, to: 100 }, { group: 'Data', help: 'largest share of unreadable pictures, in percent' }),

    model: text('<model>', { group: 'Model', help: "folder, weight file, card's name, or 'default'" }),
    mode: choice(['head', 'features', 'finetune'], {
      group: 'Model',
      help: 'train a new head, a head on stored features, or layers of the network too',
    }),
    pretrained: onOff({ group: 'Model', help: 'begin with random weights', shownNegated: true }),
    head: text('<head>', { group: 'Model', help: 'kind of the new head' }),
    unfreeze: text('<layers>', { group: 'Model', help: 'layers to train: last:N, stage:NAME+, all, or a pattern' }),
    freeze: text('<pattern>', { group: 'Model', help: 'layers to keep, of those unfrozen' }),
    bn: choice(['frozen', 'train-unfrozen', 'train'], {
      group: 'Model',
      help: 'where batch norm learns its statistics',
    }),
    bnAffine: choice(['train', 'frozen'], { group: 'Model', help: 'scale and shift of batch norm in unfrozen layers' }),

    epochs: wholeNumber({ from: 1, to: 1_000_000 }, { group: 'Training', help: 'times that all pictures are seen' }),
    batchSize: wholeNumber({ from: 1, to: 65_536 }, { group: 'Training', help: 'pictures per step' }),
    opt: choice(['sgd', 'momentum', 'nesterov', 'adam', 'adamw'], { group: 'Training', help: 'optimiser' }),
    lr: number({ from: 0, above: true }, { group: 'Training', help: 'learning rate' }),
    momentum: number({ from: 0, to: 1, below: true }, { group: 'Training', help: 'of momentum and nesterov' }),
    weightDecay: number({ from: 0 }, { group: 'Training', help: "PyTorch's meaning; decoupled in adamw" }),
    sched: choice(['constant', 'cosine'], { group: 'Training', help: 'how the learning rate goes on' }),
    warmupEpochs: number({ from: 0 }, { group: 'Training', help: 'epochs in which the rate rises' }),
    warmupHead: number({ from: 0 }, { group: 'Training', help: 'epochs of the head alone, before the other layers' }),
    smoothing: number({ from: 0, to: 1, below: true }, { group: 'Training', help: 'label smoothing' }),
    clipGrad: number({ from: 0 }, { group: 'Training', help: 'largest norm of the gradient' }),
    augment: choice(['none', 'light'], { group: 'Training', help: 'random changes of the pictures' }),
    patience: wholeNumber({ from: 0 }, { group: 'Training', help: 'epochs without a better result; 0 = off' }),
    minAccuracy: number({ from: 0, to: 1 }, { group: 'Training', help: 'exit with 5 when the best accuracy is below' }),

    ...preprocessing,

    out: text('<dir>', { group: 'Output', help: 'run folder', fallback: 'runs/<data>-<n>' }),
    overwrite,
    resume: text('<run>', { group: 'Output', help: 'go on with an unfinished run' }),
    allowBuildChange: onOff({
      group: 'Output',
      help: 'resume although the kernels differ; results change in the last bits',
    }),
    json,
  },

  async run({ json, out, data: configured, ...options }, [argument], work) {
    const data = argument ?? configured
    if (data === undefined && options.resume === undefined) {
      throw new RegraftError('usage', "DATA is missing: the image folder, such as in 'regraft train flowers'.")
    }
    if (out !== undefined && options.resume !== undefined && path.resolve(out) !== path.resolve(options.resume)) {
      throw new RegraftError(
        'usage',
        '--out and --resume name different folders.\nA resumed run goes on in its own folder; leave --out out.',
      )
    }
    const run = options.resume ?? out ?? (await nextRun(data ?? ''))
    let result: TrainResult
    try {
      result = await work.verbs.train({ ...options, data: data ?? '', out: run, ...work.options() })
    } catch (error) {
      throw await withAdvice(error, run)
    }
    if (json) await work.output.write(`${jsonText(trainDocument(result), 2)}\n`)
    summarise(result, work)
    return result.belowMinimum ? 5 : 0
  },
})

/** The result with the names of `metrics.json`. */
export function trainDocument(result: TrainResult): Readonly<Record<string, unknown>> {
  const { out, classes, best, final, test, images, seconds, stopped } = result
  return {
    out,
    best: { epoch: best.epoch, val_accuracy: best.valAccuracy, val_loss: best.valLoss },
    final: { val_accuracy: final.valAccuracy, val_loss: final.valLoss, train_accuracy: final.trainAccuracy },
    ...(test && { test }),
    classes,
    images,
    seconds,
    ...(stopped !== undefined && { stopped }),
  }
}

function summarise({ out, best, test, images, seconds, stopped, belowMinimum }: TrainResult, work: Work): void {
  const lines = [`${inertName(out)}: best validation accuracy ${percent(best.valAccuracy)}, in epoch ${best.epoch}`]
  if (test) lines.push(`test accuracy ${percent(test.accuracy)} on ${test.images} images`)
  const bad = images.bad > 0 ? `, ${images.bad} left out` : ''
  lines.push(`${images.train} images to train on, ${images.val} to validate${bad}; ${duration(seconds.total)}`)
  if (stopped !== undefined) lines.push(`stopped before the last epoch: ${stopped}`)
  if (belowMinimum) lines.push('The best accuracy is below --min-accuracy.')
  lines.push(`Use it: regraft predict ${shellWord(out)} PICTURES...`)
  work.say(lines.join('\n'))
}

/** An interrupted run that left a checkpoint can go on. */
async function withAdvice(error: unknown, run: string): Promise<unknown> {
  if (!(error instanceof RegraftError) || (error.code !== 'interrupted' && error.code !== 'time')) return error
  const checkpoints = await listFolder(path.join(run, 'checkpoints')).catch(() => [])
  if (checkpoints.length === 0) return error
  const message = `${error.message}\nGo on with: regraft train --resume ${shellWord(run)}`
  const signal = error.exitCode === 143 ? 'SIGTERM' : 'SIGINT'
  return new RegraftError(error.code, message, { cause: error, ...(error.code === 'interrupted' && { signal }) })
}
