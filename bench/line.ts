// What a line of the benchmark is: who does what, what must come out alike, and which ratio is hoped for.

import type { Entrant } from './contestants.ts'
import type { Checked, Task } from './protocol.ts'
import type { Statistic } from './timing.ts'
import type { Workload } from './workload.ts'

export interface Contender extends Entrant {
  task(workload: Workload): Promise<Task> | Task
}

export interface Opponent extends Contender {
  /** How far its results may be from ours: relative, by the norm of the difference; 0 wants the same bits. */
  readonly within: number
  /** Our speed over its; the smallest that is hoped for. */
  readonly bar?: number
}

interface AnyLine {
  readonly name: string
  readonly ours: Contender
  readonly opponents: readonly Opponent[]
}

/** Speed: time is taken in turns. */
export interface SpeedLine extends AnyLine {
  readonly measures: 'speed'
  /** What one call does. */
  readonly amount: {
    readonly images?: number
    readonly flop?: number
    /** Bytes that must be read or written at least, where that is what limits. */
    readonly bytes?: number
  }
  /** What is compared: pictures where networks are, else arithmetic or memory. */
  readonly unit: Unit
  /** Contestants whose results are compared, but whose time is not taken. */
  readonly witnesses?: readonly Opponent[]
  /** What must come out, by the names of the arrays, where it can be worked out simply; it may be the first part of each. */
  readonly truth?: {
    readonly within: number
    arrays(workload: Workload): Record<string, ArrayLike<number>>
  }
}

/** Most memory of a process that does nothing else. */
export interface MemoryLine extends AnyLine {
  readonly measures: 'memory'
  /** Steps that are done. */
  readonly calls: number
}

export type Line = SpeedLine | MemoryLine
export type Unit = 'images/s' | 'GFLOP/s' | 'GB/s'

export interface Section {
  readonly name: string
  readonly lines: readonly Line[]
  /** What is asked of all lines together; the text says what held. */
  verdict?(results: readonly Result[]): readonly Verdict[]
}

export interface Verdict {
  readonly text: string
  readonly holds: boolean
}

export interface Comparison {
  readonly label: string
  /** In the unit of the line. */
  readonly value: Statistic
  /** Ours over theirs. */
  readonly ratio: Statistic
  readonly bar?: number
  readonly holds?: boolean
  /** The largest relative difference of results. */
  readonly difference: number
}

export interface Result {
  readonly name: string
  readonly unit: Unit | 'MiB'
  readonly ours: Statistic
  readonly gflops?: Statistic
  readonly gigabytes?: Statistic
  /** Part of the register peak of as many threads, from the same rounds. */
  readonly share?: Statistic
  readonly comparisons: readonly Comparison[]
  /** Opponents that could not take part. */
  readonly absent: readonly string[]
  /** Seconds per call in each round, by label; the record of what was measured. */
  readonly rounds: Readonly<Record<string, readonly number[]>>
}

/** Something came out differently, so nothing about its speed is worth saying. */
export class Unequal extends Error {}

export type { Checked }
