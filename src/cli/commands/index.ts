import type { Command } from '../command.ts'
import { data } from './data.ts'
import { dedupe } from './dedupe.ts'
import { demo } from './demo.ts'
import { doctor } from './doctor.ts'
import { embed } from './embed.ts'
import { evaluate } from './eval.ts'
import { exporting } from './export.ts'
import { gradcheck } from './gradcheck.ts'
import { head } from './head.ts'
import { inspect } from './inspect.ts'
import { lrFind } from './lr-find.ts'
import { merge } from './merge.ts'
import { models } from './models.ts'
import { predict } from './predict.ts'
import { runJobs } from './run-jobs.ts'
import { search } from './search.ts'
import { train } from './train.ts'
import { tune } from './tune.ts'

/** All commands, in the order of the help. */
export const commands: readonly Command[] = [
  train,
  lrFind,
  tune,
  predict,
  embed,
  head,
  merge,
  search,
  dedupe,
  evaluate,
  data,
  models,
  inspect,
  gradcheck,
  exporting,
  runJobs,
  demo,
  doctor,
]
