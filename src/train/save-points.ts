// When a checkpoint is due within an epoch. Results never depend on it.

/** Every so many steps, or after so many seconds. */
export type SaveEvery = { readonly steps: number } | { readonly seconds: number }

export interface SavePoints {
  /** @param stepsDone  in all epochs */
  due(stepsDone: number): boolean
  /** Counts the time anew. */
  saved(): void
}

export function savePoints(every: SaveEvery): SavePoints {
  let savedAt = performance.now()
  return {
    due: (stepsDone) =>
      'steps' in every ? stepsDone % every.steps === 0 : performance.now() - savedAt >= every.seconds * 1000,
    saved() {
      savedAt = performance.now()
    },
  }
}
