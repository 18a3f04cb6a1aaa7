import { log, pow } from '../exact-math.ts'
import type { RandomStream } from '../random.ts'

/** Gamma(shape, 1). @see Marsaglia & Tsang 2000, "A simple method for generating gamma variables" */
export function gamma(shape: number, random: RandomStream): number {
  if (shape < 1) {
    const larger = gamma(shape + 1, random)
    return larger * pow(1 - random.uniform(), 1 / shape)
  }
  const d = shape - 1 / 3
  const c = 1 / Math.sqrt(9 * d)
  for (;;) {
    const x = random.normal()
    const root = 1 + c * x
    const v = root * root * root
    if (v <= 0) continue
    if (log(1 - random.uniform()) < (x * x) / 2 + d * (1 - v + log(v))) return d * v
  }
}
