// Where a training stands between two steps. Random numbers are counted, not streamed, so that this, with weights and optimiser, is
// enough to go on exactly.
import { isJsonObject, type JsonObject, type JsonValue } from '../files/strict-json.ts'
import type { EpochRecord } from './events.ts'

/** An epoch that has begun and not ended. Sums rather than means: they go on as if nothing had happened. */
export interface RunningEpoch {
  /** Steps made or skipped in it. */
  readonly steps: number
  /** Training pictures passed, in the epoch's order: where the next batch begins. */
  readonly pictures: number
  /** Pictures of the steps that were made; those of skipped steps do not count. */
  readonly seen: number
  /** Sum of the losses of all pictures seen. */
  readonly lossSum: number
  readonly correct: number
  /** Learning rate of the last step. */
  readonly rate: number
  readonly seconds: number
}

export interface Progress {
  readonly epochsDone: number
  /** Steps made or skipped, in all epochs; the schedule goes by them. */
  readonly stepsDone: number
  /** Of these the ones that changed nothing, because a number was not finite. */
  readonly stepsSkipped: number
  /** How many of them were the last ones. */
  readonly skippedInARow: number
  /** How often the learning rate was lowered after a divergence, each time to a tenth. */
  readonly timesLowered: number
  readonly history: readonly EpochRecord[]
  /** 0 before there is one. */
  readonly bestEpoch: number
  /** Absent between two epochs. */
  readonly running?: RunningEpoch
}

export const nothingDone: Progress = {
  epochsDone: 0,
  stepsDone: 0,
  stepsSkipped: 0,
  skippedInARow: 0,
  timesLowered: 0,
  history: [],
  bestEpoch: 0,
}

export const epochBegun: RunningEpoch = {
  steps: 0,
  pictures: 0,
  seen: 0,
  lossSum: 0,
  correct: 0,
  rate: 0,
  seconds: 0,
}

/** `epoch-00002` after two epochs, `epoch-00002-step-00005` five steps later. */
export function positionName({ epochsDone, running }: Progress): string {
  const number = (value: number) => String(value).padStart(5, '0')
  return `epoch-${number(epochsDone)}${running === undefined ? '' : `-step-${number(running.steps)}`}`
}

/** Reads what `JSON.stringify` made of a progress; undefined when it is none. */
export function progressFromJson(value: JsonValue | undefined): Progress | undefined {
  if (!isJsonObject(value) || !Array.isArray(value['history'])) return undefined
  const counts = numbersOf(value, countNames)
  const history = value['history'].map((entry) => (isJsonObject(entry) ? recordOf(entry) : undefined))
  const records = history.filter((record) => record !== undefined)
  if (counts === undefined || records.length < history.length) return undefined
  const progress = { ...counts, history: records }
  if (value['running'] === undefined) return progress
  const running = isJsonObject(value['running']) ? numbersOf(value['running'], runningNames) : undefined
  return running && { ...progress, running }
}

const countNames = ['epochsDone', 'stepsDone', 'stepsSkipped', 'skippedInARow', 'timesLowered', 'bestEpoch'] as const
const runningNames = ['steps', 'pictures', 'seen', 'lossSum', 'correct', 'rate', 'seconds'] as const
const metricNames = [
  'trainLoss',
  'trainAccuracy',
  'validationLoss',
  'validationAccuracy',
  'validationTopAccuracy',
  'validationBalancedAccuracy',
  'validationMacroF1',
] as const

function recordOf(entry: JsonObject): EpochRecord | undefined {
  const numbers = numbersOf(entry, ['epoch', 'learningRate', 'seconds'])
  // JSON has no NaN: a metric that was none is null.
  const metrics = numbersOf(
    Object.fromEntries(metricNames.map((name) => [name, entry[name] === null ? Number.NaN : (entry[name] ?? null)])),
    metricNames,
  )
  return numbers && metrics && { ...numbers, ...metrics }
}

function numbersOf<N extends string>(object: JsonObject, names: readonly N[]): { [K in N]: number } | undefined {
  const numbers = names.map((name) => object[name])
  if (!numbers.every((number) => typeof number === 'number')) return undefined
  // One number for each name.
  return Object.fromEntries(names.map((name, index) => [name, numbers[index]])) as { [K in N]: number }
}
