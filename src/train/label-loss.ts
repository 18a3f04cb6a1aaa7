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
      return sumOver(outputs, label, (value, target, c) => {
        const positive = (loss.positives?.[c] ?? 1) * target
        return (1 - target + positive) * softplus(value) - value * positive
      })
    case 'sigmoid-focal': {
      const { gamma, alpha } = loss
      return sumOver(outputs, label, (value, target) => {
        const wrong = sigmoid(target === 1 ? -value : value)
        const counts = target === 1 ? alpha : 1 - alpha
        return counts * pow(wrong, gamma) * (softplus(value) - value * target)
      })
    }
    case 'quadratic':
      return sumOver(outputs, label, (value, target) => (sigmoid(value) - target) ** 2 / 2)
    case 'mse':
      return lossShare(loss, outputs.length) * sumOver(outputs, label, (value, target) => (value - target) ** 2)
    case 'l1':
      return lossShare(loss, outputs.length) * sumOver(outputs, label, (value, target) => Math.abs(value - target))
    case 'smooth-l1':
      return (lossShare(loss, outputs.length) * huberSum(outputs, label, loss.beta)) / loss.beta
    case 'huber':
      return lossShare(loss, outputs.length) * huberSum(outputs, label, loss.delta)
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

function sumOver(
  outputs: Float32Array,
  label: number,
  term: (value: number, target: number, at: number) => number,
): number {
  return outputs.reduce((sum, value, c) => sum + term(value, c === label ? 1 : 0, c), 0)
}

function huberSum(outputs: Float32Array, label: number, delta: number): number {
  return sumOver(outputs, label, (value, target) => {
    const size = Math.abs(value - target)
    const near = Math.min(size, delta)
    return near * (size - near / 2)
  })
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
