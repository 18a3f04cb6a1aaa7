// The verbs as the library gives them: the engine is optional, and one is made when the first verb needs it.
import { createEngine, type Engine } from '../kernels/engine.ts'
import * as embedding from './embed.ts'
import * as evaluation from './evaluate.ts'
import type {
  EmbedOptions,
  EmbedResult,
  EvaluateOptions,
  EvaluateResult,
  Inputs,
  Outlook,
  Prediction,
  PredictOptions,
  TrainOptions,
  TrainResult,
} from './options.ts'
import * as prediction from './predict.ts'
import * as training from './train.ts'

type EngineOptional<T extends { readonly engine: Engine }> = Omit<T, 'engine'> & {
  readonly engine?: Engine | undefined
}

let shared: Engine | undefined

function withEngine<T extends { readonly engine?: Engine | undefined }>(options: T): T & { readonly engine: Engine } {
  const engine = options.engine ?? (shared ??= createEngine())
  return { ...options, engine }
}

/** Ends the engine that the verbs made for themselves, if they did; the next verb makes another. */
export async function close(): Promise<void> {
  const engine = shared
  shared = undefined
  await engine?.close()
}

/** Trains a classifier of an image folder's classes; see `TrainOptions`. */
export function train(options: EngineOptional<TrainOptions>): Promise<TrainResult> {
  return training.train(withEngine(options))
}

/** Looks ahead at what `train` would do and cost, and leaves nothing behind. */
export function dryRun(options: EngineOptional<TrainOptions>): Promise<Outlook> {
  return training.dryRun(withEngine(options))
}

/** Classifies files, folders and lists of paths: one row per input, in their order. */
export function predict(
  model: string,
  inputs: Inputs,
  options: EngineOptional<PredictOptions> = {},
): AsyncGenerator<Prediction, void, undefined> {
  return prediction.predict(model, inputs, withEngine(options))
}

/** Writes feature vectors of files, folders and lists of paths to a folder. */
export function embed(model: string, inputs: Inputs, options: EngineOptional<EmbedOptions>): Promise<EmbedResult> {
  return embedding.embed(model, inputs, withEngine(options))
}

/** Measures a model on a folder per class. */
export function evaluate(
  model: string,
  data: string,
  options: EngineOptional<EvaluateOptions> = {},
): Promise<EvaluateResult> {
  return evaluation.evaluate(model, data, withEngine(options))
}
