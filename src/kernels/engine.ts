// The narrow door to the kernels: one memory, a few workers that compute, and a main thread that only feeds, listens and reports.
import { availableParallelism } from 'node:os'
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads'
import { RegraftError } from '../errors.ts'
import { checkAddressSpace } from './address-space.ts'
import { type Arena, createArena, MAX_MEMORY_BYTES } from './arena.ts'
import { type KernelBuild, loadKernels, type Simd } from './load.ts'
import { type Call, SCRATCH_BYTES, type Step } from './program.ts'
import { loadNarrow, widest } from './wide.ts'
import { CONTROL, workerSource } from './worker-source.ts'

/** What `createEngine` takes. */
export interface EngineOptions {
  /** Computing workers; default: the cores this process may use, at most 8. Results do not depend on it. */
  readonly threads?: number
  /**
   * Which build of the kernels; 'auto' takes relaxed SIMD where the host has it. '256' is the relaxed build in 256-bit registers where
   * V8 can be made to use them (Node 24 to 26 on x64 with `allowV8Flags`, experimental), else the relaxed build as it is; it takes
   * some 150 ms to prove that it gives the same bits and is faster.
   */
  readonly simd?: Simd
  /** Upper limit of the WebAssembly memory in bytes, at most 4 GiB. */
  readonly maxMemoryBytes?: number
  /**
   * Node 20 needs a V8 flag for relaxed SIMD, and '256' needs some everywhere, set for the moment of compiling. They concern the whole
   * process, so they must be asked for.
   */
  readonly allowV8Flags?: boolean
}

/** A program that all workers know. */
export interface RegisteredProgram {
  readonly id: number
}

export interface Engine {
  readonly build: KernelBuild
  /** Digest of the compiled kernels. */
  readonly digest: string
  /** Width of the registers that the kernels use. Results do not depend on it. */
  readonly vectorBits: 128 | 256
  /** Asked for '256': whether it is in use, and why. */
  readonly simdNote: string | undefined
  readonly threads: number
  readonly arena: Arena
  /** A fresh view of f32 values; take it anew after anything was allocated. */
  floats(address: number, length: number): Float32Array<ArrayBufferLike>
  bytes(address: number, length: number): Uint8Array<ArrayBufferLike>
  doubles(address: number, length: number): Float64Array<ArrayBufferLike>
  integers(address: number, length: number): Int32Array<ArrayBufferLike>
  /** A call alone is a step of its own. */
  register(steps: readonly (Call | Step)[]): RegisteredProgram
  forget(program: RegisteredProgram): void
  /**
   * Runs programs one after the other on a batch of `images`, without blocking this thread. Runs are queued.
   * @throws the signal's reason when it aborts: the workers stop between two kernels
   */
  run(programs: readonly RegisteredProgram[], images: number, signal?: AbortSignal): Promise<void>
  /** Ends the workers. Runs under way are awaited. */
  close(): Promise<void>
}

/** Address after the kernels' static data; they keep next to none, and 64 KiB is a page. */
const FIRST_FREE = 65_536
// About 20 µs of looking at the barrier before going to sleep; none when workers outnumber cores, where looking only steals time.
const SPINS = 4000
const MAX_THREADS = 64
export const MOST_DEFAULT_THREADS = 8

export function defaultThreads(): number {
  return Math.max(1, Math.min(MOST_DEFAULT_THREADS, availableParallelism()))
}

/**
 * Bytes that work may plan with under a limit of memory: what the limit leaves beside the scratch memory of as many workers as there
 * are at most by default. What is decided by it does not depend on how many there are.
 */
export function plannableBytes(limitBytes: number): number {
  return limitBytes - FIRST_FREE - MOST_DEFAULT_THREADS * SCRATCH_BYTES
}

/** Starts an engine. Its workers are unref'ed: they never keep the process alive. */
export function createEngine(options: EngineOptions = {}): Engine {
  const threads = options.threads ?? defaultThreads()
  if (!Number.isInteger(threads) || threads < 1 || threads > MAX_THREADS) {
    throw new RegraftError('usage', `--threads must be a whole number from 1 to ${MAX_THREADS}, not ${threads}.`)
  }
  const { simd = 'auto', allowV8Flags = false } = options
  const narrow = simd === '256' ? loadNarrow(allowV8Flags) : loadKernels(simd, allowV8Flags)
  checkAddressSpace(threads)
  const arena = createArena(options.maxMemoryBytes ?? MAX_MEMORY_BYTES, FIRST_FREE)
  const kernels = simd === '256' ? widest(narrow, arena, allowV8Flags) : { ...narrow, simdNote: undefined }
  const control = new Int32Array(new SharedArrayBuffer(CONTROL.words * 4))
  const spins = threads > availableParallelism() ? 0 : SPINS

  let nextProgram = 1
  let queue: Promise<unknown> = Promise.resolve()
  /** Programs without a step. */
  const empty = new Set<number>()
  let failure: Error | undefined
  let pending: { resolve: () => void; reject: (error: Error) => void } | undefined
  let closed = false

  function fail(error: Error): void {
    failure ??= error
    const waiting = pending
    pending = undefined
    waiting?.reject(failure)
  }

  const ports: MessagePort[] = []
  const workers: Worker[] = []
  for (let index = 0; index < threads; index++) {
    const { port1, port2 } = new MessageChannel()
    const scratch = arena.allocate(
      SCRATCH_BYTES,
      'The scratch memory of the computing workers',
      'Raise --max-memory or lower --threads.',
    )
    const worker = new Worker(workerSource, {
      eval: true,
      // The loaders of the parent (tsx, say) have no business in a worker that loads nothing.
      execArgv: [],
      env: {},
      workerData: {
        module: kernels.module,
        memory: arena.memory,
        control,
        port: port2,
        index,
        count: threads,
        scratch,
        spins,
        words: CONTROL,
      },
      transferList: [port2],
    })
    worker.unref()
    worker.on('error', (error) =>
      fail(
        new RegraftError('memory', `A computing worker could not start or died: ${error.message}`, { cause: error }),
      ),
    )
    worker.on('exit', () => {
      if (!closed) fail(new Error('A computing worker ended unexpectedly.'))
    })
    port1.on('message', (message: { error?: string; done?: number }) => {
      if (message.error !== undefined) return fail(new Error(`A kernel failed: ${message.error}`))
      // The lead worker ended its walk because another one failed: that one's message is on its way.
      if (Atomics.load(control, CONTROL.failed) === 1) return
      const waiting = pending
      pending = undefined
      waiting?.resolve()
    })
    port1.unref()
    ports.push(port1)
    workers.push(worker)
  }
  const lead = ports[0]
  const leadWorker = workers[0]
  if (lead === undefined || leadWorker === undefined) throw new Error('an engine has at least one worker')

  async function runNow(given: readonly RegisteredProgram[], images: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    if (failure) throw failure
    // Workers meet in the steps of a program alone. Without any, the first could be done before another one has read what to do, which
    // would then read what the next run does, and do that twice.
    const programs = given.filter(({ id }) => !empty.has(id))
    if (programs.length === 0) return
    if (programs.length > CONTROL.maxPrograms) throw new Error(`at most ${CONTROL.maxPrograms} programs in one run`)
    const cancel = () => Atomics.store(control, CONTROL.cancel, 1)
    Atomics.store(control, CONTROL.cancel, 0)
    Atomics.store(control, CONTROL.images, images)
    Atomics.store(control, CONTROL.programs, programs.length)
    for (const [at, program] of programs.entries()) Atomics.store(control, CONTROL.firstProgram + at, program.id)
    const finished = new Promise<void>((resolve, reject) => {
      pending = { resolve, reject }
    })
    signal?.addEventListener('abort', cancel, { once: true })
    lead?.ref()
    leadWorker?.ref()
    const run = Atomics.add(control, CONTROL.bell, 1) + 1
    Atomics.notify(control, CONTROL.bell)
    try {
      await finished
    } finally {
      lead?.unref()
      leadWorker?.unref()
      signal?.removeEventListener('abort', cancel)
    }
    if (Atomics.load(control, CONTROL.stop) === run) signal?.throwIfAborted()
  }

  return {
    build: kernels.build,
    digest: kernels.digest,
    vectorBits: kernels.vectorBits,
    simdNote: kernels.simdNote,
    threads,
    arena,
    floats: (address, length) => new Float32Array(arena.memory.buffer, address, length),
    bytes: (address, length) => new Uint8Array(arena.memory.buffer, address, length),
    doubles: (address, length) => new Float64Array(arena.memory.buffer, address, length),
    integers: (address, length) => new Int32Array(arena.memory.buffer, address, length),
    register(steps) {
      const id = nextProgram++
      if (steps.length === 0) empty.add(id)
      for (const port of ports) port.postMessage({ id, steps })
      return { id }
    },
    forget(program) {
      empty.delete(program.id)
      if (!closed) for (const port of ports) port.postMessage({ id: program.id, forget: true })
    },
    run(programs, images, signal) {
      if (closed) return Promise.reject(new Error('The engine is closed.'))
      const turn = queue.then(() => runNow(programs, images, signal))
      queue = turn.catch(() => undefined)
      return turn
    },
    async close() {
      if (closed) return
      await queue
      closed = true
      Atomics.store(control, CONTROL.quit, 1)
      Atomics.add(control, CONTROL.bell, 1)
      Atomics.notify(control, CONTROL.bell)
      await Promise.all(workers.map((worker) => worker.terminate()))
      for (const port of ports) port.close()
    },
  }
}
