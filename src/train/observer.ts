/** Somebody who watches the steps of a training and changes nothing about them. */
export interface StepObserver {
  /** Whether this step of an epoch is watched; both from 1. */
  wants(epoch: number, step: number): boolean
  /** Before a watched step: its gradients lie ready, weights are as they were. */
  before(): Promise<void>
  /** After it. @param stepsDone  in all epochs */
  after(place: { readonly epoch: number; readonly step: number; readonly stepsDone: number }): Promise<void>
}
