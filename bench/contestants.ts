// Starts contestants as processes of their own and talks with them.
import { type ChildProcess, spawn } from 'node:child_process'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Checked, Introduction, Memory, Request, Task, Timed } from './protocol.ts'

/** Who takes part: what to start, and with how many threads. */
export interface Entrant {
  /** Short name, for messages and tables. */
  readonly label: string
  readonly command: readonly [string, ...string[]]
  readonly threads: number
  /** How long its threads look for more work before they sleep, where that is long. */
  readonly restMs?: number
}

export interface Contestant {
  readonly introduction: Introduction
  readonly entrant: Entrant
  load(task: Task): Promise<void>
  check(folder: string): Promise<Checked>
  time(seconds: number): Promise<Timed>
  unload(): Promise<void>
  peakBytes(): Promise<number>
  close(): Promise<void>
}

/** An entrant that could not come: its library is not installed, or it cannot run here. */
export class Absent extends Error {}

const here = import.meta.dirname
const loader = import.meta.resolve('tsx')

/** The command that runs a TypeScript file of this folder. @param node  path of a Node */
export function script(file: string, args: readonly string[] = [], node = process.execPath): [string, ...string[]] {
  return [node, '--import', loader, join(here, file), ...args]
}

/** @throws Absent when it does not introduce itself */
export async function startContestant(entrant: Entrant): Promise<Contestant> {
  const { label, threads } = entrant
  const [program, ...args] = entrant.command
  const count = String(threads)
  const child = spawn(program, [...args, '--threads', count], {
    cwd: here,
    stdio: ['pipe', 'pipe', 'pipe'],
    // Numerical libraries of Python read these when they start.
    env: { ...process.env, OMP_NUM_THREADS: count, OPENBLAS_NUM_THREADS: count, MKL_NUM_THREADS: count },
  })
  const complaints: string[] = []
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaints.push(text)
    if (complaints.length > 50) complaints.shift()
  })
  const lastWords = () => {
    const lines = complaints.join('').trim().split('\n')
    // A library that is missing is told in the line of the error; what is around it speaks of places on this machine.
    const line = lines.find((text) => /Error\b.*: /.test(text)) ?? lines.at(-1) ?? ''
    return line.replace(/ imported from .*/, '').replaceAll(dirname(here), '')
  }
  const answers = answersOf(child)
  let introduction: Introduction
  try {
    introduction = (await answers.next()) as Introduction
  } catch (error) {
    throw new Absent(lastWords() || (error instanceof Error ? error.message : String(error)))
  }
  const ask = async (request: Request): Promise<unknown> => {
    child.stdin.write(`${JSON.stringify(request)}\n`)
    const answer = await answers.next().catch((error: Error) => {
      throw new Error(`${label}: ${error.message} ${lastWords()}`)
    })
    if (typeof answer === 'object' && answer !== null && 'error' in answer) throw new Error(`${label}: ${answer.error}`)
    return answer
  }
  return {
    introduction,
    entrant,
    load: async (task) => void (await ask({ do: 'load', task })),
    check: async (folder) => (await ask({ do: 'check', folder })) as Checked,
    time: async (seconds) => (await ask({ do: 'time', seconds })) as Timed,
    unload: async () => void (await ask({ do: 'unload' })),
    peakBytes: async () => ((await ask({ do: 'peak memory' })) as Memory).peakBytes,
    close: () =>
      new Promise((resolve) => {
        if (child.exitCode !== null || child.signalCode !== null) return resolve()
        child.once('exit', () => resolve())
        child.stdin.end()
        setTimeout(() => child.kill('SIGKILL'), 2000).unref()
      }),
  }
}

/** The JSON objects a child writes, in order; libraries may write other lines between them. */
function answersOf(child: ChildProcess): { next(): Promise<unknown> } {
  const waiting: { resolve: (answer: unknown) => void; reject: (error: Error) => void }[] = []
  const early: unknown[] = []
  let ended: Error | undefined
  const end = (why: string) => {
    ended ??= new Error(why)
    for (const { reject } of waiting.splice(0)) reject(ended)
  }
  child.on('error', (error) => end(error.message))
  child.stdin?.on('error', (error) => end(error.message))
  child.on('exit', (code, signal) => end(`it ended with ${signal ?? code}.`))
  if (!child.stdout) throw new Error('a contestant answers on its standard output')
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (!line.startsWith('{')) return
    const answer: unknown = JSON.parse(line)
    const next = waiting.shift()
    if (next) next.resolve(answer)
    else early.push(answer)
  })
  return {
    next: () =>
      new Promise((resolve, reject) => {
        if (early.length > 0) resolve(early.shift())
        else if (ended) reject(ended)
        else waiting.push({ resolve, reject })
      }),
  }
}

/** Keeps contestants that wait, so that libraries are loaded once for many lines. */
export interface Hall {
  /** @throws Absent */
  contestant(entrant: Entrant): Promise<Contestant>
  /** Why entrants did not come, by label. */
  readonly absent: ReadonlyMap<string, string>
  /** What those say of themselves who came. */
  readonly present: ReadonlySet<string>
  /** Sends all away. */
  empty(): Promise<void>
}

export function createHall(): Hall {
  const running = new Map<string, Promise<Contestant>>()
  const absent = new Map<string, string>()
  const present = new Set<string>()
  return {
    absent,
    present,
    async contestant(entrant) {
      // Two of a line may run the same program.
      const key = [entrant.label, ...entrant.command, entrant.threads].join(' ')
      const known = running.get(key)
      if (known) return known
      const starting = startContestant(entrant)
      running.set(key, starting)
      try {
        const contestant = await starting
        present.add(`${contestant.introduction.is}, ${contestant.introduction.details}`)
        return contestant
      } catch (error) {
        if (error instanceof Absent) absent.set(entrant.label, error.message)
        throw error
      }
    },
    async empty() {
      for (const [key, starting] of running) {
        const contestant = await starting.catch(() => undefined)
        // One that could not come would not come again.
        if (contestant) {
          await contestant.close()
          running.delete(key)
        }
      }
    },
  }
}
