// Nearest centre: the class whose mean is nearest. It is a linear classifier: -|x - c|²/2 and c·x - |c|²/2 differ by what all classes share.
import { breathing } from '../breath.ts'
import type { LinearMap } from './ridge.ts'

/** Means of the classes, and how far each row is from those of the other rows. */
export interface ClassCentres {
  /** Outputs are -|x - centre|²/2, up to a number that all classes share. */
  readonly map: LinearMap
  /** [rows, classes]: the same outputs from centres without the row itself; a class of one row keeps it. */
  readonly leftOut: Float64Array
}

/**
 * @param values   f32[labels.length, columns]
 * @param classes  each has a row at least
 */
export async function classCentres(
  values: Float32Array,
  columns: number,
  labels: Int32Array,
  classes: number,
): Promise<ClassCentres> {
  const breath = breathing()
  const sums = new Float64Array(classes * columns)
  const counts = new Float64Array(classes)
  for (const [row, label] of labels.entries()) {
    counts[label] = (counts[label] ?? 0) + 1
    for (let c = 0; c < columns; c++) {
      const at = label * columns + c
      sums[at] = (sums[at] ?? 0) + (values[row * columns + c] ?? 0)
    }
    if (breath.due()) await breath.pause()
  }
  const weight = sums.map((sum, at) => sum / (counts[Math.floor(at / columns)] ?? 1))
  const bias = new Float64Array(classes)
  for (let k = 0; k < classes; k++) {
    let squares = 0
    for (let c = 0; c < columns; c++) squares += (weight[k * columns + c] ?? 0) ** 2
    bias[k] = -squares / 2
  }
  const leftOut = new Float64Array(labels.length * classes)
  for (const [row, label] of labels.entries()) {
    for (let k = 0; k < classes; k++) {
      const count = counts[k] ?? 1
      const without = k === label && count > 1
      let squares = 0
      for (let c = 0; c < columns; c++) {
        const value = values[row * columns + c] ?? 0
        const at = k * columns + c
        const centre = without ? ((sums[at] ?? 0) - value) / (count - 1) : (weight[at] ?? 0)
        squares += (value - centre) ** 2
      }
      leftOut[row * classes + k] = -squares / 2
    }
    if (breath.due()) await breath.pause()
  }
  return { map: { weight, bias }, leftOut }
}
