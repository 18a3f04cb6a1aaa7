// The verb `tune`: random search over the settings of a head, on features that are computed once.
import * as path from 'node:path'
import { RegraftError } from '../../errors.ts'
import { writeFileAtomic } from '../../files/atomic-write.ts'
import { createFolder, pathFacts } from '../../files/folder.ts'
import { isJsonObject, type JsonObject, type JsonValue, readJson, writeJson } from '../../files/strict-json.ts'
import { inertName } from '../../inert-text.ts'
import { eventLog } from '../event-log.ts'
import type { TrainOptions } from '../options.ts'
import { describeRun, refuseTaken, startRun } from '../run-folder.ts'
import { solverOf } from '../solver.ts'
import { finish } from '../train.ts'
import { trainOnVectors } from '../train-on-features.ts'
import type { BothVectors } from '../train-vectors.ts'
import type { Work } from '../train-work.ts'
import { tuneSvg } from './charts.ts'
import { featureWork } from './feature-work.ts'
import type { Trial, TuneResult } from './results.ts'
import { applicable, drawSettings, narrowed, readSpace, type Settings, type Space, usualSpace } from './space.ts'
import { readTrials, trialName, tuneDocument } from './trial-records.ts'
import { partsOf, tryOut, workWith } from './trials.ts'

/** Ways to search. */
export const searches = ['coarse-to-fine', 'halving', 'random'] as const
export type Search = (typeof searches)[number]

export interface TuneOptions extends Omit<TrainOptions, 'mode' | 'resume'> {
  /** YAML file with the ranges; those for the solver when left out. */
  readonly space?: string
  readonly trials?: number
  /** Each setting is checked on so many folds of the training part; 0: on the validation part. */
  readonly folds?: number
  /**
   * coarse-to-fine: first all ranges, with a quarter of the epochs, then a quarter of them around the best; halving: all trials begin with an
   * eighth of the epochs, and the better half goes on with twice as many, and so on; random: all ranges, all epochs.
   */
  readonly search?: Search
  /** Go on with the trials in `out`. */
  readonly goOn?: boolean
}

export const tuneDefaults = { trials: 20, folds: 5, search: 'coarse-to-fine' } as const
const COARSE_SHARE = 0.6

/**
 * Draws settings, tries each on the same features, and trains a head with the best one on the whole training part. The test part, where there is one, is looked at once, at
 * the end. Each trial is written down when it is done; with `goOn` those that are there are not made again.
 * @throws RegraftError as `train`; 'usage' for a space that is not understood, and for a folder of other trials
 */
export async function tune(options: TuneOptions): Promise<TuneResult> {
  const {
    space: file,
    trials = tuneDefaults.trials,
    folds = tuneDefaults.folds,
    search = tuneDefaults.search,
    goOn = false,
    ...training
  } = options
  const { out } = options
  if (folds === 1) throw new RegraftError('usage', '--folds 1 leaves nothing to learn from: give 2 or more, or 0.')
  const space = file === undefined ? usualSpace(solverOf(options)) : await readSpace(file)
  const solver = solverOf(options)
  if (search === 'halving' && solver !== 'gradient')
    throw new RegraftError(
      'usage',
      `--search halving shares out epochs, and --solver ${solver} has none. Use coarse-to-fine or random.`,
    )
  const log = eventLog(options.listener)
  const { work, vectors } = await featureWork({ ...training, listener: log.listener }, log)
  // What contradicts itself does so before anything is computed.
  for (let number = 1; number <= trials; number++) workWith(work, drawSettings(space, work.config.seed, number))
  const plan: JsonObject = {
    space: Object.fromEntries([...space].map(([name, range]) => [name, { ...range } as unknown as JsonValue])),
    trials,
    folds,
    search,
    kernels: work.manifest.kernels.digest,
    model: work.manifest.model.sha256,
    data: work.manifest.data.fingerprint,
    config: Object.fromEntries(Object.entries(work.config).filter(([name]) => name !== 'data' && name !== 'model')),
  }
  const known = await beginOrGoOn(out, plan, goOn, options.overwrite ?? false)
  log.open(out)
  if (!goOn) await describeRun(out, work.config, work.manifest, work.record)
  const both = await vectors()
  const done = await searched({ work, space, trials, search, parts: partsOf(work, both, folds), out, known })
  const usual = await tryOut(work, partsOf(work, both, folds))
  const chosen = bestOf(done.filter(({ full, status }) => full && status === 'done'))
  if (chosen === undefined)
    throw new RegraftError(
      'data',
      `None of the ${done.length} trials came to an end; the first: ${done[0]?.reason}. Take narrower ranges.`,
    )
  const winner = workWith(work, chosen.settings)
  const result = await finish(winner, await trainOnVectors(winner, both))
  const varied = [...space].filter(([, range]) => range.kind !== 'choice' || range.of.length > 1).map(([name]) => name)
  const tuned: TuneResult = { ...result, trials: done, chosen, usual, varied }
  await writeJson(path.join(out, 'tune.json'), tuneDocument(tuned))
  await writeFileAtomic(path.join(out, 'tune.svg'), tuneSvg(done, varied, chosen))
  return tuned
}

interface SearchWork {
  readonly work: Work
  readonly space: Space
  readonly trials: number
  readonly search: Search
  readonly parts: readonly BothVectors[]
  readonly out: string
  /** Trials that were made before, by stage and number. */
  readonly known: ReadonlyMap<string, Trial>
}

async function searched(given: SearchWork): Promise<Trial[]> {
  const { work, space, trials, search } = given
  const { seed, epochs } = work.config
  const { listener } = work.options
  listener?.({ type: 'phase', phase: 'tune', total: trials, unit: 'trials' })
  let done: Trial[] = []
  const one = async (number: number, stage: Trial['stage'], settings: Settings, share: number) => {
    const own = applicable(settings, solverOf({ ...work.options, ...settings }))
    const all = typeof own.epochs === 'number' ? own.epochs : epochs
    const trial = await tried(
      given,
      { number, stage, settings: own },
      share < 1 ? Math.max(1, Math.round(all * share)) : undefined,
    )
    const score = trial.status === 'done' ? `accuracy ${(100 * trial.accuracy).toFixed(1)} %` : trial.status
    listener?.({ type: 'progress', phase: 'tune', done: done.length + 1, total: trials, detail: score })
    return trial
  }
  if (search === 'halving') {
    let alive = Array.from({ length: trials }, (_, at) => ({
      number: at + 1,
      settings: drawSettings(space, seed, at + 1),
    }))
    for (const share of [1 / 8, 1 / 4, 1 / 2, 1]) {
      const rung: Trial[] = []
      for (const { number, settings } of alive) rung.push(await one(number, 'halving', settings, share))
      done = [...done.filter(({ number }) => !rung.some((trial) => trial.number === number)), ...rung]
      const better = rung.filter(({ status }) => status === 'done').sort(byScore)
      alive = better.slice(0, Math.max(1, Math.ceil(better.length / 2)))
    }
    done.sort((a, b) => a.number - b.number)
  } else {
    const coarse = search === 'random' ? trials : Math.ceil(trials * COARSE_SHARE)
    for (let number = 1; number <= coarse; number++) {
      const stage = search === 'random' ? 'random' : 'coarse'
      done.push(await one(number, stage, drawSettings(space, seed, number), search === 'random' ? 1 : 0.25))
    }
    const best = bestOf(done.filter(({ status }) => status === 'done'))
    const near = best ? narrowed(space, best.settings) : space
    for (let number = coarse + 1; number <= trials; number++) {
      // With all epochs the best so far may be better still.
      const again = best !== undefined && !best.full && number === coarse + 1
      const settings = again ? best.settings : drawSettings(near, seed, number)
      done.push(await one(number, 'fine', settings, 1))
    }
  }
  listener?.({ type: 'phaseEnd', phase: 'tune' })
  return done
}

/** Higher accuracy first; at equal accuracy the lower loss, then the earlier trial. */
function byScore(a: Trial, b: Trial): number {
  const worst = Number.POSITIVE_INFINITY
  return b.accuracy - a.accuracy || (a.loss ?? worst) - (b.loss ?? worst) || a.number - b.number
}

function bestOf(trials: readonly Trial[]): Trial | undefined {
  return [...trials].sort(byScore)[0]
}

/** @param epochs  fewer than the setting has */
async function tried(
  { work, parts, out, known }: SearchWork,
  trial: Pick<Trial, 'number' | 'stage' | 'settings'>,
  epochs: number | undefined,
): Promise<Trial> {
  const name = trialName(trial, epochs)
  const before = known.get(name)
  if (before !== undefined && sameSettings(before.settings, trial.settings)) return before
  const own = workWith(work, trial.settings, epochs)
  const full = epochs === undefined || own.config.solver !== 'gradient'
  const result: Trial = { ...trial, full, ...(await tryOut(own, parts)) }
  await writeJson(path.join(out, 'trials', `${name}.json`), result)
  return result
}

function sameSettings(a: Settings, b: Settings): boolean {
  const text = (settings: Settings) => JSON.stringify(Object.entries(settings).sort())
  return text(a) === text(b)
}

const PLAN = 'plan.json'

/** Makes the folder, or reads the trials that are there. @throws RegraftError 'usage' for a folder of something else */
async function beginOrGoOn(
  out: string,
  plan: JsonObject,
  goOn: boolean,
  overwrite: boolean,
): Promise<ReadonlyMap<string, Trial>> {
  const folder = path.join(out, 'trials')
  const file = path.join(folder, PLAN)
  if (!goOn) {
    await refuseTaken(out, overwrite)
    await startRun(out, overwrite)
    await createFolder(folder)
    await writeJson(file, plan)
    return new Map()
  }
  if ((await pathFacts(file)) === undefined)
    throw new RegraftError('usage', `--resume ${inertName(out)}: there are no trials in this folder.`, { file: out })
  const before = await readJson(file, { code: 'data' })
  const former = isJsonObject(before) ? before : {}
  const other = Object.keys(plan).filter((key) => JSON.stringify(former[key]) !== JSON.stringify(plan[key]))
  if (other.length > 0)
    throw new RegraftError(
      'usage',
      `${inertName(out)} cannot be gone on with: ${other.join(', ')} ${other.length === 1 ? 'is' : 'are'} not as before. Say the same as then, or begin anew in another folder.`,
      { file: out },
    )
  return await readTrials(folder)
}
