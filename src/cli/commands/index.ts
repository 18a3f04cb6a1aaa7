import type { Command } from '../command.ts'
import { demo } from './demo.ts'
import { doctor } from './doctor.ts'
import { embed } from './embed.ts'
import { evaluate } from './eval.ts'
import { gradcheck } from './gradcheck.ts'
import { inspect } from './inspect.ts'
import { predict } from './predict.ts'
import { train } from './train.ts'

/** All commands, in the order of the help. */
export const commands: readonly Command[] = [train, predict, embed, evaluate, inspect, gradcheck, demo, doctor]
