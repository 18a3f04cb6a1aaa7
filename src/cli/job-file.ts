// A file of jobs: command lines with gaps, and the values that fill the gaps.
import { RegraftError } from '../errors.ts'
import { inertName } from '../inert-text.ts'
import { nearestName } from '../nearest-name.ts'
import type { CheckedWords } from './command.ts'
import { readYamlFile } from './yaml-file.ts'

export interface Job {
  /** Unlike all others, and fit for the name of a file. */
  readonly name: string
  /** Of the command line, without the program. */
  readonly words: readonly string[]
  readonly checked: CheckedWords
}

const mostJobs = 10_000

/**
 * Reads a file of jobs and fills their gaps: each with every combination of its matrix.
 * @param check  looks at the words of a job, and throws what is wrong with them
 * @throws RegraftError 'usage' naming the job and what is wrong, before anything has run
 */
export async function readJobs(
  file: string,
  check: (words: readonly string[]) => CheckedWords,
): Promise<readonly Job[]> {
  const shown = inertName(file)
  const fail = (problem: string) => new RegraftError('usage', `${shown}: ${problem}`, { file })
  const root = fields(await readYamlFile(file), ['jobs', 'matrix', 'options'], (problem) => fail(`the file ${problem}`))
  const list = root.get('jobs')
  if (!Array.isArray(list) || list.length === 0)
    throw fail("'jobs' must be a list of jobs, such as - run: train flowers.")
  const jobs: Job[] = []
  const problems: string[] = []
  for (const [at, entry] of list.entries()) {
    const where = `job ${at + 1}`
    const failHere = (problem: string) => fail(`${where} ${problem}`)
    const job = fields(entry, ['name', 'run', 'matrix', 'options'], failHere)
    const matrix = new Map([
      ...matrixOf(root.get('matrix'), (problem) => fail(`'matrix' ${problem}`)),
      ...matrixOf(job.get('matrix'), failHere),
    ])
    const options = new Map([
      ...optionsOf(root.get('options'), (problem) => fail(`'options' ${problem}`)),
      ...optionsOf(job.get('options'), failHere),
    ])
    const words = wordsOf(job.get('run'), failHere)
    const template = job.get('name')
    if (template !== undefined && typeof template !== 'string') throw failHere("has a 'name' that is no text.")
    const gaps = new Set([...words, ...options.values(), template ?? ''].flatMap((text) => gapsIn(String(text))))
    for (const gap of gaps) {
      if (matrix.has(gap)) continue
      const near = nearestName(gap, matrix.keys())
      throw failHere(
        `has the gap {${inertName(gap, 100)}}, for which 'matrix' has no values.${near ? ` Did you mean {${near}}?` : ''}`,
      )
    }
    // What a job does not name does not multiply it.
    const used = [...matrix].filter(([name]) => gaps.has(name))
    if (used.reduce((product, [, values]) => product * values.length, 1) > mostJobs) throw tooMany(fail)
    for (const values of combinations(used)) {
      const fill = (text: string) => filled(text, values)
      const filledWords = [
        ...words.map(fill),
        ...[...options].flatMap(([name, value]) => optionWords(name, fill(value))),
      ]
      const name = nameOf(template === undefined ? defaultName(filledWords[0], values, at) : fill(template))
      try {
        jobs.push({ name, words: filledWords, checked: check(filledWords) })
      } catch (error) {
        if (!(error instanceof RegraftError)) throw error
        problems.push(`${where} (${name}): ${error.message}`)
      }
      if (jobs.length > mostJobs) throw tooMany(fail)
    }
  }
  if (problems.length > 0)
    throw new RegraftError('usage', problems.map((problem) => `${shown}: ${problem}`).join('\n'), { file })
  refuseRepeated(jobs, fail)
  return jobs
}

type Fail = (problem: string) => RegraftError

function tooMany(fail: Fail): RegraftError {
  return fail(`these are more than ${mostJobs} jobs.`)
}

function refuseRepeated(jobs: readonly Job[], fail: Fail): void {
  const names = new Set<string>()
  const outs = new Map<string, string>()
  for (const { name, words, checked } of jobs) {
    if (words[0] === 'run') throw fail(`${name}: a job cannot run another file of jobs.`)
    // Names of files, which some disks do not tell apart by case.
    if (names.has(name.toLowerCase()))
      throw fail(`two jobs are called '${name}'; give them a 'name' with the gaps that differ.`)
    names.add(name.toLowerCase())
    const out = checked.flags['out']
    if (typeof out !== 'string') continue
    const other = outs.get(out)
    if (other !== undefined) throw fail(`'${other}' and '${name}' both write to --out ${inertName(out)}.`)
    outs.set(out, name)
  }
}

function fields(value: unknown, known: readonly string[], fail: Fail): Map<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw fail(`must be made of ${known.map((name) => `'${name}'`).join(', ')}.`)
  const entries = new Map(Object.entries(value))
  for (const name of entries.keys()) {
    if (known.includes(name)) continue
    const near = nearestName(name, known)
    throw fail(
      `has the key '${inertName(name, 100)}', which is not known; known: ${known.join(', ')}.${near ? ` Did you mean '${near}'?` : ''}`,
    )
  }
  return entries
}

function scalar(value: unknown): string | undefined {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : undefined
}

function matrixOf(value: unknown, fail: Fail): ReadonlyMap<string, readonly string[]> {
  if (value === undefined || value === null) return new Map()
  if (typeof value !== 'object' || Array.isArray(value))
    throw fail('must be names with lists of values, such as seed: [0, 1].')
  return new Map(
    Object.entries(value).map(([name, list]) => {
      if (!/^\w+$/.test(name)) throw fail(`has the name '${inertName(name, 100)}'; letters, digits and _ are allowed.`)
      const values = Array.isArray(list) ? list.map(scalar) : []
      if (values.length === 0 || values.some((each) => each === undefined))
        throw fail(`has no list of values for '${name}', such as ${name}: [a, b].`)
      return [name, values.filter((each) => each !== undefined)]
    }),
  )
}

function optionsOf(value: unknown, fail: Fail): ReadonlyMap<string, string> {
  if (value === undefined || value === null) return new Map()
  if (typeof value !== 'object' || Array.isArray(value))
    throw fail('must be names of options with values, such as epochs: 10.')
  return new Map(
    Object.entries(value).map(([name, given]) => {
      const text = scalar(given)
      if (text === undefined) throw fail(`has no single value for '${inertName(name, 100)}'.`)
      return [
        name
          .replace(/^--/, '')
          .replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
          .replaceAll('_', '-'),
        text,
      ]
    }),
  )
}

/** A switch has no value. */
function optionWords(name: string, value: string): readonly string[] {
  if (value === 'true') return [`--${name}`]
  return value === 'false' ? [`--no-${name}`] : [`--${name}=${value}`]
}

/** Words as a list; or a text that is cut at its spaces, where nothing needs to be quoted. */
function wordsOf(run: unknown, fail: Fail): readonly string[] {
  if (typeof run === 'string' && run.trim() !== '') {
    if (/["'\\$`]/.test(run))
      throw fail(
        "has a 'run' with quotes or signs of a shell, and there is no shell: write a list, such as [train, 'my pictures'].",
      )
    return run.trim().split(/\s+/)
  }
  const words = Array.isArray(run) ? run.map(scalar) : []
  if (words.length === 0 || words.some((word) => word === undefined))
    throw fail("has no 'run', the words of a command: run: train flowers, or a list.")
  return words.filter((word) => word !== undefined)
}

const gap = /\{(\w+)\}/g

function gapsIn(text: string): readonly string[] {
  return [...text.matchAll(gap)].map(([, name = '']) => name)
}

function filled(text: string, values: ReadonlyMap<string, string>): string {
  return text.replace(gap, (_, name: string) => values.get(name) ?? '')
}

/** The last name changes fastest. */
function combinations(
  matrix: readonly (readonly [string, readonly string[]])[],
): readonly ReadonlyMap<string, string>[] {
  let all: readonly ReadonlyMap<string, string>[] = [new Map()]
  for (const [name, values] of matrix) {
    all = all.flatMap((before) => values.map((value) => new Map([...before, [name, value]])))
  }
  return all
}

function defaultName(command: string | undefined, values: ReadonlyMap<string, string>, at: number): string {
  return [String(at + 1), command ?? '', ...values.values()].join('-')
}

const mostNameLength = 150

function nameOf(text: string): string {
  const name = text
    .replace(/[^\p{L}\p{N}._=+-]+/gu, '_')
    .replace(/^[._]+|[._]+$/g, '')
    .slice(0, mostNameLength)
  return name === '' ? 'job' : name
}
