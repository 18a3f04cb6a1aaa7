// Trainings that are killed at random moments, as by the power switch or the kernel, and gone on with.
import { spawn } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { randomStream } from '../../src/random.ts'
import { checkpointFolders } from '../../src/train/checkpoint.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { buildRegraft } from './built-regraft.ts'
import { drawFolder } from './drawn-pictures.ts'
import { expectWhole, leftovers } from './injected-faults.ts'
import { savedModel } from './random-model.ts'
import { resultOf } from './run-result.ts'

interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stderr: string
  readonly milliseconds: number
}

/** Runs words in a process, which is killed after some time. */
function killedAfter(milliseconds: number | undefined, program: string, words: readonly string[]): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const startedAt = performance.now()
    const child = spawn(process.execPath, [program, ...words], { stdio: ['ignore', 'ignore', 'pipe'] })
    let stderr = ''
    child.stderr.on('data', (part) => {
      stderr += part
    })
    const timer = milliseconds === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), milliseconds)
    child.on('error', reject)
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      resolve({ code, signal, stderr, milliseconds: performance.now() - startedAt })
    })
  })
}

/** @param kills  how many trainings are killed, each one once or more often */
export function describeKills(kills: number): void {
  const folder = temporaryFolder()
  const data = join(folder, 'data')
  const trunk = join(folder, 'trunk')
  const out = join(folder, 'killed')
  const common = ['--save-every', '1', '--threads', '2', '--simd', 'baseline']
  const train = [
    ...['train', data, '--model', trunk, '--mode', 'finetune', '--unfreeze', 'last:1', '--epochs', '6'],
    // What looks ahead has nothing to lose.
    ...['--batch-size', '5', '--ema', '0.9', '--no-checks', ...common],
  ]
  let program: string
  let expected: ReturnType<typeof resultOf>
  let wholeMs = 0

  beforeAll(async () => {
    program = buildRegraft(join(folder, 'regraft'))
    await drawFolder(data, 6)
    await savedModel(trunk, 'mobilenetv1_025')
    const undisturbed = join(folder, 'undisturbed')
    const ran = await killedAfter(undefined, program, [...train, '--out', undisturbed])
    expect(ran.code, ran.stderr).toBe(0)
    wholeMs = ran.milliseconds
    expected = resultOf(undisturbed)
  })

  test(`${kills} trainings that are killed at random moments end as one that is not`, async () => {
    const random = randomStream({ seed: 5, purpose: 'moments of a kill' })
    let killed = 0
    let resumed = 0
    while (killed < kills) {
      rmSync(out, { recursive: true, force: true })
      for (let again = true; again; ) {
        const resumable = existsSync(out) && (await checkpointFolders(out)).length > 0
        const words = resumable ? ['train', '--resume', out, ...common] : [...train, '--out', out, '--overwrite']
        if (resumable) resumed += 1
        // Before the first quarter hardly anything has begun. One kill more in a third of the cases, until it comes to its end.
        const wanted = killed < kills && random.uniform() < (resumable ? 0.3 : 0.95)
        const ran = await killedAfter(wanted ? wholeMs * (0.25 + 0.75 * random.uniform()) : undefined, program, words)
        if (ran.signal === 'SIGKILL') killed += 1
        else expect(ran.code, ran.stderr).toBe(0)
        if (existsSync(out)) await expectWhole(out)
        again = ran.signal === 'SIGKILL'
      }
      expect(resultOf(out), `after ${killed} kills`).toEqual(expected)
      expect(leftovers(out)).toEqual([])
    }
    process.stderr.write(`${killed} kills, ${resumed} times gone on with\n`)
    // Of few kills all may come before the first checkpoint but one.
    expect(resumed).toBeGreaterThan(kills < 20 ? 0 : kills / 4)
  })
}
