// Workers that compute with pixels, so that the main thread does not: a few for the process, each with memory of its own.
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { MessageChannel, Worker } from 'node:worker_threads'
import { RegraftError } from '../errors.ts'
import { addressSpaceError, checkAddressSpace } from '../kernels/address-space.ts'
import { pixelWorkerSource } from './pixel-worker-source.ts'

/** Rows of a picture come to a worker through so many bytes. */
export const STRIP_BYTES = 4 * 2 ** 20
/** Behind a strip, because kernels read vectors. */
const STRIP_PLACE = STRIP_BYTES + 65_536
/** The kernels' constants lie in the first page. */
const FIRST_STRIP = 65_536
/** This is a small part of decoding: half as many workers as cores keep up with all of them. */
const MAX_WORKERS = 8

export interface PixelWorker {
  /** u8[STRIP_BYTES], shared with it. */
  readonly strip: Uint8Array
  /** Sends a message and waits for the answer. @throws RegraftError 'memory' */
  ask(message: object): Promise<Answer>
}

/** The picture when it is finished, else the next row that is wanted. */
export type Answer =
  | { readonly bytes: Uint8Array; readonly next?: undefined }
  | { readonly bytes?: undefined; readonly next: number }

/** Waits for a worker, and has it to itself while it works. */
export async function withPixelWorker<T>(work: (worker: PixelWorker) => Promise<T>): Promise<T> {
  pool ??= openPool()
  const worker = await pool.take()
  try {
    return await work(worker)
  } finally {
    pool.give(worker)
  }
}

interface PoolWorker extends PixelWorker {
  readonly place: number
  /** Whether it has died. */
  failed(): boolean
}

interface Pool {
  take(): Promise<PoolWorker>
  give(worker: PoolWorker): void
}

let pool: Pool | undefined

function openPool(): Pool {
  const limit = Math.max(1, Math.min(MAX_WORKERS, Math.ceil(availableParallelism() / 2)))
  const module = new WebAssembly.Module(compiledPixels())
  const memory = sharedMemory(FIRST_STRIP + limit * STRIP_PLACE)
  const idle: PoolWorker[] = []
  const waiting: ((worker: PoolWorker) => void)[] = []
  let started = 0

  return {
    take() {
      const ready = idle.pop()
      if (ready !== undefined) return Promise.resolve(ready)
      if (started < limit) return Promise.resolve(startWorker(module, memory, FIRST_STRIP + started++ * STRIP_PLACE))
      return new Promise((resolve) => waiting.push(resolve))
    },
    give(given) {
      // The next picture has not deserved the end of this one.
      const worker = given.failed() ? startWorker(module, memory, given.place) : given
      const next = waiting.shift()
      if (next === undefined) idle.push(worker)
      else next(worker)
    },
  }
}

function compiledPixels(): Buffer<ArrayBuffer> {
  const url = new URL('../../wasm/pixels.wasm', import.meta.url)
  try {
    return readFileSync(url)
  } catch (cause) {
    throw new RegraftError(
      'usage',
      `The compiled kernels are missing (${url.pathname}). Build them: npm run build:kernels`,
      { cause },
    )
  }
}

function sharedMemory(bytes: number): WebAssembly.Memory {
  try {
    return new WebAssembly.Memory({ initial: bytes / 65_536, maximum: 65_536, shared: true })
  } catch (cause) {
    throw addressSpaceError(cause)
  }
}

/** A worker that keeps the process alive only while it is asked something. */
function startWorker(module: object, memory: WebAssembly.Memory, place: number): PoolWorker {
  checkAddressSpace(1)
  const { port1: port, port2 } = new MessageChannel()
  const worker = new Worker(pixelWorkerSource, {
    eval: true,
    // The loaders of the parent (tsx, say) have no business in a worker that loads nothing.
    execArgv: [],
    env: {},
    workerData: { module, memory, port: port2, strip: place },
    transferList: [port2],
  })
  worker.unref()
  port.unref()
  let failure: Error | undefined
  let pending: { resolve(answer: Answer): void; reject(error: Error): void } | undefined
  const settle = (use: (waiting: NonNullable<typeof pending>) => void) => {
    const waiting = pending
    pending = undefined
    worker.unref()
    port.unref()
    if (waiting) use(waiting)
  }
  const fail = (error: Error) => {
    failure ??= error
    settle((waiting) => waiting.reject(error))
  }
  worker.on('error', (cause) =>
    fail(
      new RegraftError('memory', `A worker that computes with pixels could not start or died: ${cause.message}`, {
        cause,
      }),
    ),
  )
  worker.on('exit', () => fail(new RegraftError('memory', 'A worker that computes with pixels ended unexpectedly.')))
  port.on('message', (message: Answer | { readonly error: string }) => {
    settle((waiting) => {
      if ('error' in message)
        waiting.reject(new RegraftError('memory', `The pixels of a picture could not be computed: ${message.error}.`))
      else waiting.resolve(message)
    })
  })
  return {
    place,
    // What else lives in the memory grows behind it; the strip stays where it is.
    strip: new Uint8Array(memory.buffer, place, STRIP_BYTES),
    failed: () => failure !== undefined,
    ask(message) {
      if (failure) return Promise.reject(failure)
      return new Promise((resolve, reject) => {
        pending = { resolve, reject }
        worker.ref()
        port.ref()
        port.postMessage(message)
      })
    },
  }
}
