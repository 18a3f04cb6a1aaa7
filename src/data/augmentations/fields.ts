// What may stand behind an option of an augmentation.

/** One option. */
export interface Field<T> {
  /** What holds when nothing is said. */
  readonly fallback: T
  /** Ends the sentence "… must be". */
  readonly allowed: string
  /** @returns undefined for what is not allowed */
  read(value: unknown): T | undefined
}

export type Fields = Readonly<Record<string, Field<unknown>>>

/** The values of fields. */
export type ValuesOf<F extends Fields> = { readonly [K in keyof F]: F[K] extends Field<infer T> ? T : never }

/** Drawn from uniformly, from the first to the second number. */
export type Range = readonly [number, number]

const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value)

/**
 * A range, or one number: x for [around - x, around + x] as far as that is allowed, without `around` for [x, x].
 */
export function range(fallback: Range, limits: { from: number; to: number; around?: number }): Field<Range> {
  const { from, to, around } = limits
  const single = around === undefined ? '' : `, or x for [${around === 0 ? '-x, x' : `${around} - x, ${around} + x`}]`
  return {
    fallback,
    allowed: `a number or two as [low, high], from ${from} to ${to}${single}`,
    read(value) {
      if (isNumber(value) && around !== undefined) {
        if (value < 0 || around + value > to) return undefined
        return [Math.max(from, around - value), around + value]
      }
      const [low, high, more]: unknown[] = Array.isArray(value) ? value : [value, value]
      if (!isNumber(low) || !isNumber(high) || more !== undefined) return undefined
      return from <= low && low <= high && high <= to ? [low, high] : undefined
    },
  }
}

export function number(fallback: number, { from, to }: { from: number; to: number }): Field<number> {
  return {
    fallback,
    allowed: `a number from ${from} to ${to}`,
    read: (value) => (isNumber(value) && value >= from && value <= to ? value : undefined),
  }
}

export function wholeNumber(fallback: number, { from, to }: { from: number; to: number }): Field<number> {
  return {
    fallback,
    allowed: `a whole number from ${from} to ${to}`,
    read: (value) =>
      Number.isSafeInteger(value) && Number(value) >= from && Number(value) <= to ? Number(value) : undefined,
  }
}

export function oneOf<const T extends string>(fallback: T, words: readonly T[]): Field<T> {
  return {
    fallback,
    allowed: `one of ${words.join(', ')}`,
    read: (value) => words.find((word) => word === value),
  }
}

export function flag(fallback: boolean): Field<boolean> {
  return { fallback, allowed: 'true or false', read: (value) => (typeof value === 'boolean' ? value : undefined) }
}
