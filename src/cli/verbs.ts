import type { DemoResult } from '../transfer/demo.ts'
import type { DoctorReport } from '../transfer/doctor.ts'
import type { Inspection, InspectOptions } from '../transfer/inspect.ts'
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
  WorkOptions,
} from '../transfer/options.ts'

/** What the commands call. */
export interface Verbs {
  train(options: TrainOptions): Promise<TrainResult>
  dryRun(options: TrainOptions): Promise<Outlook>
  predict(model: string, inputs: Inputs, options: PredictOptions): AsyncIterable<Prediction>
  embed(model: string, inputs: Inputs, options: EmbedOptions): Promise<EmbedResult>
  evaluate(model: string, data: string, options: EvaluateOptions): Promise<EvaluateResult>
  demo(options: WorkOptions & { readonly out: string; readonly overwrite?: boolean }): Promise<DemoResult>
  doctor(options: WorkOptions): Promise<DoctorReport>
  inspect(file: string, options: InspectOptions): Promise<Inspection>
}

/** The real ones, each loaded when it is called: `--help` need not wait for the codecs. */
export const verbs: Verbs = {
  train: async (options) => (await import('../transfer/train.ts')).train(options),
  dryRun: async (options) => (await import('../transfer/train.ts')).dryRun(options),
  async *predict(model, inputs, options) {
    yield* (await import('../transfer/predict.ts')).predict(model, inputs, options)
  },
  embed: async (model, inputs, options) => (await import('../transfer/embed.ts')).embed(model, inputs, options),
  evaluate: async (model, data, options) => (await import('../transfer/evaluate.ts')).evaluate(model, data, options),
  demo: async (options) => (await import('../transfer/demo.ts')).demo(options),
  doctor: async (options) => (await import('../transfer/doctor.ts')).doctor(options),
  inspect: async (file, options) => (await import('../transfer/inspect.ts')).inspect(file, options),
}
