// Softmax and cross entropy with soft targets, as plain loops in float64.

import type { Loss } from '../../src/runtime/loss.ts'

const at = (values: ArrayLike<number>, i: number): number => values[i] ?? Number.NaN

/** Rows of C. */
export function softmax(x: ArrayLike<number>, C: number): Float64Array {
  const y = Float64Array.from(x)
  for (let row = 0; row < y.length; row += C) {
    const values = y.subarray(row, row + C)
    const maximum = values.reduce((a, b) => Math.max(a, b))
    const sum = values.reduce((total, value) => total + Math.exp(value - maximum), 0)
    for (let c = 0; c < C; c++) values[c] = Math.exp(at(values, c) - maximum) / sum
  }
  return y
}

/** -sum t·log softmax(x) of every row. */
export function crossEntropies(x: ArrayLike<number>, targets: ArrayLike<number>, C: number): Float64Array {
  const rows = x.length / C
  return Float64Array.from({ length: rows }, (_, row) => {
    const values = Array.from({ length: C }, (_, c) => at(x, row * C + c))
    const maximum = Math.max(...values)
    const normaliser = Math.log(values.reduce((total, value) => total + Math.exp(value - maximum), 0))
    return values.reduce((loss, value, c) => {
      const t = at(targets, row * C + c)
      return t === 0 ? loss : loss + t * (normaliser - (value - maximum))
    }, 0)
  })
}

/** Gradient of their sum: sum(t)·softmax(x) - t. */
export function crossEntropyGradient(x: ArrayLike<number>, targets: ArrayLike<number>, C: number): Float64Array {
  return softmax(x, C).map((probability, i) => {
    const row = Math.floor(i / C) * C
    const weight = Array.from({ length: C }, (_, c) => at(targets, row + c)).reduce((a, b) => a + b, 0)
    return weight * probability - at(targets, i)
  })
}

/** The losses of `src/runtime/loss.ts`, of every row with soft targets, as sums over outputs. */
export function rowLosses(loss: Loss, x: ArrayLike<number>, targets: ArrayLike<number>, C: number): Float64Array {
  return Float64Array.from({ length: x.length / C }, (_, row) => {
    const values = Array.from({ length: C }, (_, c) => at(x, row * C + c))
    const wanted = Array.from({ length: C }, (_, c) => at(targets, row * C + c))
    return rowLoss(loss, values, wanted)
  })
}

function rowLoss(loss: Loss, x: readonly number[], t: readonly number[]): number {
  const sum = (term: (value: number, target: number, c: number) => number) =>
    x.reduce((total, value, c) => total + term(value, t[c] ?? Number.NaN, c), 0)
  const logistic = (value: number) =>
    value >= 0 ? 1 / (1 + Math.exp(-value)) : Math.exp(value) / (1 + Math.exp(value))
  switch (loss.kind) {
    case 'ce':
      return crossEntropies(x, t, x.length)[0] ?? Number.NaN
    case 'bce':
      return sum((value, target, c) => {
        const positive = (loss.positives?.[c] ?? 1) * target
        return positive * softplus(-value) + (1 - target) * softplus(value)
      })
    case 'sigmoid-focal':
      return sum((value, target) => {
        const p = logistic(value)
        const entropy = target * softplus(-value) + (1 - target) * softplus(value)
        const share = loss.alpha * target + (1 - loss.alpha) * (1 - target)
        return share * (p * (1 - target) + logistic(-value) * target) ** loss.gamma * entropy
      })
    case 'l1':
      return sum((value, target) => Math.abs(value - target))
    case 'huber':
      return sum((value, target) => huber(value - target, loss.delta))
    case 'smooth-l1':
      return sum((value, target) => huber(value - target, loss.beta) / loss.beta)
    case 'quadratic':
      return sum((value, target) => (logistic(value) - target) ** 2 / 2)
    case 'mse':
      return sum((value, target) => (value - target) ** 2)
    case 'hinge':
      return sum((own, target, y) => {
        if (target === 0) return 0
        const others = x.filter((_, c) => c !== y)
        return target * others.reduce((all, other) => all + Math.max(0, loss.margin - own + other) ** loss.power, 0)
      })
    case 'focal': {
      const p = softmax(x, x.length)
      const logs = x.map(
        (_, c) =>
          -(
            crossEntropies(
              x,
              x.map((_, other) => (other === c ? 1 : 0)),
              x.length,
            )[0] ?? 0
          ),
      )
      return sum((_, target, c) => (target === 0 ? 0 : -target * (1 - at(p, c)) ** loss.gamma * (logs[c] ?? 0)))
    }
  }
}

/** log(1 + e^x) */
function softplus(x: number): number {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))
}

function huber(difference: number, delta: number): number {
  const size = Math.abs(difference)
  return size <= delta ? size ** 2 / 2 : delta * (size - delta / 2)
}
