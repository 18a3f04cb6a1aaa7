import type { HubAccess } from '../hub/hub-events.ts'
import type {
  DataOptions,
  DataReport,
  DataSplitOptions,
  DataSplitResult,
  DataStats,
  FileStats,
} from '../transfer/data-options.ts'
import type { DemoResult } from '../transfer/demo.ts'
import type { DoctorReport } from '../transfer/doctor.ts'
import type { GradcheckOptions, GradcheckResult } from '../transfer/gradcheck.ts'
import type { HeadOptions } from '../transfer/head.ts'
import type { Inspection, InspectOptions } from '../transfer/inspect.ts'
import type { CostOptions, ModelCost } from '../transfer/inspect-cost.ts'
import type { LrFindOptions, LrFindResult } from '../transfer/lr-find.ts'
import type { ModelEntry, PulledModel, RemovedModel, VerifiedFile } from '../transfer/models.ts'
import type {
  AugmentSheet,
  DedupeOptions,
  DedupeResult,
  EmbedOptions,
  EmbedResult,
  EmbedRow,
  EvaluateOptions,
  EvaluateResult,
  ExportOptions,
  ExportResult,
  Inputs,
  MergeOptions,
  MergeResult,
  Outlook,
  Prediction,
  PredictOptions,
  SearchOptions,
  SearchResult,
  ShowAugmentOptions,
  TrainOptions,
  TrainResult,
  WorkOptions,
} from '../transfer/options.ts'
import type { CompareOptions, Comparison } from '../transfer/tune/compare-models.ts'
import type { LearningCurve, LearningCurveOptions } from '../transfer/tune/learning-curve.ts'
import type { TuneResult } from '../transfer/tune/results.ts'
import type { TuneOptions } from '../transfer/tune/tune.ts'

/** What the commands call. */
export interface Verbs {
  train(options: TrainOptions): Promise<TrainResult>
  dryRun(options: TrainOptions): Promise<Outlook>
  showAugment(options: ShowAugmentOptions): Promise<AugmentSheet>
  predict(model: string, inputs: Inputs, options: PredictOptions): AsyncIterable<Prediction>
  embed(model: string, inputs: Inputs, options: EmbedOptions): Promise<EmbedResult>
  embedRows(model: string, inputs: Inputs, options: Omit<EmbedOptions, 'out'>): AsyncIterable<EmbedRow>
  trainHead(options: HeadOptions): Promise<TrainResult>
  merge(shards: readonly string[], options: MergeOptions): Promise<MergeResult>
  search(vectors: string, inputs: Inputs, options: SearchOptions): Promise<SearchResult>
  dedupe(vectors: string, options: DedupeOptions): Promise<DedupeResult>
  evaluate(model: string, data: string, options: EvaluateOptions): Promise<EvaluateResult>
  demo(options: WorkOptions & { readonly out: string; readonly overwrite?: boolean }): Promise<DemoResult>
  doctor(options: WorkOptions): Promise<DoctorReport>
  checkData(data: readonly string[], options: DataOptions): Promise<DataReport>
  dataStats(inputs: readonly string[], options: DataOptions): Promise<DataStats>
  fileStats(inputs: readonly string[], options: DataOptions): AsyncIterable<FileStats>
  splitData(data: readonly string[], options: DataSplitOptions): Promise<DataSplitResult>
  inspect(file: string, options: InspectOptions): Promise<Inspection>
  modelCost(model: string, options: CostOptions): Promise<ModelCost>
  lrFind(options: LrFindOptions): Promise<LrFindResult>
  tune(options: TuneOptions): Promise<TuneResult>
  compareModels(options: CompareOptions): Promise<Comparison>
  learningCurve(options: LearningCurveOptions): Promise<LearningCurve>
  exportModel(model: string, options: ExportOptions): Promise<ExportResult>
  gradcheck(options: GradcheckOptions): Promise<GradcheckResult>
  listModels(): Promise<readonly ModelEntry[]>
  modelInfo(name: string): Promise<ModelEntry>
  pullModel(name: string, access: HubAccess): Promise<PulledModel>
  verifyModels(names: readonly string[], signal: AbortSignal): Promise<readonly VerifiedFile[]>
  removeModel(name: string): Promise<RemovedModel>
}

/** The real ones, each loaded when it is called: `--help` need not wait for the codecs. */
export const verbs: Verbs = {
  train: async (options) => (await import('../transfer/train.ts')).train(options),
  dryRun: async (options) => (await import('../transfer/train.ts')).dryRun(options),
  showAugment: async (options) => (await import('../transfer/show-augment.ts')).showAugment(options),
  async *predict(model, inputs, options) {
    yield* (await import('../transfer/predict.ts')).predict(model, inputs, options)
  },
  embed: async (model, inputs, options) => (await import('../transfer/embed.ts')).embed(model, inputs, options),
  async *embedRows(model, inputs, options) {
    yield* (await import('../transfer/embed.ts')).embedRows(model, inputs, options)
  },
  trainHead: async (options) => (await import('../transfer/head.ts')).trainHead(options),
  merge: async (shards, options) => (await import('../transfer/merge.ts')).merge(shards, options),
  search: async (vectors, inputs, options) => (await import('../transfer/search.ts')).search(vectors, inputs, options),
  dedupe: async (vectors, options) => (await import('../transfer/dedupe.ts')).dedupe(vectors, options),
  evaluate: async (model, data, options) => (await import('../transfer/evaluate.ts')).evaluate(model, data, options),
  demo: async (options) => (await import('../transfer/demo.ts')).demo(options),
  doctor: async (options) => (await import('../transfer/doctor.ts')).doctor(options),
  checkData: async (data, options) => (await import('../transfer/data-check.ts')).checkData(data, options),
  dataStats: async (inputs, options) => (await import('../transfer/data-stats.ts')).dataStats(inputs, options),
  async *fileStats(inputs, options) {
    yield* (await import('../transfer/data-stats.ts')).fileStats(inputs, options)
  },
  splitData: async (data, options) => (await import('../transfer/data-split.ts')).splitData(data, options),
  inspect: async (file, options) => (await import('../transfer/inspect.ts')).inspect(file, options),
  modelCost: async (model, options) => (await import('../transfer/inspect-cost.ts')).modelCost(model, options),
  lrFind: async (options) => (await import('../transfer/lr-find.ts')).lrFind(options),
  tune: async (options) => (await import('../transfer/tune/tune.ts')).tune(options),
  compareModels: async (options) => (await import('../transfer/tune/compare-models.ts')).compareModels(options),
  learningCurve: async (options) => (await import('../transfer/tune/learning-curve.ts')).learningCurve(options),
  exportModel: async (model, options) => (await import('../transfer/export.ts')).exportModel(model, options),
  gradcheck: async (options) => (await import('../transfer/gradcheck.ts')).gradcheck(options),
  listModels: async () => (await import('../transfer/models.ts')).listModels(),
  modelInfo: async (name) => (await import('../transfer/models.ts')).modelInfo(name),
  pullModel: async (name, access) => (await import('../transfer/models.ts')).pullModel(name, access),
  verifyModels: async (names, signal) => (await import('../transfer/models.ts')).verifyModels(names, signal),
  removeModel: async (name) => (await import('../transfer/models.ts')).removeModel(name),
}
