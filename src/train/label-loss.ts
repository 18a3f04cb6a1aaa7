// The losses of one picture against its label, in float64 on the main thread: what validation reports.
import { exp, log, pow } from '../exact-math.ts'
import type { Loss } from '../runtime/loss.ts'
import { lossShare } from './targets.ts'

/** Loss of one row of outputs against a hard label, without smoothing or weights. */
export function labelLoss(loss: Loss, outputs: Float32Array, label: number): number {
  switch (loss.kind) {
    case 'ce':
      return crossEntropy(outputs, label)
    case 'focal': {
      const logP = -crossEntropy(outputs, label)
      return -pow(1 - exp(logP), loss.gamma) * logP
    }
    case 'bce':
      return sumOver(outputs, label, (value, target) => softplus(value) - value * target)
    case 'quadratic':
      return sumOver(outputs, label, (value, target) => (sigmoid(value) - target) ** 2 / 2)
    case 'mse':
      return lossShare(loss, outputs.length) * sumOver(outputs, label, (value, target) => (value - target) ** 2)
    case 'hinge': {
      const own = outputs[label] ?? Number.NaN
      const excess = (value: number) => Math.max(0, loss.margin - own + value) ** loss.power
      return (
        lossShare(loss, outputs.length) *
        outputs.reduce((sum, value, c) => (c === label ? sum : sum + excess(value)), 0)
      )
    }
  }
}

function sumOver(outputs: Float32Array, label: number, term: (value: number, target: number) => number): number {
  return outputs.reduce((sum, value, c) => sum + term(value, c === label ? 1 : 0), 0)
}

/** Cross-entropy of softmax of one row against a class. */
export function crossEntropy(outputs: Float32Array, label: number): number {
  const largest = outputs.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
  let total = 0
  for (const output of outputs) total += exp(output - largest)
  return log(total) + largest - (outputs[label] ?? Number.NaN)
}

/** log(1 + e^x) */
function softplus(x: number): number {
  return Math.max(x, 0) + log(1 + exp(-Math.abs(x)))
}

/** 1/(1 + e^-x) */
export function sigmoid(x: number): number {
  const power = exp(-Math.abs(x))
  return (x >= 0 ? 1 : power) / (1 + power)
}
