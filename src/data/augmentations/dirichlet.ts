import { log, pow } from '../../exact-math.ts'
import type { RandomStream } from '../../random.ts'

/** Shares that add up to 1, drawn from the symmetric Dirichlet distribution; with two shares, from Beta(alpha, alpha). */
export function dirichlet(count: number, alpha: number, stream: RandomStream): number[] {
  const parts = Array.from({ length: count }, () => gamma(alpha, stream))
  const sum = parts.reduce((total, part) => total + part, 0)
  // With a tiny alpha all may be too small to be told from zero.
  return parts.map((part) => (sum > 0 ? part / sum : 1 / count))
}

/** @see Marsaglia and Tsang 2000, "A simple method for generating gamma variables" */
function gamma(shape: number, stream: RandomStream): number {
  if (shape < 1) return gamma(shape + 1, stream) * pow(1 - stream.uniform(), 1 / shape)
  const d = shape - 1 / 3
  const c = 1 / Math.sqrt(9 * d)
  for (;;) {
    const x = stream.normal()
    const v = (1 + c * x) ** 3
    if (v > 0 && log(1 - stream.uniform()) < 0.5 * x * x + d - d * v + d * log(v)) return d * v
  }
}
