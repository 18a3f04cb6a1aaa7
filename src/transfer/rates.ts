import { RegraftError } from '../errors.ts'

export interface Rates {
  /** Of the head, and of all that has none of its own. */
  readonly head: number
  /** Of the first layers that train, where it was said. */
  readonly first?: number
}

/** A rate, or 'A:B': from A in the first layers that train to B in the head. @throws RegraftError 'usage' */
export function parseRates(given: number | string): Rates {
  const [head = Number.NaN, first, ...more] = String(given).split(':').map(numberOf).reverse()
  const rates = first === undefined ? { head } : { head, first }
  const allowed = (rate: number) => rate > 0 && rate < Number.POSITIVE_INFINITY
  if (more.length === 0 && Object.values(rates).every(allowed)) return rates
  throw new RegraftError(
    'usage',
    `--lr ${given} is not understood. Give a rate above 0 (1e-3), or one for the first layers that train and one for the head (1e-5:1e-3).`,
  )
}

function numberOf(text: string): number {
  return /^\+?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text.trim()) ? Number(text) : Number.NaN
}
