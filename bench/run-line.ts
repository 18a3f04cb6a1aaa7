// One line: first the results are compared, then time is taken in turns.
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { compareChecked, compareToTruth } from './compare.ts'
import { Absent, type Contestant, type Hall, startContestant } from './contestants.ts'
import { registerPeak } from './entrants.ts'
import type { Comparison, Line, MemoryLine, Opponent, Result, SpeedLine } from './line.ts'
import { PEAK_FLOP } from './ours/operators.ts'
import { inTurns, ratios, type Statistic, statistic } from './timing.ts'
import type { Workload } from './workload.ts'

export interface Stage {
  readonly hall: Hall
  readonly workload: Workload
  /** For what contestants write. */
  readonly folder: string
  readonly rounds: number
}

/**
 * @throws Unequal  when results differ
 * @throws Absent   when our own side cannot take part
 */
export function runLine(line: Line, stage: Stage): Promise<Result> {
  return line.measures === 'speed' ? runSpeed(line, stage) : runMemory(line, stage)
}

interface Present {
  readonly opponent: Opponent
  readonly contestant: Contestant
  readonly difference: number
}

async function runSpeed(line: SpeedLine, stage: Stage): Promise<Result> {
  const { hall, workload, rounds } = stage
  const folder = mkdtempSync(join(stage.folder, 'line-'))
  const ours = await hall.contestant(line.ours)
  const peak = await hall.contestant(registerPeak)
  const loaded: Contestant[] = []
  try {
    await ours.load(await line.ours.task(workload))
    loaded.push(ours)
    const checked = await ours.check(mkdtempSync(join(folder, 'ours-')))
    if (line.truth) compareToTruth(line.name, checked, line.truth.arrays(workload), line.truth.within)
    const present: Present[] = []
    const absent: string[] = []
    const meet = async (opponent: Opponent): Promise<Present | undefined> => {
      try {
        const contestant = await hall.contestant(opponent)
        await contestant.load(await opponent.task(workload))
        loaded.push(contestant)
        const theirs = await contestant.check(mkdtempSync(join(folder, 'theirs-')))
        return { opponent, contestant, difference: compareChecked(line.name, checked, theirs, opponent) }
      } catch (error) {
        if (!(error instanceof Absent)) throw error
        absent.push(opponent.label)
        return undefined
      }
    }
    for (const witness of line.witnesses ?? []) {
      const seen = await meet(witness)
      await seen?.contestant.unload()
    }
    for (const opponent of line.opponents) {
      const seen = await meet(opponent)
      if (seen) present.push(seen)
    }
    await peak.load({ kind: 'peak' })
    loaded.push(peak)
    const seconds = await inTurns([peak, ours, ...present.map(({ contestant }) => contestant)], rounds)
    const [peakSeconds = [], oursSeconds = [], ...theirs] = seconds
    const per = (amount: number) => (times: readonly number[]) => times.map((time) => amount / time)
    const { images = 0, flop = 0, bytes = 0 } = line.amount
    const speedOf = per({ 'images/s': images, 'GFLOP/s': flop / 1e9, 'GB/s': bytes / 1e9 }[line.unit])
    const peaks = per(PEAK_FLOP * line.ours.threads)(peakSeconds)
    return {
      name: line.name,
      unit: line.unit,
      ours: statistic(speedOf(oursSeconds)),
      ...(flop > 0
        ? {
            gflops: statistic(per(flop / 1e9)(oursSeconds)),
            share: statistic(ratios(per(flop)(oursSeconds), peaks)),
          }
        : {}),
      ...(bytes > 0 ? { gigabytes: statistic(per(bytes / 1e9)(oursSeconds)) } : {}),
      comparisons: present.map(({ opponent, difference }, at) => {
        const times = theirs[at] ?? []
        return comparison(opponent, difference, statistic(speedOf(times)), statistic(ratios(times, oursSeconds)))
      }),
      absent,
      rounds: Object.fromEntries(
        ['register peak', 'regraft', ...present.map(({ opponent }) => opponent.label)].map((label, at) => [
          label,
          seconds[at] ?? [],
        ]),
      ),
    }
  } finally {
    for (const contestant of loaded) await contestant.unload().catch(() => undefined)
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Each process is started anew and does this alone. */
async function runMemory(line: MemoryLine, { workload }: Stage): Promise<Result> {
  const peakOf = async (contender: Opponent | MemoryLine['ours']): Promise<Statistic> => {
    const contestant = await startContestant(contender)
    try {
      await contestant.load(await contender.task(workload))
      for (let call = 0; call < line.calls; call++) await contestant.time(0)
      return statistic([(await contestant.peakBytes()) / 2 ** 20])
    } finally {
      await contestant.close()
    }
  }
  const ours = await peakOf(line.ours)
  const comparisons: Comparison[] = []
  const absent: string[] = []
  for (const opponent of line.opponents) {
    try {
      const theirs = await peakOf(opponent)
      comparisons.push(comparison(opponent, Number.NaN, theirs, statistic([theirs.median / ours.median])))
    } catch (error) {
      if (!(error instanceof Absent)) throw error
      absent.push(opponent.label)
    }
  }
  return { name: line.name, unit: 'MiB', ours, comparisons, absent, rounds: {} }
}

function comparison(opponent: Opponent, difference: number, value: Statistic, ratio: Statistic): Comparison {
  const { label, bar } = opponent
  return { label, value, ratio, difference, ...(bar === undefined ? {} : { bar, holds: ratio.median >= bar }) }
}
