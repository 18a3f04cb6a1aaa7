// A plan with its memory: ready to run forward, and backward where it was planned for training.

import { formatBytes } from '../format-bytes.ts'
import type { Graph } from '../graph/graph.ts'
import { type Engine, MOST_DEFAULT_THREADS, type RegisteredProgram } from '../kernels/engine.ts'
import { type Call, call, type Step } from '../kernels/program.ts'
import { type Block, channelsOf, type Place, paddedChannels, pixelsOf } from '../ops/op.ts'
import type { HostTensor } from '../tensor/host-tensor.ts'
import { layOut } from './layout.ts'
import type { Loss } from './loss.ts'
import type { ParameterStore, PlannedParameters } from './parameters.ts'
import { makePlan, type PlanOptions } from './plan.ts'

export interface RunnerOptions extends PlanOptions {
  /** Largest batch. */
  readonly images: number
  /** Bytes that will be wanted beside it: a batch that is said to fit leaves room for them. */
  readonly besideBytes?: number
}

/**
 * Its regions of memory serve one purpose after the other: pictures and targets are written after `prepare` and anew before
 * each run, outputs and losses are read before the next run.
 */
export interface Runner {
  readonly graph: Graph
  readonly images: number
  /** What training makes small; absent in inference. */
  readonly loss: Loss | undefined
  /** Bytes of WebAssembly memory besides the parameters. */
  readonly bytes: number
  /** Folds and packs the weights that the plan regards as fixed; needed before the first run and whenever they changed. */
  prepare(signal?: AbortSignal): Promise<void>
  /** RGB bytes, pictures one after the other, at the place of picture `at`. */
  writeBytes(pixels: Uint8Array, at?: number): void
  /** Values without padding, channels last, pictures one after the other. */
  writeFloats(values: Float32Array, at?: number): void
  /**
   * Soft targets, [images, classes].
   * @param weights  how much each picture counts; 1 when left out, where the targets carry it
   */
  writeTargets(values: Float32Array, weights?: Float32Array): void
  /** Whether something is left out at random, so that each run needs keys. */
  readonly keyed: boolean
  /**
   * What decides what is left out.
   * @param pictures  two integers of 32 bits for each picture
   * @param step      two for the step, the same in all its parts
   */
  writeKeys(pictures: Uint32Array, step: Uint32Array): void
  /** Runs what was planned; `more` programs follow in the same run (an optimiser's step, say). */
  run(
    images: number,
    options?: { signal?: AbortSignal | undefined; more?: readonly RegisteredProgram[] },
  ): Promise<void>
  /** Copy of an output, [images, …shape] without padding. */
  read(layer: string, images: number): Float32Array
  /** Loss of each picture after a run in training. */
  losses(images: number): Float64Array
  /** Address of a parameter's gradient, in kernel layout; undefined when it is frozen. */
  gradientAddress(parameter: string): number | undefined
  /** The memory that holds all gradients, a multiple of four values. */
  gradientRegion(): { readonly address: number; readonly length: number }
  /** Gradient of a parameter in file layout. */
  gradient(parameter: string): HostTensor
  /** Sets all gradients to zero. */
  readonly zeroGradients: RegisteredProgram | undefined
  close(): void
}

/** Bytes that a runner would take besides the parameters, as a function of its largest batch; as if there were as many workers as can be by default. */
export function runnerBytes(
  graph: Graph,
  parameters: PlannedParameters,
  options: PlanOptions,
): (images: number) => number {
  const { lifetimes } = makePlan(graph, parameters, options)
  return (images) => layOut(lifetimes, images, MOST_DEFAULT_THREADS).totalBytes
}

/**
 * Lays out the memory of a plan and hands its programs to the engine.
 * @throws RegraftError 'memory' saying how much is needed and which batch size would fit
 */
export function createRunner(engine: Engine, graph: Graph, store: ParameterStore, options: RunnerOptions): Runner {
  const plan = makePlan(graph, store, options)
  const layout = layOut(plan.lifetimes, options.images, engine.threads)
  const base = engine.arena.allocate(
    layout.totalBytes,
    `${options.training ? 'Training' : 'Running'} with a batch of ${options.images}`,
    layout.totalBytes > engine.arena.roomBytes() ? memoryAdvice() : undefined,
  )
  const addresses = new Map<Block, number>([...layout.offsets].map(([block, offset]) => [block, base + offset]))
  for (const parameter of store.parameters) addresses.set(parameter.place.block, parameter.address)
  const addressOf = (place: Place): number => {
    const address = addresses.get(place.block)
    if (address === undefined) throw new Error(`block '${place.block.name}' has no place`)
    return address + place.offsetBytes
  }
  const resolveStep = ({ calls, pieces, strip }: Step<Place>): Step => ({
    calls: calls.map(resolve),
    ...(pieces ? { pieces } : {}),
    ...(strip ? { strip: { ...strip, place: addressOf(strip.place) } } : {}),
  })
  const resolve = ({ kernel, args, units, grain }: Call<Place>): Call => ({
    kernel,
    args: args.map((argument) =>
      typeof argument === 'object' && 'block' in argument ? addressOf(argument) : argument,
    ),
    units,
    grain,
  })

  for (const { block, values } of plan.tables) {
    const address = addressOf({ block, offsetBytes: 0 })
    if (values instanceof Int32Array) engine.integers(address, values.length).set(values)
    else engine.floats(address, values.length).set(values)
  }
  const prepareProgram = engine.register(plan.prepare.map(resolve))
  const mainProgram = engine.register(plan.main.map(resolveStep))
  const zeroGradients =
    plan.gradientFloats > 0
      ? engine.register([
          call<'fill', number>(
            'fill',
            [addressOf({ block: plan.gradientBlock, offsetBytes: 0 }), 0],
            plan.gradientFloats / 4,
            1024,
          ),
        ])
      : undefined
  const inputLayer = graph.layers.find((layer) => layer.op === 'imageInput' || layer.op === 'tensorInput')
  if (!inputLayer) throw new Error('the graph has no input')

  const keyed = plan.keys.pictures !== undefined || plan.keys.step !== undefined
  let keysWritten = false
  let closed = false
  return {
    graph,
    images: options.images,
    loss: plan.loss?.loss,
    bytes: layout.totalBytes,
    keyed,
    zeroGradients,
    prepare: (signal) => (plan.prepare.length > 0 ? engine.run([prepareProgram], 1, signal) : Promise.resolve()),
    writeBytes(pixels, at = 0) {
      const perImage = pixelsOf(inputLayer.shape) * 3
      engine.bytes(addressOf(plan.input) + at * perImage, pixels.length).set(pixels)
    },
    writeFloats(values, at = 0) {
      const channels = channelsOf(inputLayer.shape)
      const stride = paddedChannels(channels)
      const address = addressOf(plan.input) + at * pixelsOf(inputLayer.shape) * stride * 4
      pad(values, engine.floats(address, (values.length / channels) * stride), channels, stride)
    },
    writeTargets(values, weights) {
      if (!plan.loss) throw new Error('this runner was not planned for training')
      const { classes, targets, weights: place } = plan.loss
      const counts = engine.floats(addressOf(place), values.length / classes)
      if (weights) counts.set(weights)
      else counts.fill(1)
      const stride = paddedChannels(classes)
      pad(values, engine.floats(addressOf(targets), (values.length / classes) * stride), classes, stride)
    },
    writeKeys(pictures, step) {
      const write = (place: Place | undefined, values: Uint32Array) => {
        if (place) engine.integers(addressOf(place), values.length).set(values)
      }
      write(plan.keys.pictures, pictures)
      write(plan.keys.step, step)
      keysWritten = true
    },
    run(images, { signal, more = [] } = {}) {
      if (keyed && !keysWritten) throw new Error('this run leaves values out at random and was given no keys')
      keysWritten = false
      if (images > options.images) throw new Error(`a batch of ${images} is more than the ${options.images} planned`)
      return engine.run([mainProgram, ...more], images, signal)
    },
    read(layer, images) {
      const value = plan.outputs.get(layer)
      if (!value) throw new Error(`'${layer}' is not an output of this runner`)
      const channels = channelsOf(value.shape)
      const stride = paddedChannels(channels)
      const rows = pixelsOf(value.shape) * images
      return unpad(engine.floats(addressOf(value.place), rows * stride), rows, channels, stride)
    },
    losses(images) {
      if (!plan.loss) throw new Error('this runner was not planned for training')
      return Float64Array.from(engine.floats(addressOf(plan.loss.losses), images))
    },
    gradientAddress(parameter) {
      const place = plan.gradients.get(parameter)
      return place ? addressOf(place) : undefined
    },
    gradientRegion: () => ({
      address: addressOf({ block: plan.gradientBlock, offsetBytes: 0 }),
      length: plan.gradientFloats,
    }),
    gradient(parameter) {
      const place = plan.gradients.get(parameter)
      if (!place) throw new Error(`parameter '${parameter}' is frozen: it has no gradient`)
      return store.readAs(parameter, engine.floats(addressOf(place), store.get(parameter).length))
    },
    close() {
      if (closed) return
      closed = true
      engine.forget(prepareProgram)
      engine.forget(mainProgram)
      if (zeroGradients) engine.forget(zeroGradients)
      engine.arena.free(base)
    },
  }

  function memoryAdvice(): string {
    const room = engine.arena.roomBytes() - (options.besideBytes ?? 0)
    const bytesFor = (images: number): number => layOut(plan.lifetimes, images, engine.threads).totalBytes
    // Between a batch that fits and one that does not.
    let fits = 0
    let tooMany = options.images
    while (tooMany - fits > 1) {
      const middle = Math.floor((fits + tooMany) / 2)
      if (bytesFor(middle) <= room) fits = middle
      else tooMany = middle
    }
    return fits > 0
      ? `A batch of ${fits} would fit: lower --batch-size to ${fits}, or freeze more layers, or raise --max-memory.`
      : `Even one picture needs ${formatBytes(bytesFor(1))} up to '${graph.output}': lower --img-size, freeze more layers, or raise --max-memory.`
  }
}

/** Spreads rows of `channels` values over rows of `stride`, zeros behind. */
function pad(values: Float32Array, target: Float32Array, channels: number, stride: number): void {
  if (channels === stride) {
    target.set(values)
    return
  }
  target.fill(0)
  for (let row = 0, at = 0; at < values.length; row++, at += channels)
    target.set(values.subarray(at, at + channels), row * stride)
}

function unpad(values: Float32Array, rows: number, channels: number, stride: number): Float32Array {
  if (channels === stride) return values.slice()
  const result = new Float32Array(rows * channels)
  for (let row = 0; row < rows; row++)
    result.set(values.subarray(row * stride, row * stride + channels), row * channels)
  return result
}
