/** What happens while a model comes from the hub; the same events as those of a training, as far as they apply. */
export type HubEvent =
  | { readonly type: 'phase'; readonly phase: 'download'; readonly total: number; readonly unit: 'bytes' }
  | {
      readonly type: 'progress'
      readonly phase: 'download'
      readonly done: number
      readonly total: number
      readonly detail?: string
    }
  | { readonly type: 'phaseEnd'; readonly phase: 'download' }
  | { readonly type: 'note'; readonly message: string }

/** What a caller may say about getting models. */
export interface HubAccess {
  /** Only what is in the cache already; also by HF_HUB_OFFLINE. */
  readonly offline?: boolean | undefined
  readonly signal?: AbortSignal | undefined
  readonly listener?: ((event: HubEvent) => void) | undefined
}
