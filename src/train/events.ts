// What happens during long work, for whoever shows it: progress bars, logs, tests. Listeners read; they do not reach in.

export type Phase =
  | 'download'
  | 'scan'
  | 'check'
  | 'adapt'
  | 'normalise'
  | 'features'
  | 'solve'
  | 'cross-validate'
  | 'tune'
  | 'head'
  | 'finetune'
  | 'evaluate'
  | 'predict'
  | 'embed'
  | 'lr-find'
  | 'search'
  | 'burn-in'
  | 'gradcheck'
  | 'jobs'

/** One line of `history.csv`. Rates and losses are plain numbers, accuracies 0…1. */
export interface EpochRecord {
  readonly epoch: number
  readonly learningRate: number
  readonly trainLoss: number
  readonly trainAccuracy: number
  readonly validationLoss: number
  readonly validationAccuracy: number
  /** Of the largest outputs, as many as `topCount` says. */
  readonly validationTopAccuracy: number
  readonly validationBalancedAccuracy: number
  readonly validationMacroF1: number
  readonly seconds: number
}

export type WorkEvent =
  /** A phase begins; `total` of `unit` are to be done. */
  | {
      readonly type: 'phase'
      readonly phase: Phase
      readonly total: number
      readonly unit:
        | 'bytes'
        | 'images'
        | 'files'
        | 'jobs'
        | 'iterations'
        | 'epochs'
        | 'vectors'
        | 'coordinates'
        | 'trials'
    }
  /** `done` of the phase's total; images per second where pictures are counted. */
  | {
      readonly type: 'progress'
      readonly phase: Phase
      readonly done: number
      readonly total: number
      readonly detail?: string
    }
  /** Something was looked at before training; `ok: false` deserves a look. */
  | { readonly type: 'check'; readonly name: string; readonly ok: boolean; readonly message: string }
  | { readonly type: 'phaseEnd'; readonly phase: Phase }
  /** A step of a training was made, or left out because a number was not finite. */
  | {
      readonly type: 'step'
      readonly phase: Phase
      readonly epoch: number
      /** In the epoch, from 1. */
      readonly step: number
      /** Mean over the pictures of the step, with smoothing and weights of classes. */
      readonly loss: number
      readonly gradientNorm: number
      readonly learningRate: number
    }
  | ({ readonly type: 'epoch'; readonly epochs: number; readonly best: boolean } & EpochRecord)
  /** A picture that cannot be used, named once. */
  | { readonly type: 'bad'; readonly path: string; readonly reason: string }
  /** Something a person should know, in one line. */
  | { readonly type: 'note'; readonly message: string }
  | { readonly type: 'saved'; readonly path: string }

export type Listener = (event: WorkEvent) => void
