// What the folder of a run comes to, and how long writing it will take.
import * as path from 'node:path'
import { RegraftError } from '../../errors.ts'
import { appendLines } from '../../files/append-lines.ts'
import { withScratchFolder } from '../../files/scratch-folder.ts'
import { freezeExcept } from '../../graph/freeze.ts'
import { parameterName, parametersOf } from '../../graph/graph.ts'
import { graphOf } from '../../model/model.ts'
import { updaterBytes } from '../../optim/updater.ts'
import type { HostTensor } from '../../tensor/host-tensor.ts'
import { elementCount } from '../../tensor/shape.ts'
import { writeCheckpoint } from '../../train/checkpoint.ts'
import { nothingDone } from '../../train/progress.ts'
import { writeHistory } from '../run-folder.ts'
import { isSolved } from '../train-defaults.ts'
import type { Work } from '../train-work.ts'
import { batchStatistics, trainableLayers, trainableParameters } from '../trainable.ts'
import { timed } from './trial.ts'

/** Bytes of the files of a run. */
export interface RunBytes {
  /** The whole model, as `best/` holds it. */
  readonly model: number
  /** Weights and statistics that training changes; 0 where a head is solved and no checkpoint written. */
  readonly changing: number
  readonly optimiser: number
}

export function runBytes({ config, model }: Pick<Work, 'config' | 'model'>): RunBytes {
  const plain = graphOf(model)
  const all = plain.layers.flatMap((layer) =>
    parametersOf(layer).map((spec) => ({
      layer,
      spec,
      values: elementCount(spec.shape),
      name: parameterName(layer, spec),
    })),
  )
  const bytesOf = (chosen: typeof all) => chosen.reduce((total, { values }) => total + 4 * values, 0)
  if (isSolved(config)) return { model: bytesOf(all), changing: 0, optimiser: 0 }
  const tuned = config.mode === 'finetune'
  const graph = freezeExcept(
    plain,
    trainableLayers(plain, tuned ? config : { ...config, unfreeze: 'head', freeze: null }),
  )
  const trainable = trainableParameters(graph, config.bnAffine)
  const statistics = tuned ? batchStatistics(graph, config.bn) : new Set<string>()
  const training = all.filter(({ name }) => trainable.has(name))
  const changing = all.filter(
    ({ name, layer, spec }) => trainable.has(name) || (spec.kind === 'statistic' && statistics.has(layer.name)),
  )
  const values = training.reduce((total, each) => total + each.values, 0)
  return {
    model: bytesOf(all),
    changing: bytesOf(changing),
    optimiser: updaterBytes(
      { optimiser: config.opt, settings: { momentum: config.momentum } },
      values,
      training.length,
    ),
  }
}

/** All of the run, with what is there for a moment while a checkpoint or the best model is replaced. */
export function diskBytesOf({ config }: Pick<Work, 'config'>, { model, changing, optimiser }: RunBytes): number {
  if (changing === 0) return 2 * model
  return 2 * model + (config.keepCheckpoints + 2) * ((config.ema === null ? 2 : 3) * changing + optimiser)
}

/**
 * Seconds that what follows an epoch and one model take to be written, by writing some of that size beside the run.
 * @returns zeros where the disk does not allow it: the training itself will say so
 */
export async function secondsOfWriting(
  { out, config }: Work,
  { model, changing, optimiser }: RunBytes,
): Promise<{ readonly epoch: number; readonly model: number }> {
  const averaged = config.ema === null ? 0 : changing
  const state = (weights: number, more: number) => ({
    progress: nothingDone,
    origin: {},
    weights: blank(weights),
    counters: new Map(),
    optimiser: blank(more),
    best: blank(more === 0 ? 0 : weights),
    bestCounters: new Map(),
  })
  try {
    return await withScratchFolder(out, async (folder) => {
      const epoch = async () => {
        await writeHistory(folder, [])
        await appendLines(path.join(folder, 'events.jsonl'), ['{}'])
        await writeCheckpoint(folder, state(changing, optimiser + averaged), 1)
      }
      if (changing === 0)
        return { epoch: 0, model: (await timed(() => writeCheckpoint(folder, state(model, 0), 1))).seconds }
      // The second replaces the first, as it will be.
      const two = await timed(async () => {
        await epoch()
        await epoch()
      })
      return { epoch: two.seconds / 2, model: (await timed(() => writeCheckpoint(folder, state(model, 0), 1))).seconds }
    })
  } catch (error) {
    if (error instanceof RegraftError && error.code !== 'interrupted') return { epoch: 0, model: 0 }
    throw error
  }
}

function blank(bytes: number): ReadonlyMap<string, HostTensor> {
  const data = new Float32Array(Math.ceil(bytes / 4))
  return new Map(bytes === 0 ? [] : [['values', { shape: [data.length], data }]])
}
