import * as path from 'node:path'
import { RegraftError } from '../../errors.ts'
import { listFolder } from '../../files/folder.ts'
import { inertName } from '../../inert-text.ts'
import type { Outlook, TrainResult } from '../../transfer/options.ts'
import { metricsDocument } from '../../transfer/run-folder.ts'
import { defineCommand, type Work } from '../command.ts'
import { duration, jsonText, percent, shellWord } from '../format.ts'
import { nextRun } from '../run-name.ts'
import { flagName } from '../settings.ts'
import { trainSettings } from './train-settings.ts'

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
    'regraft train flowers --dry-run',
    'regraft train flowers --augment medium --show-augment sheet.jpg',
    'regraft train --resume runs/flowers-1',
  ],
  settings: trainSettings,
  common: [
    ...['val', 'test', 'seed', 'strict', 'model', 'mode', 'pretrained', 'head', 'unfreeze', 'epochs', 'batchSize'],
    ...['patience', 'lr', 'weightDecay', 'augment', 'showAugment', 'imgSize', 'dryRun', 'out', 'overwrite', 'json'],
    ...['resume', 'time', 'threads', 'maxMemory'],
  ],

  async run({ json, out, data: configured, dryRun, showAugment, ...options }, [argument], work) {
    const data = argument ?? configured
    const { resume } = options
    if (resume !== undefined) refuseBeside(resume, { ...options, dryRun, showAugment, data, out })
    else if (data === undefined) {
      throw new RegraftError('usage', "DATA is missing: the image folder, such as in 'regraft train flowers'.")
    } else if (options.allowBuildChange) {
      throw new RegraftError('usage', '--allow-build-change has a meaning only with --resume.')
    }
    const run = resume ?? out ?? (await nextRun(data ?? ''))
    if (showAugment !== undefined) {
      if (dryRun) throw new RegraftError('usage', 'Give either --show-augment or --dry-run: both stop before training.')
      const sheet = await work.verbs.showAugment({ ...options, data: data ?? '', file: showAugment, ...work.options() })
      if (json) await work.output.write(`${jsonText(sheet, 2)}\n`)
      work.say(
        `${inertName(sheet.file)}: ${sheet.pictures.length} training pictures, a row each: as for validation, then as in epochs 1 to ${sheet.columns - 1}.`,
      )
      return 0
    }
    if (dryRun) {
      const outlook = await work.verbs.dryRun({ ...options, data: data ?? '', out: run, ...work.options() })
      if (json) await work.output.write(`${jsonText(outlookDocument(outlook), 2)}\n`)
      return 0
    }
    let result: TrainResult
    try {
      result = await work.verbs.train({ ...options, data: data ?? '', out: run, ...work.options() })
    } catch (error) {
      throw await withAdvice(error, run)
    }
    if (json) {
      // The folder first, then what stands in its metrics.json.
      const document: unknown = Object.assign({ out: result.out }, metricsDocument(result))
      await work.output.write(`${jsonText(document, 2)}\n`)
    }
    summarise(result, work)
    return result.belowMinimum ? 5 : 0
  },
})

/** What may be decided anew when a run goes on; all else stands in its configuration. */
const besideResume = new Set([
  'resume',
  'allowBuildChange',
  'minAccuracy',
  'strict',
  'onError',
  'time',
  'saveEvery',
  'keepCheckpoints',
  'monitor',
  'tensorboard',
  'cache',
  'cacheSize',
])

/** @throws RegraftError `usage`  for options that a resumed run would not follow */
function refuseBeside(run: string, options: Readonly<Record<string, unknown>>): void {
  const ignored = Object.keys(options).filter((name) => options[name] !== undefined && !besideResume.has(name))
  if (ignored.length === 0) return
  const names = ignored.map((name) => (name === 'data' ? 'DATA' : `--${flagName(name)}`))
  throw new RegraftError(
    'usage',
    `--resume goes on with the configuration of ${inertName(run)}; it cannot be combined with ${names.join(', ')}.\nLeave these out, or begin a new run.`,
  )
}

function outlookDocument({ checks, trains, seconds, secondsBy, memoryBytes, diskBytes }: Outlook): unknown {
  return { checks, trains, seconds, seconds_by: secondsBy, memory_bytes: memoryBytes, disk_bytes: diskBytes }
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

/** What to do after an interruption: go on, when there is a checkpoint. */
async function withAdvice(error: unknown, run: string): Promise<unknown> {
  if (!(error instanceof RegraftError) || (error.code !== 'interrupted' && error.code !== 'time')) return error
  const checkpoints = await listFolder(path.join(run, 'checkpoints')).catch(() => [])
  const advice = checkpoints.some(({ name }) => !name.startsWith('.'))
    ? `Go on with: regraft train --resume ${shellWord(run)}`
    : 'It was too early for a checkpoint, so there is nothing to go on with: begin anew.'
  const message = `${error.message}\n${advice}`
  const signal = error.exitCode === 143 ? 'SIGTERM' : 'SIGINT'
  return new RegraftError(error.code, message, { cause: error, ...(error.code === 'interrupted' && { signal }) })
}
