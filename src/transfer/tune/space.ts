// What a random search draws from: ranges by option, from a YAML file or built in.
import { parse } from 'yaml'
import { RegraftError } from '../../errors.ts'
import { exp, log } from '../../exact-math.ts'
import { readTextLimited } from '../../files/read-file.ts'
import { inertName } from '../../inert-text.ts'
import { nearestName } from '../../nearest-name.ts'
import { optimisers } from '../../optim/optimisers.ts'
import { scheduleNames } from '../../optim/schedule.ts'
import { randomStream } from '../../random.ts'
import { parseHead } from '../head-options.ts'
import type { TrainOptions } from '../options.ts'
import { type Solver, solvers } from '../solver-names.ts'

/** Options that can be drawn: those of a head on features. */
const tunable = {
  strength: 'above zero',
  neighbours: 'whole',
  pca: 'whole',
  epochs: 'whole',
  batchSize: 'whole',
  lr: 'above zero',
  momentum: 'number',
  weightDecay: 'number',
  l2: 'number',
  l1: 'number',
  ema: 'number',
  warmupEpochs: 'number',
  smoothing: 'number',
  clipGrad: 'number',
  dropout: 'number',
  dropconnect: 'number',
  patience: 'whole',
  solver: 'word',
  head: 'word',
  opt: 'word',
  sched: 'word',
  sampler: 'word',
  whiten: 'flag',
} as const satisfies Partial<Record<keyof TrainOptions, 'number' | 'above zero' | 'whole' | 'word' | 'flag'>>

export type TunableName = keyof typeof tunable
export type SettingValue = number | string | boolean
/** Options of one trial. */
export type Settings = Partial<Pick<TrainOptions, TunableName>>

/** Where one option is drawn from. */
export type Range =
  | { readonly kind: 'uniform' | 'log'; readonly from: number; readonly to: number; readonly whole: boolean }
  | { readonly kind: 'choice'; readonly of: readonly SettingValue[] }

export type Space = ReadonlyMap<TunableName, Range>

const MAX_BYTES = 1 << 20

/** Ranges that are wide enough for any features. */
export function usualSpace(solver: Solver): Space {
  const logarithmic = (from: number, to: number, whole = false): Range => ({ kind: 'log', from, to, whole })
  switch (solver) {
    case 'lbfgs':
      return new Map([['strength', logarithmic(1e-4, 10)]])
    case 'ridge':
      return new Map([['strength', logarithmic(1e-7, 10)]])
    case 'knn':
      return new Map([['neighbours', logarithmic(1, 50, true)]])
    case 'centroid':
      return new Map([['pca', logarithmic(8, 256, true)]])
    case 'gradient':
      return new Map<TunableName, Range>([
        ['lr', logarithmic(1e-4, 1e-1)],
        ['weightDecay', logarithmic(1e-4, 1)],
        ['smoothing', { kind: 'uniform', from: 0, to: 0.3, whole: false }],
      ])
  }
}

/**
 * Reads a space: options by name, each a value, a list to choose from, or `{log: [from, to]}` or `{uniform: [from, to]}`.
 * @throws RegraftError 'usage' naming all that is wrong
 */
export async function readSpace(file: string): Promise<Space> {
  let root: unknown
  try {
    root = parse(await readTextLimited(file, MAX_BYTES), { schema: 'core', maxAliasCount: 0, logLevel: 'error' })
  } catch (cause) {
    if (cause instanceof RegraftError) throw cause
    throw new RegraftError(
      'usage',
      `${inertName(file)}: this YAML cannot be read: ${cause instanceof Error ? cause.message : cause}`,
      {
        file,
        cause,
      },
    )
  }
  if (typeof root !== 'object' || root === null || Array.isArray(root))
    throw new RegraftError(
      'usage',
      `${inertName(file)}: expected options by name, such as 'strength: {log: [1e-4, 10]}'.`,
      { file },
    )
  const space = new Map<TunableName, Range>()
  const problems: string[] = []
  for (const [key, value] of Object.entries(root)) {
    const name = key.replace(/[-_]([a-z])/g, (_, letter: string) => letter.toUpperCase())
    if (!isTunable(name)) {
      const near = nearestName(name, Object.keys(tunable))
      problems.push(
        `'${inertName(key, 100)}' is no option of a head.${near === undefined ? '' : ` Did you mean '${near}'?`}`,
      )
      continue
    }
    const range = rangeOf(name, value)
    if (typeof range === 'string') problems.push(`'${inertName(key, 100)}' ${range}`)
    else if (space.has(name)) problems.push(`'${inertName(key, 100)}' is there twice.`)
    else space.set(name, range)
  }
  if (problems.length > 0)
    throw new RegraftError('usage', problems.map((problem) => `${inertName(file)}: ${problem}`).join('\n'), { file })
  if (![...space.values()].some((range) => range.kind !== 'choice' || range.of.length > 1))
    throw new RegraftError('usage', `${inertName(file)}: nothing varies, so there is nothing to search.`, { file })
  return space
}

function isTunable(name: string): name is TunableName {
  return Object.hasOwn(tunable, name)
}

/** Whether a word is one that the option knows. */
function isWord(name: TunableName, word: string): boolean {
  switch (name) {
    case 'solver':
      return solvers.some((known) => known === word)
    case 'opt':
      return Object.hasOwn(optimisers, word)
    case 'sched':
      return scheduleNames.some((known) => known === word)
    case 'sampler':
      return word === 'all' || word === 'balanced'
    default:
      try {
        parseHead(word, null)
        return true
      } catch {
        return false
      }
  }
}

/** A range, or what is wrong with it, as the end of a sentence. */
function rangeOf(name: TunableName, value: unknown): Range | string {
  const kind = tunable[name]
  const fits = (one: unknown): one is SettingValue =>
    kind === 'word'
      ? typeof one === 'string' && isWord(name, one)
      : kind === 'flag'
        ? typeof one === 'boolean'
        : typeof one === 'number' &&
          Number.isFinite(one) &&
          one >= 0 &&
          (kind !== 'above zero' || one > 0) &&
          (kind !== 'whole' || Number.isInteger(one))
  const wanted = {
    word: 'words that the option knows',
    flag: 'true or false',
    number: 'numbers from 0',
    'above zero': 'numbers above 0',
    whole: 'whole numbers',
  }[kind]
  if (fits(value)) return { kind: 'choice', of: [value] }
  if (Array.isArray(value)) {
    const all: readonly unknown[] = value
    return all.length > 0 && all.every(fits) ? { kind: 'choice', of: all } : `is a list that does not hold ${wanted}.`
  }
  const forms = 'expected a value, a list, {log: [from, to]} or {uniform: [from, to]}.'
  if (typeof value !== 'object' || value === null) return `is not understood: ${forms}`
  const [form, ...others] = Object.entries(value)
  if (form === undefined || others.length > 0 || (form[0] !== 'log' && form[0] !== 'uniform'))
    return `is not understood: ${forms}`
  if (kind === 'word' || kind === 'flag') return `has no order to draw from: give a list of ${wanted}.`
  const ends: unknown = form[1]
  if (!Array.isArray(ends) || ends.length !== 2 || !ends.every(fits))
    return `has ends that are not ${wanted}: {${form[0]}: [from, to]}.`
  const [from, to] = ends.map(Number)
  if (from === undefined || to === undefined || !(from < to)) return 'has a range whose end is not above its beginning.'
  if (form[0] === 'log' && from <= 0) return 'has a logarithmic range that begins at 0.'
  return { kind: form[0], from, to, whole: kind === 'whole' }
}

/** The settings of a trial: each option has a stream of its own, so another option in the space changes none. */
export function drawSettings(space: Space, seed: number, trial: number): Settings {
  const settings: Partial<Record<TunableName, SettingValue>> = {}
  for (const [name, range] of space) {
    const random = randomStream({ seed, sample: trial, purpose: `tune ${name}` })
    if (range.kind === 'choice') settings[name] = range.of[random.integer(range.of.length)] ?? 0
    else settings[name] = atShare(range, random.uniform())
  }
  // `rangeOf` looked at each value.
  return settings as Settings
}

/** The value at a share of a range, of three significant digits so that people can say it. */
function atShare({ kind, from, to, whole }: Exclude<Range, { kind: 'choice' }>, share: number): number {
  const value = kind === 'log' ? exp(log(from) + share * (log(to) - log(from))) : from + share * (to - from)
  const spoken = whole ? Math.round(value) : Number(value.toPrecision(3))
  return Math.min(to, Math.max(from, spoken))
}

/** The space around some settings: a quarter of each range's width, choices as they were decided. */
export function narrowed(space: Space, around: Settings): Space {
  const result = new Map<TunableName, Range>()
  for (const [name, range] of space) {
    const value = around[name]
    if (value === undefined) result.set(name, range)
    else if (range.kind === 'choice' || typeof value !== 'number') result.set(name, { kind: 'choice', of: [value] })
    else {
      const place = (number: number) => (range.kind === 'log' ? log(number) : number)
      const eighth = (place(range.to) - place(range.from)) / 8
      const end = (number: number) => (range.kind === 'log' ? exp(number) : number)
      const from = Math.max(range.from, end(place(value) - eighth))
      const to = Math.min(range.to, end(place(value) + eighth))
      result.set(name, { ...range, from, to })
    }
  }
  return result
}

const ofGradient: readonly TunableName[] = [
  'epochs',
  'batchSize',
  'lr',
  'momentum',
  'weightDecay',
  'l2',
  'l1',
  'ema',
  'warmupEpochs',
  'smoothing',
  'clipGrad',
  'dropout',
  'dropconnect',
  'patience',
  'opt',
  'sched',
  'sampler',
]

/** Those settings that mean something to the solver. */
export function applicable(settings: Settings, solver: Solver): Settings {
  const without = new Set<TunableName>([
    ...(solver === 'lbfgs' || solver === 'ridge' ? [] : (['strength'] as const)),
    ...(solver === 'knn' ? [] : (['neighbours'] as const)),
    ...(solver === 'gradient' ? [] : ofGradient),
    ...(settings.pca === undefined ? (['whiten'] as const) : []),
  ])
  const kept: Settings = Object.fromEntries(
    Object.entries(settings).filter(([name]) => isTunable(name) && !without.has(name)),
  )
  return kept
}
