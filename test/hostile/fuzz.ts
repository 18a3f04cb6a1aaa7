// Damages sound files at random and reads them: npm run fuzz -- --reader pickle --count 2000000 --minutes 20 --seed 7
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { RegraftError } from '../../src/errors.ts'
import { withFileSystem } from '../../src/files/file-system.ts'
import { randomStream } from '../../src/random.ts'
import { memoryFiles } from './memory-files.ts'
import { type Target, targets } from './targets.ts'

export interface Finding {
  readonly reader: string
  readonly seed: number
  /** Number of the damage; with the seed it makes the same files again. */
  readonly sample: number
  readonly problem: string
}

export interface FuzzResult {
  readonly accepted: number
  readonly refused: number
  readonly slowestMs: number
  /** What is held at the end more than after the first files, collected both times. */
  readonly grownBytes: number
  readonly findings: readonly Finding[]
}

/** Computed, which a busy machine does not make more. */
const tooSlowMs = 1000
/** Of one small file, and of all together once the first are read. */
const maxPeakBytes = 2 ** 28
const maxGrownBytes = 2 ** 24
const firstFiles = 1000
const maxFindings = 10
const control = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/

/** The files of one damage. */
export function damagedFiles(target: Target, seed: number, sample: number): ReadonlyMap<string, Uint8Array> {
  return target.damaged(randomStream({ seed, sample, purpose: `fuzz ${target.name}` }))
}

export interface FuzzOptions {
  readonly count: number
  readonly seed: number
  /** Ends earlier when this process has computed for as long. */
  readonly cpuMinutes?: number
}

/**
 * Reads `count` damaged files. Each has to be refused with an error for people, or be read without contradiction, in little time and
 * memory, and none of it may stay.
 */
export async function fuzz(target: Target, { count, seed, cpuMinutes = Infinity }: FuzzOptions): Promise<FuzzResult> {
  const findings: Finding[] = []
  const clean = Object.getOwnPropertyNames(Object.prototype).length
  let accepted = 0
  let refused = 0
  let slowestMs = 0
  let sample = 0
  let heldAtFirst = heldBytes()
  let peakBytes = process.resourceUsage().maxRSS * 1024
  const startedWith = process.cpuUsage()
  const found = (problem: string) => findings.push({ reader: target.name, seed, sample, problem })
  for (; sample < count && findings.length < maxFindings; sample++) {
    if (computedMs(startedWith) > cpuMinutes * 60_000) break
    if (sample === firstFiles) heldAtFirst = heldBytes()
    const files = damagedFiles(target, seed, sample)
    const before = process.cpuUsage()
    try {
      await withFileSystem(memoryFiles(files), () => target.read(target.file, files))
      accepted += 1
    } catch (error) {
      refused += 1
      if (!(error instanceof RegraftError))
        found(error instanceof Error ? (error.stack ?? error.message) : String(error))
      else if (control.test(error.message))
        found(`a control character in the message: ${JSON.stringify(error.message)}`)
    }
    const tookMs = computedMs(before)
    slowestMs = Math.max(slowestMs, tookMs)
    if (tookMs > tooSlowMs) found(`computed for ${Math.round(tookMs)} ms`)
    if (Object.getOwnPropertyNames(Object.prototype).length !== clean) found('Object.prototype was changed')
    const peak = process.resourceUsage().maxRSS * 1024
    if (peak > peakBytes + maxPeakBytes) found(`took ${formatMiB(peak - peakBytes)} of memory at once`)
    peakBytes = peak
  }
  const grownBytes = heldBytes() - heldAtFirst
  if (grownBytes > maxGrownBytes) found(`${formatMiB(grownBytes)} stay behind`)
  return { accepted, refused, slowestMs, grownBytes, findings }
}

function computedMs(since: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since)
  return (user + system) / 1000
}

const formatMiB = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`

let collectGarbage: (() => void) | undefined

/** What is in use after a collection. */
function heldBytes(): number {
  if (collectGarbage === undefined) {
    setFlagsFromString('--expose-gc')
    collectGarbage = runInNewContext('gc') as () => void
  }
  collectGarbage()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      reader: { type: 'string', default: 'all' },
      count: { type: 'string', default: '20000' },
      minutes: { type: 'string' },
      seed: { type: 'string', default: '0' },
    },
  })
  const chosen = targets.filter(({ name }) => values.reader === 'all' || values.reader === name)
  if (chosen.length === 0) {
    console.error(`There is no reader '${values.reader}'; there are ${targets.map(({ name }) => name).join(', ')}.`)
    process.exitCode = 2
    return
  }
  for (const target of chosen) {
    const startedAt = performance.now()
    const result = await fuzz(target, {
      count: Number(values.count),
      seed: Number(values.seed),
      cpuMinutes: values.minutes === undefined ? Infinity : Number(values.minutes),
    })
    const perSecond = Math.round(((result.accepted + result.refused) / (performance.now() - startedAt)) * 1000)
    console.log(
      `${target.name.padEnd(15)} ${result.refused} refused, ${result.accepted} accepted, ${perSecond} a second, slowest ${result.slowestMs.toFixed(0)} ms, ${formatMiB(result.grownBytes)} grown, ${result.findings.length} findings`,
    )
    for (const { seed, sample, problem } of result.findings) {
      const folder = mkdtempSync(join(tmpdir(), 'regraft-fuzz-'))
      for (const [file, bytes] of damagedFiles(target, seed, sample)) writeFileSync(join(folder, basename(file)), bytes)
      console.log(
        `  seed ${seed}, sample ${sample}, files in ${folder}\n  ${problem.split('\n').slice(0, 4).join('\n  ')}`,
      )
      process.exitCode = 1
    }
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main()
