// What happens inside a network while it trains: how much steps change its weights, how gradients and activations are spread. It looks at a
// few steps of each epoch and changes nothing.
import * as path from 'node:path'
import { breathing } from '../../breath.ts'
import { RegraftError } from '../../errors.ts'
import { appendLines } from '../../files/append-lines.ts'
import { createFolder, pathFacts } from '../../files/folder.ts'
import type { Layer } from '../../graph/graph.ts'
import type { Engine } from '../../kernels/engine.ts'
import { channelsOf } from '../../ops/op.ts'
import type { Parameter, ParameterStore } from '../../runtime/parameters.ts'
import { createRunner, type Runner } from '../../runtime/runner.ts'
import type { StepObserver } from '../../train/observer.ts'
import type { TrainingBatch } from '../../train/step.ts'
import { deadChannels, statisticsOf, type ValueStatistics } from '../../train/value-statistics.ts'
import { csvNumber, csvText } from '../../vectors/csv.ts'
import type { Monitoring } from '../options.ts'

export interface MonitorOptions {
  readonly engine: Engine
  readonly level: Exclude<Monitoring, 'off'>
  /** Folder of the run. */
  readonly out: string
  readonly runner: Runner
  readonly store: ParameterStore
  readonly stepsPerEpoch: number
  /** A batch of training pictures, for activations. */
  readonly batch: () => Promise<TrainingBatch | undefined>
  readonly note: (message: string) => void
  /** Hears of a spread of values, for whoever else keeps them. */
  readonly onSpread?: ((spread: Spread) => void) | undefined
}

/** A line of `monitor/histograms.jsonl`. */
export interface Spread extends ValueStatistics {
  readonly epoch: number
  readonly stepsDone: number
  readonly kind: 'gradient' | 'activation'
  /** A parameter, or a layer. */
  readonly name: string
  /** Of an activation: its channels, and how many of them were zero for all pictures. */
  readonly channels?: number
  readonly dead?: number
  /** Share of values at the bound of an activation that has one. */
  readonly saturated?: number
}

export interface Monitor extends StepObserver {
  /** Writes down what was seen since the last time. */
  flush(): Promise<void>
  close(): void
}

/** Steps watched in an epoch, at most, and steps between two of them, at least: so that watching costs next to nothing. */
const MOST_WATCHED = 4
const LEAST_BETWEEN = 10
const PROBE_PICTURES = 8
/** Between two writes: syncing costs more than a step of a head. */
const WRITE_EVERY_MS = 5000

export const updatesHeader = 'epoch,step,steps_done,parameter,kind,weight_norm,gradient_norm,update_norm,ratio'

export async function createMonitor(options: MonitorOptions): Promise<Monitor> {
  const { engine, runner, store, level, stepsPerEpoch } = options
  const trained = store.parameters.filter(({ name }) => runner.gradientAddress(name) !== undefined)
  const every = Math.max(LEAST_BETWEEN, Math.ceil(stepsPerEpoch / MOST_WATCHED))
  const folder = path.join(options.out, 'monitor')
  await createFolder(folder)
  const updates = path.join(folder, 'updates.csv')
  if ((await pathFacts(updates)) === undefined) await appendLines(updates, [updatesHeader])
  const probe = level === 'full' ? await openProbe(options) : undefined
  let before: readonly { readonly weights: Float32Array; readonly gradientNorm: number }[] = []
  let spreads: Omit<Spread, 'epoch' | 'stepsDone'>[] = []
  let spreadEpoch = 0
  let watched = { epoch: 0, step: 0 }
  let rows: string[] = []
  let lines: string[] = []
  let writtenAt = performance.now()
  const flush = async () => {
    const [newRows, newLines] = [rows, lines]
    rows = []
    lines = []
    writtenAt = performance.now()
    await appendLines(updates, newRows)
    await appendLines(path.join(folder, 'histograms.jsonl'), newLines)
  }

  return {
    wants(epoch, step) {
      watched = { epoch, step }
      return (step - 1) % every === 0
    },
    async before() {
      const breath = breathing()
      const seen: { weights: Float32Array; gradientNorm: number }[] = []
      const wantsSpread = level === 'full' && spreadEpoch !== watched.epoch
      spreads = []
      for (const parameter of trained) {
        const { address, length, name } = parameter
        const gradient = engine.floats(runner.gradientAddress(name) ?? 0, length)
        seen.push({ weights: engine.floats(address, length).slice(), gradientNorm: normOf(gradient) })
        if (wantsSpread) {
          const statistics = statisticsOf(runner.gradient(name).data)
          if (statistics) spreads.push({ kind: 'gradient', name, ...statistics })
        }
        if (breath.due()) await breath.pause()
      }
      before = seen
    },
    async after({ epoch, step, stepsDone }) {
      const breath = breathing()
      for (const [index, parameter] of trained.entries()) {
        const known = before[index]
        if (known === undefined) continue
        rows.push(rowOf(engine, parameter, known, [epoch, step, stepsDone]))
        if (breath.due()) await breath.pause()
      }
      before = []
      if (level === 'full' && spreadEpoch !== epoch) await describeSpreads(epoch, stepsDone)
      if (performance.now() - writtenAt > WRITE_EVERY_MS) await flush()
    },
    flush,
    close: () => probe?.close(),
  }

  async function describeSpreads(epoch: number, stepsDone: number): Promise<void> {
    spreadEpoch = epoch
    if (probe) spreads.push(...(await probe.look()))
    const all = spreads.map((spread) => ({ epoch, stepsDone, ...spread }))
    spreads = []
    for (const spread of all) options.onSpread?.(spread)
    lines.push(...all.map((spread) => JSON.stringify(spread)))
  }
}

function rowOf(
  engine: Engine,
  { name, spec, address, length }: Parameter,
  before: { readonly weights: Float32Array; readonly gradientNorm: number },
  place: readonly number[],
): string {
  let weights = 0
  let change = 0
  const now = engine.floats(address, length)
  for (let at = 0; at < length; at++) {
    const then = before.weights[at] ?? 0
    const moved = (now[at] ?? 0) - then
    weights += then * then
    change += moved * moved
  }
  const ratio = weights > 0 ? Math.sqrt(change / weights) : Number.NaN
  const numbers = [Math.sqrt(weights), before.gradientNorm, Math.sqrt(change), ratio]
  return [...place, csvText(name), spec.kind, ...numbers.map(csvNumber)].join(',')
}

function normOf(values: Float32Array): number {
  let squares = 0
  for (const value of values) squares += value * value
  return Math.sqrt(squares)
}

/** A network of its own over the same weights, from which the activations of a few pictures can be read. */
async function openProbe({ engine, runner, store, batch, note }: MonitorOptions) {
  const { graph } = runner
  const layers = graph.layers.filter((layer) => activationOf(layer) !== undefined)
  const pictures = await batch()
  if (pictures === undefined || layers.length === 0) return undefined
  const count = Math.min(PROBE_PICTURES, pictures.labels.length)
  const images = { images: count, outputs: layers.map(({ name }) => name) }
  const input = graph.layers.some(({ op }) => op === 'imageInput') ? 'bytes' : 'floats'
  let watching: Runner
  try {
    watching = createRunner(engine, graph, store, { ...images, input })
  } catch (error) {
    if (!(error instanceof RegraftError) || error.code !== 'memory') throw error
    note('Activations are not watched: --max-memory has no room for all of them.')
    return undefined
  }
  return {
    async look(): Promise<readonly Omit<Spread, 'epoch' | 'stepsDone'>[]> {
      const breath = breathing()
      // Weights have changed since the last look.
      await watching.prepare()
      pictures.write(watching, count)
      await watching.run(count)
      const spreads: Omit<Spread, 'epoch' | 'stepsDone'>[] = []
      for (const layer of layers) {
        const values = watching.read(layer.name, count)
        const channels = channelsOf(layer.shape)
        const statistics = statisticsOf(values)
        if (statistics)
          spreads.push({
            kind: 'activation',
            name: layer.name,
            channels,
            dead: deadChannels(values, channels),
            saturated: saturatedShare(activationOf(layer) ?? '', values),
            ...statistics,
          })
        if (breath.due()) await breath.pause()
      }
      return spreads
    },
    close: () => watching.close(),
  }
}

/** The activation that a layer ends with; undefined when it has none. */
function activationOf(layer: Layer): string | undefined {
  switch (layer.op) {
    case 'activation':
      return layer.attrs.kind
    case 'batchNorm':
    case 'add':
      return layer.attrs.activation === 'none' ? undefined : layer.attrs.activation
    case 'prelu':
    case 'maxout':
      return layer.op
    default:
      return undefined
  }
}

/** Where an activation has hardly a slope any more, besides its zeros. */
function saturatedShare(kind: string, values: Float32Array): number {
  const [low, high] =
    kind === 'relu6'
      ? [Number.NEGATIVE_INFINITY, 6]
      : kind === 'sigmoid' || kind === 'hard-sigmoid'
        ? [0.01, 0.99]
        : kind === 'tanh' || kind === 'hard-tanh'
          ? [-0.99, 0.99]
          : [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]
  let at = 0
  for (const value of values) if (value <= low || value >= high) at++
  return at / values.length
}
