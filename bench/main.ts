// How fast regraft is, beside other libraries on the same weights and inputs.
//   npm run bench -- [--only PATTERN] [--json FILE] [--repeats N] [--record]
// Results are compared before time is taken; where they differ the exit code is 1. A bar that is missed is told and changes nothing.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Absent, createHall } from './contestants.ts'
import { findNode24, installPeers } from './install.ts'
import { type Result, type Section, Unequal } from './line.ts'
import { gemm } from './lines/gemm.ts'
import { jax } from './lines/jax.ts'
import { kernels } from './lines/kernels.ts'
import { memory } from './lines/memory.ts'
import { networks } from './lines/networks.ts'
import { node24 } from './lines/node24.ts'
import { scaling } from './lines/scaling.ts'
import { training } from './lines/training.ts'
import { thisMachine } from './machine.ts'
import { type Measurement, recordText } from './record.ts'
import { resultText, verdictText } from './report.ts'
import { runLine, type Stage } from './run-line.ts'
import { createWorkload } from './workload.ts'

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    json: { type: 'string' },
    repeats: { type: 'string', default: '9' },
    record: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
})
if (options.help) {
  console.log(`npm run bench -- [--only PATTERN] [--repeats N] [--json FILE] [--record]
  --only PATTERN  lines whose names match this expression
  --repeats N     rounds of each line, ours and theirs in turns (9)
  --json FILE     writes everything measured
  --record        writes bench/results.md`)
  process.exit()
}
const rounds = Number(options.repeats)
if (!Number.isInteger(rounds) || rounds < 1)
  throw new Error(`--repeats must be a whole number from 1, not ${options.repeats}`)
const pattern = new RegExp(options.only)

const startedAt = performance.now()
const folder = mkdtempSync(join(tmpdir(), 'regraft-bench-'))
// However it ends; contestants end with their input.
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
process.once('SIGINT', () => process.exit(130))
const machine = thisMachine()
const noPeers = await installPeers()
if (noPeers !== undefined) console.log(`The peers from npm could not be installed: ${noPeers}`)
console.log(
  `Node ${machine.node}, ${machine.cpu}, ${machine.cores} cores; medians of ${rounds} rounds (lowest…highest); ratios are ours over theirs`,
)

const hall = createHall()
const stage: Stage = { hall, workload: createWorkload(join(folder, 'work')), folder, rounds }
const measured: { name: string; results: Result[]; verdicts: Measurement['sections'][number]['verdicts'] }[] = []
const absent = new Map<string, string>()
let failures = 0
try {
  for (const section of [gemm, kernels, networks, training, memory, scaling, jax]) await measure(section)
  await measureNode24()
} finally {
  await hall.empty()
}
for (const [label, why] of hall.absent) absent.set(label, why)
for (const [label, why] of absent) console.log(`${label} did not take part: ${why}`)
const present = [...hall.present].sort()
console.log(present.join('\n'))

const all = measured.flatMap(({ results }) => results)
const bars = [
  ...all.flatMap(({ comparisons }) => comparisons.flatMap(({ holds }) => (holds === undefined ? [] : [holds]))),
  ...measured.flatMap(({ verdicts }) => verdicts.map(({ holds }) => holds)),
]
const minutes = (performance.now() - startedAt) / 60_000
console.log(
  `${all.length} lines in ${minutes.toFixed(1)} minutes; ${bars.filter((holds) => holds).length} of ${bars.length} bars hold; ${failures} lines failed`,
)

const measurement: Measurement = {
  date: new Date().toISOString().slice(0, 10),
  machine,
  rounds,
  present,
  absent: Object.fromEntries(absent),
  sections: measured,
}
if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(measurement, null, 2)}\n`)
if (options.record) writeFileSync(join(import.meta.dirname, 'results.md'), recordText(measurement))
if (failures > 0) process.exitCode = 1

async function measure(section: Section): Promise<void> {
  const lines = section.lines.filter(({ name }) => pattern.test(name))
  if (lines.length === 0) return
  const results: Result[] = []
  for (const line of lines) {
    try {
      const result = await runLine(line, stage)
      console.log(resultText(result))
      results.push(result)
    } catch (error) {
      if (error instanceof Absent) continue
      failures++
      const kind = error instanceof Unequal ? 'DIFFERENT RESULTS' : 'FAILED'
      console.log(`${line.name}: ${kind}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  await hall.empty()
  const verdicts = section.verdict?.(results) ?? []
  for (const verdict of verdicts) console.log(verdictText(verdict))
  measured.push({ name: section.name, results, verdicts })
}

/** Another Node is fetched only when a line wants it. */
async function measureNode24(): Promise<void> {
  if (!node24('').lines.some(({ name }) => pattern.test(name))) return
  try {
    await measure(node24(await findNode24()))
  } catch (error) {
    absent.set('Node 24', error instanceof Error ? error.message : String(error))
  }
}
