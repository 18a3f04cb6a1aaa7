// How good outputs are where the truth is numbers, or several labels at once; in float64 and in a fixed order.
import { log } from '../exact-math.ts'
import type { LabelledOutputs, Metrics } from './classification.ts'
import { sigmoid } from './label-loss.ts'
import type { Targets } from './target-values.ts'

/** Errors of predicted numbers, in their own unit. */
export interface NumberErrors {
  /** Share of the variance that is explained: 1 at best, 0 for the mean of the truth. */
  readonly r2: number
  readonly rmse: number
  readonly mae: number
}

/** Errors over all rows and outputs. */
export function numberErrors(outputs: Float32Array, targets: Float32Array): NumberErrors {
  const count = targets.length
  const mean = targets.reduce((sum, value) => sum + value, 0) / count
  let squares = 0
  let spread = 0
  let sizes = 0
  for (const [at, target] of targets.entries()) {
    const error = (outputs[at] ?? Number.NaN) - target
    squares += error * error
    sizes += Math.abs(error)
    spread += (target - mean) ** 2
  }
  return { r2: spread > 0 ? 1 - squares / spread : 0, rmse: Math.sqrt(squares / count), mae: sizes / count }
}

/**
 * Metrics of outputs with targets. Of numbers the loss is the mean squared error and R² stands in the place of accuracy; of several labels
 * the loss is the cross-entropy of sigmoids, summed over labels, and accuracy the share of right decisions.
 */
export function targetMetrics({ logits, labels }: LabelledOutputs, { kind, values }: Targets): Metrics {
  const count = labels.length
  const unknown = { topAccuracy: Number.NaN, balancedAccuracy: Number.NaN, macroF1: Number.NaN, count }
  if (kind === 'numbers') {
    const { r2, rmse } = numberErrors(logits, values)
    return { ...unknown, loss: rmse * rmse, accuracy: r2 }
  }
  const outputs = values.length / count
  const hits = new Float64Array(outputs)
  const seen = new Float64Array(outputs)
  let right = 0
  let loss = 0
  for (const [at, target] of values.entries()) {
    const output = logits[at] ?? Number.NaN
    const label = at % outputs
    const said = output > 0
    if (said === target > 0.5) right += 1
    if (said && target > 0.5) hits[label] = (hits[label] ?? 0) + 1
    seen[label] = (seen[label] ?? 0) + (said ? 1 : 0) + (target > 0.5 ? 1 : 0)
    loss -= target > 0.5 ? log(sigmoid(output)) : log(sigmoid(-output))
  }
  const f1s = Array.from(seen, (all, label) => (all > 0 ? (2 * (hits[label] ?? 0)) / all : Number.NaN)).filter(
    Number.isFinite,
  )
  const macroF1 = f1s.reduce((sum, f1) => sum + f1, 0) / f1s.length
  return { ...unknown, loss: loss / count, accuracy: right / values.length, macroF1 }
}
