import type { RandomStream } from '../../random.ts'
import { gamma } from '../gamma.ts'

/** Shares that add up to 1, drawn from the symmetric Dirichlet distribution; with two shares, from Beta(alpha, alpha). */
export function dirichlet(count: number, alpha: number, stream: RandomStream): number[] {
  const parts = Array.from({ length: count }, () => gamma(alpha, stream))
  const sum = parts.reduce((total, part) => total + part, 0)
  // With a tiny alpha all may be too small to be told from zero.
  return parts.map((part) => (sum > 0 ? part / sum : 1 / count))
}
