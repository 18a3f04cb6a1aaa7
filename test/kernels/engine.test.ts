// The engine: workers that compute while the main thread stays free, that stop when told, and that die with their process.

import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { RegraftError } from '../../src/errors.ts'
import { createEngine, type Engine, type EngineOptions } from '../../src/kernels/engine.ts'
import { loadKernels, relaxedAvailable } from '../../src/kernels/load.ts'
import { call } from '../../src/kernels/program.ts'
import { bits, randomFloats } from '../support/dense-data.ts'

const onNode20 = process.versions.node.startsWith('20.')

const engines: Engine[] = []
function open(options: EngineOptions = {}): Engine {
  const engine = createEngine({ simd: 'baseline', threads: 2, ...options })
  engines.push(engine)
  return engine
}
afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.close()))
})

const SIZE = 256

/** A product of two square matrices, repeated, and where its result lies. */
function product(engine: Engine, repeats: number, perImage = false) {
  const bytes = SIZE * SIZE * 4
  const [a, packed, c] = ['a', 'b', 'c'].map((name) => engine.arena.allocate(bytes, `matrix ${name}`))
  if (a === undefined || packed === undefined || c === undefined) throw new Error('three addresses')
  engine.floats(a, SIZE * SIZE).set(randomFloats(SIZE * SIZE, 1))
  engine.floats(packed, SIZE * SIZE).set(randomFloats(SIZE * SIZE, 2))
  const rows = perImage ? { perImage: SIZE } : SIZE
  const once = call<'matmul', number>('matmul', [a, SIZE, packed, c, SIZE, SIZE, SIZE, 0, 0, 0, 0], rows, 4)
  const program = engine.register(Array.from({ length: repeats }, () => once))
  return { program, result: () => engine.floats(c, SIZE * SIZE).slice() }
}

/** How many products take about so many milliseconds here, on a machine that does nothing else. */
async function repeatsFor(engine: Engine, milliseconds: number): Promise<number> {
  const { program } = product(engine, 40)
  let fastest = Number.POSITIVE_INFINITY
  for (let trial = 0; trial < 4; trial++) {
    const start = performance.now()
    await engine.run([program], 1)
    fastest = Math.min(fastest, performance.now() - start)
  }
  return Math.ceil((milliseconds / fastest) * 40)
}

/** Fires a timer every 5 ms and tells the longest time between two. */
const watchSource = `function watchTimers() {
  let last = performance.now()
  let largestGap = 0
  const tick = () => {
    const now = performance.now()
    largestGap = Math.max(largestGap, now - last)
    last = now
  }
  const timer = setInterval(tick, 5)
  return {
    stop() {
      clearInterval(timer)
      tick()
      return largestGap
    },
  }
}`
// The same code on both threads; what it returns is known.
const watchTimers = new Function(`${watchSource}; return watchTimers`)() as () => { stop(): number }

/** A thread of its own that does nothing but watch; `gap` gives its longest since the last call. */
async function watchIdleThread() {
  const script = `${watchSource}
    const { parentPort } = require('node:worker_threads')
    let watch = watchTimers()
    parentPort.on('message', () => {
      parentPort.postMessage(watch.stop())
      watch = watchTimers()
    })`
  const worker = new Worker(script, { eval: true, execArgv: [] })
  await once(worker, 'online')
  return {
    async gap(): Promise<number> {
      const answer = once(worker, 'message')
      worker.postMessage('gap')
      return Number((await answer)[0])
    },
    end: () => worker.terminate(),
  }
}

describe('while the workers compute', () => {
  test('the main thread stays free', async () => {
    // One worker, so that on two cores the main thread has one to itself.
    const engine = open({ threads: 1 })
    const { program } = product(engine, await repeatsFor(engine, 1300))
    const gaps: number[] = []
    // A busy machine delays timers of any thread now and then, so a thread that has nothing to do is watched too.
    const idle = await watchIdleThread()
    for (let copies = 1; copies < 8 && gaps.length < 6 && !(Math.min(...gaps) < 50); ) {
      const watch = watchTimers()
      await idle.gap()
      const start = performance.now()
      await engine.run(
        Array.from({ length: copies }, () => program),
        1,
      )
      const took = performance.now() - start
      const own = watch.stop()
      const other = await idle.gap()
      if (took > 1000) gaps.push(own - other)
      else copies++
    }
    await idle.end()
    expect(Math.min(...gaps), `largest gaps beyond the idle thread's, in ms: ${gaps.join(', ')}`).toBeLessThan(50)
  })

  test('a signal stops them between two kernels, and the engine goes on to serve', async () => {
    const engine = open()
    const short = product(engine, 1)
    await engine.run([short.program], 1)
    const expected = short.result()
    const long = product(engine, await repeatsFor(engine, 4000))
    for (let round = 0; round < 3; round++) {
      const abort = new AbortController()
      const reason = new Error(`stop ${round}`)
      const run = engine.run([long.program], 1, abort.signal)
      const queued = engine.run([short.program], 1)
      await sleep(60)
      const start = performance.now()
      abort.abort(reason)
      await expect(run).rejects.toBe(reason)
      expect(performance.now() - start).toBeLessThan(1500)
      await queued
      expect(bits(short.result())).toEqual(bits(expected))
    }
  })

  test('a signal that fired before or fires afterwards does nothing to other runs', async () => {
    const engine = open()
    const { program } = product(engine, 1)
    const reason = new Error('too early')
    await expect(engine.run([program], 1, AbortSignal.abort(reason))).rejects.toBe(reason)
    const abort = new AbortController()
    await engine.run([program], 1, abort.signal)
    abort.abort()
    await engine.run([program], 1)
  })

  test('runs that were asked for together happen one after the other', async () => {
    const engine = open()
    const address = engine.arena.allocate(64, 'sixteen numbers')
    const fill = (value: number) => engine.register([call<'fill', number>('fill', [address, value], 4)])
    const finished: number[] = []
    await Promise.all(
      [1, 2, 3].map(async (value) => {
        await engine.run([fill(value)], 1)
        finished.push(value)
      }),
    )
    expect(finished).toEqual([1, 2, 3])
    expect([...engine.floats(address, 16)]).toEqual(Array.from({ length: 16 }, () => 3))
  })
})

describe('threads', () => {
  test.each([1, 2, 3, 7, 16])('%i of them give the same bits', async (threads) => {
    const expected = product(open({ threads: 1 }), 3)
    const [engine] = engines
    await engine?.run([expected.program], 1)
    const many = open({ threads })
    const own = product(many, 3, true)
    await many.run([own.program], 1)
    expect(bits(own.result())).toEqual(bits(expected.result()))
    expect(own.result().some((value) => value !== 0)).toBe(true)
  })

  test.each([1, 2, 3, 4, 7])('%i of them go through steps in pieces, every unit once and in order', async (threads) => {
    const engine = open({ threads })
    const [perImage, most] = [40, 9]
    const bytes = perImage * most * 16
    const [x, y, z] = ['x', 'y', 'z'].map((name) => engine.arena.allocate(bytes, name))
    if (x === undefined || y === undefined || z === undefined) throw new Error('three addresses')
    const units = { perImage }
    const calls = [
      call<'accumulate', number>('accumulate', [x, y], units),
      call<'accumulate', number>('accumulate', [y, z], units),
    ]
    const ahead = { from: [0, 16, 32], to: [16, 32, 40] }
    const whole = { from: [0], to: [perImage] }
    for (const pieces of [
      { images: 1, ranges: [ahead, { from: [0, 8, 24], to: [8, 24, 40] }], together: 1, joined: true },
      { images: 1, ranges: [ahead, ahead], together: 1, joined: false },
      { images: 1, ranges: [whole, whole], together: 3, joined: false },
      { images: 2, ranges: [whole, whole].map(() => ({ from: [0], to: [80] })), together: 2, joined: false },
      undefined,
    ]) {
      const steps = pieces ? [{ calls, pieces }] : calls
      const program = engine.register([...steps, { calls: [...calls].reverse().slice(1) }])
      for (let images = 1; images <= most; images++) {
        for (const [address, value] of [
          [x, 1],
          [y, 10],
          [z, 100],
        ] as const)
          engine.floats(address, perImage * most * 4).fill(value)
        await engine.run([program], images)
        const sums = (address: number) => engine.floats(address, perImage * most * 4)
        const expected = (before: number, after: number) =>
          Float32Array.from({ length: perImage * most * 4 }, (_, i) => (i < perImage * images * 4 ? after : before))
        expect(sums(y)).toEqual(expected(10, 12))
        expect(sums(z)).toEqual(expected(100, 111))
      }
      engine.forget(program)
    }
  })

  test.each([0, -1, 1.5, 65, Number.NaN])('%d of them are refused', (threads) => {
    expect(() => createEngine({ threads, simd: 'baseline' })).toThrow(RegraftError)
  })
})

describe('what goes wrong in a kernel', () => {
  test.each([1, 2, 3])('becomes an error and not a hang, with %i threads', async (threads) => {
    const engine = open({ threads })
    const fine = product(engine, 1)
    await engine.run([fine.program], 1)
    // An address far outside the memory.
    const outside = engine.register([call<'fill', number>('fill', [0xffff0000, 1], 65_536, 4)])
    await expect(engine.run([fine.program, outside], 1)).rejects.toThrow(/kernel failed: .*out of bounds/)
    // The workers are gone; whoever asks again is told so at once.
    await expect(engine.run([fine.program], 1)).rejects.toThrow(/kernel failed/)
    await engine.close()
  })

  test('is told when only one worker meets it, whichever reports first', async () => {
    for (let round = 0; round < 12; round++) {
      const engine = open({ threads: 2 })
      const outside = engine.register([call<'fill', number>('fill', [0xffff0000, 1], 1)])
      await expect(engine.run([outside], 1)).rejects.toThrow(/out of bounds/)
      await engine.close()
    }
  })

  test('a closed engine says that it is closed', async () => {
    const engine = open()
    const { program } = product(engine, 1)
    await engine.close()
    await expect(engine.run([program], 1)).rejects.toThrow('closed')
    await engine.close()
  })
})

describe('the process', () => {
  const source = fileURLToPath(new URL('../../src/kernels/engine.ts', import.meta.url))
  const tsx = import.meta.resolve('tsx')

  async function runScript(lines: string): Promise<string> {
    const script = `import { createEngine } from ${JSON.stringify(source)}\n${lines}`
    const options = { timeout: 15_000, env: { PATH: process.env['PATH'] } }
    const args = ['--import', tsx, '--input-type=module', '--eval', script]
    const { stdout } = await promisify(execFile)(process.execPath, args, options)
    return stdout
  }

  test('ends by itself with an engine open', async () => {
    const output = await runScript(`
      const engine = createEngine({ threads: 3, simd: 'baseline' })
      const address = engine.arena.allocate(64, 'sixteen numbers')
      await engine.run([engine.register([{ kernel: 'fill', args: [address, 7], units: 4, grain: 1 }])], 1)
      console.log(engine.floats(address, 16).join(' '))
    `)
    expect(output.trim()).toBe(Array.from({ length: 16 }, () => 7).join(' '))
  })

  test('waits for a run under way', async () => {
    const output = await runScript(`
      const engine = createEngine({ threads: 2, simd: 'baseline' })
      const address = engine.arena.allocate(1 << 24, 'numbers')
      const fill = { kernel: 'fill', args: [address, 1], units: 1 << 20, grain: 1024 }
      void engine.run([engine.register(Array.from({ length: 100 }, () => fill))], 1).then(() => console.log('done'))
    `)
    expect(output.trim()).toBe('done')
  })
})

describe('the relaxed build', () => {
  test.runIf(onNode20)('needs permission to set a flag on Node 20, and the flag is set back', async () => {
    expect(relaxedAvailable(false)).toBe(false)
    expect(() => loadKernels('relaxed', false)).toThrow(/allowV8Flags/)
    expect(() => createEngine({ simd: 'relaxed' })).toThrow(RegraftError)
    expect(open({ simd: 'auto' }).build).toBe('baseline')
    const engine = open({ simd: 'relaxed', allowV8Flags: true })
    expect(engine.build).toBe('relaxed')
    expect(relaxedAvailable(false)).toBe(false)
    const { program, result } = product(engine, 1)
    await engine.run([program], 1)
    expect(result().every(Number.isFinite)).toBe(true)
    expect(open({ simd: 'auto', allowV8Flags: true }).build).toBe('relaxed')
    expect(relaxedAvailable(false)).toBe(false)
  })

  test('differs from the baseline in rounding alone', async () => {
    const results = []
    for (const simd of ['baseline', 'relaxed'] as const) {
      const engine = open({ simd, allowV8Flags: true })
      const { program, result } = product(engine, 1)
      await engine.run([program], 1)
      results.push({ digest: engine.digest, values: result() })
    }
    const [baseline, relaxed] = results
    expect(baseline?.digest).not.toBe(relaxed?.digest)
    const largest = Math.max(
      ...(baseline?.values ?? []).map((value, i) => Math.abs(value - (relaxed?.values[i] ?? NaN))),
    )
    expect(largest).toBeGreaterThan(0)
    expect(largest).toBeLessThan(1e-4)
  })
})

describe("simd: '256'", () => {
  test('gives the bits and the digest of the relaxed build, and says what is in use', async () => {
    const results = []
    for (const simd of ['relaxed', '256'] as const) {
      const engine = open({ simd, allowV8Flags: true })
      const { program, result } = product(engine, 1)
      await engine.run([program], 1)
      results.push({ build: engine.build, digest: engine.digest, values: bits(result()) })
      expect(engine.vectorBits === 256).toBe(engine.simdNote?.startsWith('256-bit vectors: ') ?? false)
      expect(engine.simdNote === undefined).toBe(simd === 'relaxed')
    }
    expect(results[1]).toEqual(results[0])
  })

  test.runIf(Number(process.versions.v8.split('.')[0]) < 13)('is relaxed where V8 cannot fuse vectors', () => {
    const engine = open({ simd: '256', allowV8Flags: true })
    expect(engine).toMatchObject({ build: 'relaxed', vectorBits: 128 })
    expect(engine.simdNote).toMatch(/^128-bit vectors: Node 24 to 26 can/)
  })

  test.runIf(onNode20)('needs permission for the flag of relaxed SIMD', () => {
    expect(() => createEngine({ simd: '256' })).toThrow(/allowV8Flags/)
  })
})

describe('runs one after the other', () => {
  /** Adds one to every value twice, in two steps. */
  function counting(engine: Engine, values: number) {
    const [sum, ones] = ['sum', 'ones'].map((name) => engine.arena.allocate(values * 4, name))
    if (sum === undefined || ones === undefined) throw new Error('two addresses')
    engine.floats(sum, values).fill(0)
    engine.floats(ones, values).fill(1)
    const add = call<'add', number>('add', [sum, ones, sum, 0], values / 4)
    return { program: engine.register([add, add]), values: () => new Set(engine.floats(sum, values)) }
  }

  // More workers than cores: one of them comes late all the time. The engine once did a run twice then, after one without a step.
  test('do each step once, however late a worker comes, also after runs without a step', async () => {
    const engine = open({ threads: 5 })
    const { program, values } = counting(engine, 256)
    const nothing = engine.register([])
    const busy = Array.from({ length: 4 }, () => new Worker('for (;;) {}', { eval: true }))
    try {
      for (let round = 1; round <= 2000; round++) {
        await engine.run([nothing], 1)
        await engine.run([program], 1)
        expect(values(), `round ${round}`).toEqual(new Set([2 * round]))
      }
    } finally {
      await Promise.all(busy.map((worker) => worker.terminate()))
    }
  })

  // The main thread may be held up between ringing and waking, and workers that were awake have done all by then.
  test('are done once, however late the waking comes', async () => {
    const engine = open({ threads: 2 })
    const { program, values } = counting(engine, 256)
    const wake: (...given: Parameters<typeof Atomics.notify>) => number = Atomics.notify
    const late = vi.spyOn(Atomics, 'notify').mockImplementation((...given) => {
      setTimeout(() => wake(...given), 5)
      return wake(...given)
    })
    try {
      for (let round = 1; round <= 20; round++) {
        await engine.run([program], 1)
        await sleep(15)
        expect(values()).toEqual(new Set([2 * round]))
      }
    } finally {
      late.mockRestore()
    }
  })

  test('are not disturbed by one that was cancelled', async () => {
    const engine = open({ threads: 5 })
    const { program, values } = counting(engine, 256)
    const { program: long } = product(engine, 2000)
    for (let round = 1; round <= 15; round++) {
      const controller = new AbortController()
      const cancelled = engine.run([long], 1, controller.signal)
      await sleep(2)
      controller.abort()
      await expect(cancelled).rejects.toThrow()
      await engine.run([program], 1)
      expect(values()).toEqual(new Set([2 * round]))
    }
  })
})
