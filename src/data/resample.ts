import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { MessageChannel, Worker } from 'node:worker_threads'
import { RegraftError } from '../errors.ts'
import { addressSpaceError, checkAddressSpace } from '../kernels/address-space.ts'
import { pixelWorkerSource } from './pixel-worker-source.ts'
import type { Box, Pixels } from './pixels.ts'
import { type Interpolation, interpolations } from './preprocessing.ts'

/** What `resample` makes of a picture. */
export interface ResampleTarget {
  /** Size of the whole picture after resizing. */
  readonly width: number
  readonly height: number
  /** The part of it that is wanted. */
  readonly window: Box
  readonly interpolation: Interpolation
  /** The window mirrored left to right. */
  readonly mirrored?: boolean
}

/**
 * A picture as resized with the arithmetic of Pillow: rows first, then columns, each rounded to 8 bits, weights of 22 bits, wider
 * filters when shrinking. Only the window is computed, in a worker; a picture of the right size comes out as it is.
 * @param picture  rows of RGB, or of CMYK where a larger byte is more ink
 * @returns        u8[window.height, window.width, 3]
 * @throws RegraftError 'memory'
 * @see Pillow, src/libImaging/Resample.c
 */
export async function resample(picture: Pixels, target: ResampleTarget): Promise<Uint8Array> {
  pool ??= openPool()
  const worker = await pool.take()
  try {
    return await pool.resize(worker, picture, target)
  } finally {
    pool.give(worker)
  }
}

const STRIP_BYTES = 4 * 2 ** 20
/** Behind a strip, because kernels read vectors. */
const STRIP_PLACE = STRIP_BYTES + 65_536
/** The kernels' constants lie in the first page. */
const FIRST_STRIP = 65_536
/** Resizing is a small part of decoding: half as many workers as cores keep up with all of them. */
const MAX_WORKERS = 8

interface PixelWorker {
  /** Where its strip begins in the memory. */
  readonly strip: number
  /** Sends a message and waits for the answer. */
  ask(message: object): Promise<Answer>
  /** Whether it has died. */
  failed(): boolean
}

/** The picture when it is finished, else the next row that is wanted. */
type Answer =
  | { readonly bytes: Uint8Array; readonly next?: undefined }
  | { readonly bytes?: undefined; readonly next: number }

interface Pool {
  take(): Promise<PixelWorker>
  give(worker: PixelWorker): void
  resize(worker: PixelWorker, picture: Pixels, target: ResampleTarget): Promise<Uint8Array>
}

let pool: Pool | undefined

function openPool(): Pool {
  const limit = Math.max(1, Math.min(MAX_WORKERS, Math.ceil(availableParallelism() / 2)))
  const module = new WebAssembly.Module(compiledPixels())
  const memory = sharedMemory(FIRST_STRIP + limit * STRIP_PLACE)
  const idle: PixelWorker[] = []
  const waiting: ((worker: PixelWorker) => void)[] = []
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
      const worker = given.failed() ? startWorker(module, memory, given.strip) : given
      const next = waiting.shift()
      if (next === undefined) idle.push(worker)
      else next(worker)
    },
    async resize(worker, { bytes, width, height, channels }, target) {
      const rowBytes = width * channels
      const rowsAtOnce = Math.floor(STRIP_BYTES / rowBytes)
      if (rowsAtOnce < 1) throw new RangeError(`A row of ${rowBytes} bytes is too long.`)
      const begin = {
        picture: { width, height, channels },
        target: { width: target.width, height: target.height },
        window: target.window,
        filter: interpolations.indexOf(target.interpolation),
        mirrored: target.mirrored ?? false,
      }
      const place = new Uint8Array(memory.buffer, worker.strip, STRIP_BYTES)
      for (let from = 0; ; ) {
        const count = Math.min(rowsAtOnce, height - from)
        place.set(bytes.subarray(from * rowBytes, (from + count) * rowBytes))
        const message = { rows: { from, count }, ...(from === 0 ? { begin } : {}) }
        const answer = await worker.ask(message)
        if (answer.bytes !== undefined) return answer.bytes
        from = answer.next
      }
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
function startWorker(module: object, memory: WebAssembly.Memory, strip: number): PixelWorker {
  checkAddressSpace(1)
  const { port1: port, port2 } = new MessageChannel()
  const worker = new Worker(pixelWorkerSource, {
    eval: true,
    // The loaders of the parent (tsx, say) have no business in a worker that loads nothing.
    execArgv: [],
    env: {},
    workerData: { module, memory, port: port2, strip },
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
      new RegraftError('memory', `A worker that resizes pictures could not start or died: ${cause.message}`, { cause }),
    ),
  )
  worker.on('exit', () => fail(new RegraftError('memory', 'A worker that resizes pictures ended unexpectedly.')))
  port.on('message', (message: Answer | { readonly error: string }) => {
    settle((waiting) => {
      if ('error' in message)
        waiting.reject(new RegraftError('memory', `A picture could not be resized: ${message.error}.`))
      else waiting.resolve(message)
    })
  })
  return {
    strip,
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
