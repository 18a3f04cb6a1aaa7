// The contestant's side of the protocol.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Answer, Introduction, Request, Task } from './protocol.ts'

/** A task made ready. */
export interface Work {
  /** Does it, and says how many times: very short work is done many times in one go. */
  run(): Promise<number> | number
  /** What comes out of doing it once from the start. */
  check(): Promise<Outcome> | Outcome
  close(): Promise<void> | void
}

export interface Outcome {
  readonly arrays?: Readonly<Record<string, Float32Array>>
  readonly numbers?: Readonly<Record<string, number>>
}

/** Work shorter than this is done once, not counted, before time is taken: the one before has used the caches. */
const SHORT_SECONDS = 0.02

/** Introduces itself and answers until its input ends. */
export async function serve(introduction: Introduction, load: (task: Task) => Promise<Work>): Promise<void> {
  say(introduction)
  let work: Work | undefined
  let lastSeconds = 0
  const loaded = (): Work => {
    if (!work) throw new Error('no task is loaded')
    return work
  }
  const answer = async (request: Request): Promise<Answer> => {
    switch (request.do) {
      case 'load':
        work = await load(request.task)
        lastSeconds = 0
        return {}
      case 'check': {
        const { arrays = {}, numbers = {} } = await loaded().check()
        const files = Object.entries(arrays).map(([name, values]) => {
          const file = join(request.folder, `${name}.f32`)
          writeFileSync(file, new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
          return [name, file] as const
        })
        return { arrays: Object.fromEntries(files), numbers }
      }
      case 'time': {
        const { run } = loaded()
        if (lastSeconds < SHORT_SECONDS) await run()
        let calls = 0
        let seconds = 0
        const startedAt = performance.now()
        while (calls === 0 || seconds < request.seconds) {
          calls += await run()
          seconds = (performance.now() - startedAt) / 1000
        }
        lastSeconds = seconds / calls
        return { calls, seconds }
      }
      case 'unload':
        await work?.close()
        work = undefined
        return {}
      case 'peak memory':
        return { peakBytes: peakBytes() }
    }
  }
  for await (const line of createInterface({ input: process.stdin })) {
    try {
      say(await answer(JSON.parse(line) as Request))
    } catch (error) {
      say({ error: error instanceof Error ? error.message : String(error) })
    }
  }
  await work?.close()
  process.exit(0)
}

/** f32 values of a file. */
export function readFloats(file: string): Float32Array {
  const bytes = readFileSync(file)
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength))
}

function say(answer: Answer): void {
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}

/** High-water mark of the resident memory, from the kernel where it can be had: it starts anew with each program. */
function peakBytes(): number {
  try {
    const status = readFileSync('/proc/self/status', 'utf8')
    const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]
    if (kilobytes !== undefined) return Number(kilobytes) * 1024
  } catch {
    // No such file system here.
  }
  return process.resourceUsage().maxRSS * 1024
}
