import { RegraftError } from '../errors.ts'
import { inertName } from '../inert-text.ts'

/** Which part of the inputs is wanted, counted from 1. */
export interface Shard {
  readonly index: number
  readonly count: number
}

/**
 * `--shard`: `3/8`; `auto/8`, where a Slurm array or an indexed job of Kubernetes says which; `auto`, where Slurm says how many, too.
 * @throws RegraftError 'usage'
 */
export function readShard(text: string, environment: Readonly<Record<string, string | undefined>>): Shard {
  const [, which, total] = /^(\d+|auto)(?:\/(\d+))?$/.exec(text) ?? []
  const refuse = (problem: string) => new RegraftError('usage', `--shard ${inertName(text, 100)}: ${problem}`)
  if (which === undefined || (which !== 'auto' && total === undefined)) {
    throw refuse('expected 3/8 (the third of eight), auto/8 or auto.')
  }
  const { SLURM_ARRAY_TASK_ID: task, SLURM_ARRAY_TASK_COUNT: tasks, JOB_COMPLETION_INDEX: completion } = environment
  const count = Number(total ?? tasks)
  if (total === undefined && tasks === undefined) {
    throw refuse('how many shards there are is not known: SLURM_ARRAY_TASK_COUNT is not set. Say auto/8.')
  }
  let index = Number(which)
  if (which === 'auto') {
    if (task !== undefined) index = slurmIndex(task, environment)
    else if (completion !== undefined) index = Number(completion) + 1
    else throw refuse('neither SLURM_ARRAY_TASK_ID nor JOB_COMPLETION_INDEX is set.')
  }
  if (!(Number.isSafeInteger(index) && Number.isSafeInteger(count) && index >= 1 && index <= count)) {
    throw refuse(`this is shard ${index} of ${count}; shards are counted from 1.`)
  }
  return { index, count }
}

/** Task numbers of an array may begin anywhere and go in steps. */
function slurmIndex(task: string, environment: Readonly<Record<string, string | undefined>>): number {
  const first = Number(environment['SLURM_ARRAY_TASK_MIN'] ?? 0)
  const step = Number(environment['SLURM_ARRAY_TASK_STEP'] ?? 1)
  return (Number(task) - first) / step + 1
}
