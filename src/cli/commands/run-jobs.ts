import * as path from 'node:path'
import { RegraftError } from '../../errors.ts'
import { appendLine } from '../../files/append-lines.ts'
import { createFolder, listFolder, pathFacts } from '../../files/folder.ts'
import { readTextLimited } from '../../files/read-file.ts'
import { isJsonObject, type JsonObject, parseStrictJson, readJson, writeJson } from '../../files/strict-json.ts'
import { inertName } from '../../inert-text.ts'
import type { Command, Work } from '../command.ts'
import { machineSettings } from '../engine.ts'
import { commandLine, duration, jsonText, percent, shellWord } from '../format.ts'
import { type Job, readJobs } from '../job-file.ts'
import { runJob } from '../job-process.ts'
import { type Given, readValues, variableName } from '../settings.ts'
import { type generalSettings, json } from '../shared-settings.ts'
import { textTable } from '../table.ts'
import { onOff, text } from '../values.ts'

const settings = {
  out: text('<dir>', { group: 'Output', help: 'folder for logs and the summary', fallback: 'runs/<name of the file>' }),
  keepGoing: onOff({ group: 'Output', help: 'after a job that failed, run the others too' }),
  resume: onOff({ group: 'Output', help: 'leave out jobs that are done; those that were stopped go on' }),
  dryRun: onOff({ group: 'Output', help: 'print the commands, one a line, and run nothing' }),
  json,
}

/** Told to the jobs through their environment, so that what a job says itself wins. */
const passedOn = [...Object.keys(machineSettings), 'offline' satisfies keyof typeof generalSettings]

const RECORDS = 'jobs.jsonl'
const mostRecordBytes = 2 ** 28

/** How a job ended; a line of `jobs.jsonl`. */
interface Outcome {
  readonly name: string
  readonly words: readonly string[]
  /** `done` before this call, or in it. */
  readonly state: 'done' | 'failed' | 'not run'
  readonly exitCode: number | null
  readonly seconds: number | null
  readonly before: boolean
}

/** `run JOBS.yaml`: a batch of commands. */
export const runJobs: Command = {
  name: 'run',
  summary: 'run a batch of commands from a file',
  description:
    "JOBS is YAML (or .json): 'jobs' is a list, each job with 'run', the words of a command. {name} stands for the values of 'matrix', and " +
    "a job runs with every combination of those that it names. 'options' are added to a job, or at the top to all. Each job is a process " +
    'of its own; its stdout and stderr go to files in the folder of the batch. All command lines are checked before the first one runs.\n' +
    'Jobs run in their order. The batch stops at the first that fails, or goes on with --keep-going, and exits with the code of the first ' +
    'that failed. --resume leaves out what is done and goes on with trainings and embeddings that were stopped.',
  arguments: [{ name: 'jobs', help: 'file of jobs' }],
  examples: [
    'regraft run jobs.yaml',
    'regraft run jobs.yaml --keep-going --json > summary.json',
    'regraft run jobs.yaml --resume',
    'regraft run jobs.yaml --dry-run | parallel -j 2',
  ],
  settings,

  async run(given, [file = ''], work) {
    const { out, keepGoing, resume, dryRun, json } = readValues(settings, given)
    const jobs = await readJobs(file, work.check)
    if (dryRun) {
      for (const { words } of jobs) await work.output.write(`${commandLine(words)}\n`)
      return 0
    }
    const folder = out ?? path.join('runs', path.parse(file).name)
    const before = await recordsOf(folder, resume ?? false)
    await createFolder(path.join(folder, 'logs'))
    const outcomes = await runAll(
      jobs,
      folder,
      before,
      { keepGoing: keepGoing ?? false, resume: resume ?? false },
      given,
      work,
    )
    const rows = []
    for (const outcome of outcomes) rows.push({ ...outcome, accuracy: await accuracyOf(outcome, jobs) })
    const document = summaryDocument(folder, rows)
    await writeJson(path.join(folder, 'summary.json'), document)
    await work.output.write(json ? `${jsonText(document, 2)}\n` : summaryText(rows))
    const interrupted = work.signal.aborted
    const failed = outcomes.filter(({ state }) => state === 'failed')
    if (interrupted) {
      const reason: unknown = work.signal.reason
      const go = `Go on with: regraft run ${shellWord(file)} --resume${out === undefined ? '' : ` --out ${shellWord(out)}`}`
      if (!(reason instanceof RegraftError)) throw reason
      const signal = reason.exitCode === 143 ? 'SIGTERM' : 'SIGINT'
      throw new RegraftError(reason.code, `${reason.message}\n${go}`, { cause: reason, signal })
    }
    for (const { name, exitCode } of failed)
      work.say(`${name} failed with ${exitCode}: ${inertName(path.join(folder, 'logs', `${name}.log`))}`)
    return failed[0] === undefined ? 0 : exitCodeOf(failed[0])
  },
}

/** A code of our own; a process that was killed tells none. */
function exitCodeOf({ exitCode }: Outcome): number {
  // As systems do when memory runs out.
  if (exitCode === 137) return 6
  return exitCode === null || (exitCode > 128 && exitCode !== 130 && exitCode !== 143) ? 1 : exitCode
}

async function runAll(
  jobs: readonly Job[],
  folder: string,
  before: ReadonlyMap<string, JsonObject>,
  { keepGoing, resume }: { readonly keepGoing: boolean; readonly resume: boolean },
  given: Given,
  work: Work,
): Promise<readonly Outcome[]> {
  const environment = {
    ...work.environment,
    ...Object.fromEntries(
      passedOn.flatMap((name) => (given.has(name) ? [[variableName(name), given.get(name)?.text]] : [])),
    ),
  }
  const outcomes: Outcome[] = []
  work.listener({ type: 'phase', phase: 'jobs', total: jobs.length, unit: 'jobs' })
  let stopped = false
  for (const [at, job] of jobs.entries()) {
    const { name, words } = job
    const former = before.get(name)
    if (former?.['exit_code'] === 0 && JSON.stringify(former['words']) === JSON.stringify(words)) {
      const seconds = typeof former['seconds'] === 'number' ? former['seconds'] : null
      outcomes.push({ name, words, state: 'done', exitCode: 0, seconds, before: true })
      continue
    }
    if (stopped || work.signal.aborted) {
      outcomes.push({ name, words, state: 'not run', exitCode: null, seconds: null, before: false })
      continue
    }
    work.listener({ type: 'progress', phase: 'jobs', done: at, total: jobs.length, detail: name })
    const file = (ending: string) => path.join(folder, 'logs', `${name}${ending}`)
    const actual = resume ? await goingOn(job) : words
    work.say(`${at + 1}/${jobs.length} ${name}: ${commandLine(actual)}`)
    const { program, signal } = work
    const end = await runJob({ program, words: actual, environment, output: file('.out'), log: file('.log'), signal })
    const record = { name, words, exit_code: end.exitCode, seconds: Number(end.seconds.toFixed(2)) }
    await appendLine(path.join(folder, RECORDS), JSON.stringify(record))
    const state = end.exitCode === 0 ? 'done' : 'failed'
    outcomes.push({ name, words, state, exitCode: end.exitCode, seconds: end.seconds, before: false })
    work.say(
      `${at + 1}/${jobs.length} ${name}: ${state === 'done' ? 'done' : `failed with ${end.exitCode}`} after ${duration(end.seconds)}`,
    )
    if (state === 'failed' && !keepGoing) stopped = true
  }
  work.listener({ type: 'phaseEnd', phase: 'jobs' })
  return outcomes
}

/** The words with which a job goes on where it was stopped, if it can and has begun. */
async function goingOn({ words, checked: { command, flags } }: Job): Promise<readonly string[]> {
  const out = flags['out']
  if (typeof out !== 'string' || (await pathFacts(out))?.kind !== 'folder') return words
  if (command === 'embed') return flags['resume'] === true ? words : [...words, '--resume']
  if (command !== 'train' || flags['resume'] !== undefined) return words
  const checkpoints = path.join(out, 'checkpoints')
  const some =
    (await pathFacts(checkpoints))?.kind === 'folder' &&
    (await listFolder(checkpoints)).some(({ name }) => !name.startsWith('.'))
  if (some) return ['train', '--resume', out]
  // Killed before it had anything to go on with; only what a run has written is replaced.
  return flags['overwrite'] === true ? words : [...words, '--overwrite']
}

/**
 * What earlier calls have recorded, the last line of each job.
 * @throws RegraftError 'usage' for a batch that is there already and is not gone on with
 */
async function recordsOf(folder: string, resume: boolean): Promise<ReadonlyMap<string, JsonObject>> {
  const file = path.join(folder, RECORDS)
  const records = new Map<string, JsonObject>()
  if ((await pathFacts(file)) === undefined) return records
  if (!resume) {
    throw new RegraftError(
      'usage',
      `${inertName(folder)} has jobs that were run already. Go on with them (--resume), or choose another folder (--out).`,
      { file: folder },
    )
  }
  for (const line of (await readTextLimited(file, mostRecordBytes)).split('\n')) {
    const record = line === '' ? undefined : parsed(line, file)
    if (record && typeof record['name'] === 'string') records.set(record['name'], record)
  }
  return records
}

function parsed(line: string, file: string): JsonObject | undefined {
  try {
    const record = parseStrictJson(line, { file })
    return isJsonObject(record) ? record : undefined
  } catch {
    // Torn by a kill: that job counts as not run.
    return undefined
  }
}

/** The best validation accuracy of a training, of a run folder's own telling. */
async function accuracyOf({ name, state }: Outcome, jobs: readonly Job[]): Promise<number | null> {
  const job = jobs.find((each) => each.name === name)
  const out = job?.checked.flags['out']
  if (state !== 'done' || job?.checked.command !== 'train' || typeof out !== 'string') return null
  const file = path.join(out, 'metrics.json')
  if ((await pathFacts(file)) === undefined) return null
  const root = await readJson(file)
  const best = isJsonObject(root) ? root['best'] : undefined
  const accuracy = isJsonObject(best) ? best['val_accuracy'] : undefined
  return typeof accuracy === 'number' ? accuracy : null
}

type Row = Outcome & { readonly accuracy: number | null }

function summaryDocument(folder: string, rows: readonly Row[]): unknown {
  const count = (state: Outcome['state']) => rows.filter((row) => row.state === state).length
  return {
    out: folder,
    done: count('done'),
    failed: count('failed'),
    not_run: count('not run'),
    jobs: rows.map(({ name, words, state, exitCode, seconds, before, accuracy }) => ({
      name,
      words,
      state,
      before,
      exit_code: exitCode,
      seconds: seconds === null ? null : Number(seconds.toFixed(2)),
      val_accuracy: accuracy,
      output: path.join(folder, 'logs', `${name}.out`),
      log: path.join(folder, 'logs', `${name}.log`),
    })),
  }
}

function summaryText(rows: readonly Row[]): string {
  const cells = rows.map(({ name, state, exitCode, seconds, before, accuracy }) => [
    inertName(name),
    before ? 'done before' : state,
    exitCode === null ? '' : String(exitCode),
    seconds === null ? '' : duration(seconds),
    accuracy === null ? '' : percent(accuracy),
  ])
  return textTable([['job', 'state', 'exit', 'time', 'val accuracy'], ...cells], [2, 3, 4])
}
