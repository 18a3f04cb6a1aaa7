// The main thread only feeds, listens and reports: bars move and signals are heard while the workers compute.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { beforeAll, expect, test } from 'vitest'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { regraft } from './command-line.ts'
import { drawFolder } from './drawn-pictures.ts'
import { savedModel } from './random-model.ts'

const folder = temporaryFolder()
const data = join(folder, 'data')
beforeAll(async () => {
  await drawFolder(data, 6)
  await savedModel(join(folder, 'mobilenetv1_100'), 'mobilenetv1_100', { imgSize: 64 })
})

/** Longest time that a piece of work may hold the main thread. */
const limitMs = 50

const statistics = `/proc/self/task/${process.pid}/schedstat`
const counted = existsSync(statistics)

/**
 * Milliseconds that the main thread has worked. Where the system does not count them it is the time of day, in which a busy
 * machine shows as well.
 */
function worked(): number {
  return counted ? Number(readFileSync(statistics, 'utf8').split(' ')[0]) / 1e6 : performance.now()
}

/** The longest that a timer of 5 ms was held up by work of this thread, in milliseconds. */
async function longestHold(work: () => Promise<unknown>): Promise<number> {
  let longest = 0
  let last = worked()
  const timer = setInterval(() => {
    const now = worked()
    longest = Math.max(longest, now - last)
    last = now
  }, 5)
  try {
    await work()
  } finally {
    clearInterval(timer)
  }
  return longest
}

test('the measure sees what holds the thread up', async () => {
  const held = await longestHold(async () => {
    await wait(10)
    const start = worked()
    while (worked() - start < 80);
    await wait(10)
  })
  expect(held).toBeGreaterThan(limitMs)
})

test('a fine-tuning of millions of weights never holds the main thread up', async () => {
  let round = 0
  const train = async () => {
    const out = join(folder, `run-${round++}`)
    const words = ['--mode', 'finetune', '--unfreeze', 'all', '--epochs', '1', '--batch-size', '6']
    const ran = await regraft(['train', data, '--model', join(folder, 'mobilenetv1_100'), '--out', out, ...words])
    expect(ran.exitCode, ran.stderr).toBe(0)
  }
  // The first time modules are read and compiled, which is not what is asked.
  await train()
  const held: number[] = []
  for (let attempt = 0; attempt < 3 && !held.some((longest) => longest < limitMs); attempt++) {
    // Where the time of day is all there is, a busy machine would be taken for our fault.
    if (!counted && (await longestHold(() => wait(200))) > 20) continue
    held.push(await longestHold(train))
  }
  if (held.length > 0) expect(Math.min(...held)).toBeLessThan(limitMs)
})
