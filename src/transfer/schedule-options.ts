// The options that shape a schedule of the learning rate: timm's names, one number for what each schedule is bent by.
import { RegraftError } from '../errors.ts'
import type { Schedule, ScheduleName } from '../optim/schedule.ts'
import type { TrainOptions } from './options.ts'

type ScheduleOptions = Pick<TrainOptions, 'sched' | 'decayRate' | 'decayEpochs' | 'decayMilestones'>

const users = {
  decayRate: ['step', 'multistep', 'exponential', 'inverse', 'plateau', 'polynomial'],
  decayEpochs: ['step', 'plateau', 'restarts'],
  decayMilestones: ['multistep'],
} as const satisfies Record<string, readonly ScheduleName[]>

const flags = {
  decayRate: '--decay-rate',
  decayEpochs: '--decay-epochs',
  decayMilestones: '--decay-milestones',
} as const

/** The schedule that the options describe; what they leave open follows from the length of the training. */
export function scheduleOf(options: {
  readonly sched: ScheduleName
  readonly decayRate: number | null
  readonly decayEpochs: number | null
  readonly decayMilestones: string | null
}): Schedule {
  const { sched, decayRate: rate, decayEpochs: epochs } = options
  switch (sched) {
    case 'step':
      return { kind: sched, ...(epochs !== null && { every: epochs }), ...(rate !== null && { factor: rate }) }
    case 'multistep': {
      const milestones = options.decayMilestones === null ? undefined : parseMilestones(options.decayMilestones)
      return { kind: sched, ...(milestones && { milestones }), ...(rate !== null && { factor: rate }) }
    }
    case 'exponential':
      return { kind: sched, ...(rate !== null && { factor: rate }) }
    case 'inverse':
      return { kind: sched, ...(rate !== null && { strength: rate }) }
    case 'plateau':
      return { kind: sched, ...(rate !== null && { factor: rate }), ...(epochs !== null && { patience: epochs }) }
    case 'restarts':
      return { kind: sched, ...(epochs !== null && { first: epochs }) }
    case 'polynomial':
      return { kind: sched, ...(rate !== null && { power: rate }) }
    default:
      return { kind: sched }
  }
}

/** @throws RegraftError 'usage' for numbers that the schedule has no use for, or that it cannot go by */
export function checkSchedule(options: ScheduleOptions, fallback: ScheduleName = 'cosine'): void {
  const sched = options.sched ?? fallback
  for (const name of ['decayRate', 'decayEpochs', 'decayMilestones'] as const) {
    const schedules: readonly ScheduleName[] = users[name]
    if ((options[name] ?? null) !== null && !schedules.includes(sched)) {
      throw new RegraftError(
        'usage',
        `${flags[name]} has a meaning only with --sched ${schedules.join(', ')}; this is --sched ${sched}.`,
      )
    }
  }
  const rate = options.decayRate ?? null
  const lowers = sched === 'step' || sched === 'multistep' || sched === 'exponential' || sched === 'plateau'
  if (rate !== null && lowers && rate >= 1)
    throw new RegraftError(
      'usage',
      `--decay-rate ${rate} lowers nothing: with --sched ${sched} it is a number below 1.`,
    )
  const epochs = options.decayEpochs ?? null
  if (epochs === 0 && sched !== 'plateau')
    throw new RegraftError('usage', `--decay-epochs 0: with --sched ${sched} a number above 0.`)
  if (epochs !== null && sched === 'plateau' && !Number.isInteger(epochs))
    throw new RegraftError('usage', `--decay-epochs ${epochs}: with --sched plateau a whole number of epochs.`)
  if ((options.decayMilestones ?? null) !== null) parseMilestones(options.decayMilestones ?? '')
}

/** '10,15' as numbers. @throws RegraftError 'usage' */
function parseMilestones(text: string): readonly number[] {
  const milestones = text.split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part)))
  const rising = milestones.every((milestone, at) => milestone > (at === 0 ? 0 : (milestones[at - 1] ?? 0)))
  if (!rising)
    throw new RegraftError('usage', `--decay-milestones ${text}: epochs that rise, separated by commas, as in 10,15.`)
  return milestones
}
