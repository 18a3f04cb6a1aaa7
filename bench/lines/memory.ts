// Most memory of a process that does nothing but steps of training; all of the process counts, libraries and runtime too.
import { ours } from '../entrants.ts'
import type { Section } from '../line.ts'
import type { Workload } from '../workload.ts'
import { bothFormats, SIZE } from './networks.ts'
import { IMAGES, NETWORK, TRAINING_WITHIN } from './training.ts'

const STEPS = 3
/** Ours may take 60 % of theirs. */
const BAR = 1 / 0.6

const task = (workload: Workload) => workload.training(NETWORK, SIZE, IMAGES, 'all', false)

export const memory: Section = {
  name: 'memory',
  lines: [
    {
      measures: 'memory',
      name: `memory train-all ${NETWORK} batch ${IMAGES}`,
      ours: { ...ours(), task },
      opponents: bothFormats(1, (channelsLast) => ({
        task: async (workload) => ({ ...(await task(workload)), channelsLast }),
        within: TRAINING_WITHIN,
        bar: BAR,
      })),
      calls: STEPS,
    },
  ],
}
