// What can be said before a training: whether it is likely to work, and what it will cost. A few seconds, on pictures drawn at random and
// weights of its own; the training itself does not notice.

import { RegraftError } from '../../errors.ts'
import { log } from '../../exact-math.ts'
import { freeBytes } from '../../files/free-bytes.ts'
import { formatBytes } from '../../format-bytes.ts'
import { headParameters } from '../../graph/edit.ts'
import { freezeExcept } from '../../graph/freeze.ts'
import { parameterName, parametersOf } from '../../graph/graph.ts'
import { inertName } from '../../inert-text.ts'
import { graphOf } from '../../model/model.ts'
import { outputKindOf } from '../../runtime/loss.ts'
import { labelLoss } from '../../train/label-loss.ts'
import { layerRates } from '../layer-rates.ts'
import { chosenLoss } from '../loss-options.ts'
import type { Check, Outlook, SecondsBy } from '../options.ts'
import { parseRates } from '../rates.ts'
import { isSolved } from '../train-defaults.ts'
import type { Work } from '../train-work.ts'
import { trainableLayers, trainableParameters } from '../trainable.ts'
import { tryFineTuning } from './fine-tuning-trial.ts'
import { tryHead } from './head-trial.ts'
import { diskBytesOf, type RunBytes, runBytes, secondsOfWriting } from './run-bytes.ts'
import { sampleOf } from './sample.ts'
import type { Trial } from './trial.ts'
import { grouped, sum, type TrainingPart, trainingTable, whatTrains } from './what-trains.ts'

/** A class with so many times the pictures of another one is told. */
const IMBALANCE = 3
const FEW_PICTURES = 5

/**
 * Looks ahead.
 * @param insist  whether a trial that is not possible is an error; else the training will say what is missing
 * @throws RegraftError of the signal, and with `insist` whatever the training would throw
 */
export async function lookAhead(work: Work, insist: boolean): Promise<Outlook> {
  const { data, options, config } = work
  const beganAt = performance.now()
  const full = { train: data.train.length, val: data.validation.length }
  const sample = sampleOf(work)
  let trial: Trial | undefined
  try {
    trial = config.mode === 'finetune' ? await tryFineTuning(sample, full) : await tryHead(sample, full)
  } catch (error) {
    const told = error instanceof RegraftError && error.code !== 'interrupted' && error.code !== 'time'
    if (insist || !told) throw error
  }
  // The trial decodes and computes as the training will, with less to keep.
  const memoryBytes = process.resourceUsage().maxRSS * 1024 + (trial?.growthBytes ?? 0)
  const trains = partsOf(work)
  const bytes = runBytes(work)
  const diskBytes = diskBytesOf(work, bytes)
  const free = await freeBytes(work.out)
  const secondsBy = trial && (await secondsOf(work, trial, bytes, beganAt))
  const seconds = secondsBy && Object.values(secondsBy).reduce((total, each) => total + each, 0)
  const checks = [
    classCounts(work),
    trainingParts(trains),
    ...(trial ? trialChecks(work, trial) : []),
    memoryCheck(memoryBytes, options.engine.arena.limitBytes),
    diskCheck(diskBytes, free),
    ...(seconds === undefined ? [] : [timeCheck(work, seconds)]),
  ]
  return {
    checks,
    trains,
    seconds: seconds ?? null,
    secondsBy: secondsBy ?? null,
    memoryBytes,
    diskBytes,
  }
}

/** The whole run: what has passed, what its parts will take, and what is written between them. */
async function secondsOf(work: Work, trial: Trial, bytes: RunBytes, beganAt: number): Promise<SecondsBy> {
  const { config, startedAt } = work
  const { features, head, epochs, end } = trial.seconds
  const writing = await secondsOfWriting(work, bytes)
  const stepwise = bytes.changing > 0 ? config.epochs : 0
  // Fine-tuning writes its best model whenever there is a better one.
  const models = 1 + (config.mode === 'finetune' ? stepwise : 0)
  return {
    scan: (beganAt - startedAt) / 1000,
    checks: (performance.now() - beganAt) / 1000,
    features,
    head,
    epochs,
    writing: (stepwise && (stepwise + 1) * writing.epoch) + models * writing.model,
    end,
  }
}

function classCounts({ data, config }: Work): Check {
  const counts = data.classes.map((name, label) => ({
    name,
    images: data.train.reduce((total, sample) => total + (sample.label === label ? 1 : 0), 0),
  }))
  counts.sort((a, b) => a.images - b.images)
  const [least] = counts
  const most = counts.at(-1)
  const named = (of: typeof least) => `${of?.images} (${inertName(of?.name ?? '', 40)})`
  const ratio = (most?.images ?? 0) / Math.max(1, least?.images ?? 0)
  const few = (least?.images ?? 0) < FEW_PICTURES
  const balanced = config.classWeights !== null || config.sampler === 'balanced'
  const uneven = ratio > IMBALANCE && !balanced
  const message = `${data.classes.length} classes, ${data.train.length} pictures to train on, from ${named(least)} to ${named(most)}`
  const advice = few
    ? `; ${least?.images} of a class ${least?.images === 1 ? 'is' : 'are'} few, more would help`
    : uneven
      ? `; for classes of such different size there are --class-weights auto and --sampler balanced`
      : ''
  return { name: 'classes', ok: !few && !uneven, message: message + advice }
}

function partsOf({ config, model }: Work): readonly TrainingPart[] {
  const plain = graphOf(model)
  const rate = parseRates(config.lr).head
  if (config.mode === 'finetune') {
    const graph = freezeExcept(plain, trainableLayers(plain, config))
    const trainable = trainableParameters(graph, config.bnAffine)
    const { rateScale } = layerRates(graph, trainable, config)
    return whatTrains(plain, (name) => (trainable.has(name) ? rate * rateScale({ name }) : null))
  }
  const solved = isSolved(config)
  const head = headParameters(plain)
  return whatTrains(plain, (name) => (head.has(name) ? (solved ? 0 : rate) : null))
}

function trainingParts(parts: readonly TrainingPart[]): Check {
  const training = sum(parts, 'training')
  const message = `${grouped(training)} of ${grouped(sum(parts, 'parameters'))} parameters train`
  return { name: 'trains', ok: training > 0, message: [message, ...trainingTable(parts)].join('\n') }
}

function trialChecks({ config, model, data }: Work, trial: Trial): readonly Check[] {
  const { firstLoss, penalty, overfitting } = trial
  const classes = data.classes.length
  const loss = chosenLoss(config)
  const chance = labelLoss(loss, new Float32Array(classes), 0)
  const goesOn = model.tensors.size > 0 && config.mode === 'finetune' && headIsThere(model)
  // Of cross-entropy a half more than chance and a half besides; of other losses as much by their scale.
  const odd = !(firstLoss < chance * (1.5 + 0.5 / log(classes))) || (!goesOn && firstLoss < 0.5 * chance)
  const ignorance =
    outputKindOf(loss) === 'softmax' ? `guessing among ${classes} classes` : `0 for each of ${classes} classes`
  const first = `first loss ${round(firstLoss)}; ${ignorance} gives ${round(chance)}`
  const begins = goesOn ? ', and the head knows the classes already' : ''
  const { pictures, steps, from, to } = overfitting
  const learnt = to < 0.1 * from
  const fell = `the loss of ${pictures} pictures falls from ${round(from)} to ${round(to)} in ${steps} steps`
  return [
    {
      name: 'first loss',
      ok: !odd,
      message: first + begins + (odd ? '; that is odd: labels or weights may be wrong' : ''),
    },
    {
      name: 'regularisation',
      ok: Number.isFinite(penalty) && penalty >= 0,
      message:
        penalty === 0
          ? 'neither weight decay nor a penalty, so nothing is added to the loss'
          : `regularisation raises the loss from ${round(firstLoss)} to ${round(firstLoss + penalty)}`,
    },
    {
      name: 'overfitting',
      ok: learnt || to < 0.5 * from,
      message: learnt
        ? `${fell}: it can learn`
        : to < 0.5 * from
          ? `${fell}: it learns`
          : `${fell}: it hardly learns; are the labels right, and does enough of the network train?`,
    },
  ]
}

function headIsThere(model: Work['model']): boolean {
  return graphOf(model)
    .layers.filter(({ stage }) => stage === 'head')
    .every((layer) => parametersOf(layer).every((spec) => model.tensors.has(parameterName(layer, spec))))
}

function memoryCheck(bytes: number, limitBytes: number): Check {
  return {
    name: 'memory',
    ok: true,
    message: `about ${formatBytes(bytes)} of memory in all; the kernels may take ${formatBytes(limitBytes)} (--max-memory)`,
  }
}

function diskCheck(bytes: number, free: number | undefined): Check {
  const enough = free === undefined || free > bytes
  const room = free === undefined ? '' : `; ${formatBytes(free)} are free${enough ? '' : ', which is too little'}`
  return { name: 'disk', ok: enough, message: `about ${formatBytes(bytes)} on the disk for the run${room}` }
}

function timeCheck({ config }: Work, seconds: number): Check {
  const solved = isSolved(config)
  const epochs = solved ? '' : ` for ${config.epochs} epochs${config.patience > 0 ? ', less if it stops early' : ''}`
  return { name: 'time', ok: true, message: `about ${spoken(seconds)}${epochs}` }
}

function spoken(seconds: number): string {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`
  return `${(seconds / 3600).toFixed(1)} h`
}

function round(value: number): string {
  return String(Number(value.toPrecision(3)))
}
