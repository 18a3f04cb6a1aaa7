/** What outputs should have been, where that is not one class of many. */
export interface Targets {
  /** numbers: the outputs themselves; labels: 1 for each label that a picture has, 0 for others, by sigmoids of the outputs. */
  readonly kind: 'numbers' | 'labels'
  /** [rows, outputs] */
  readonly values: Float32Array
}
