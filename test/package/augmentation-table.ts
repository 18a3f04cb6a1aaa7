import type { AugmentationKind } from '../../src/data/augmentations/kind.ts'

/** The options of an augmentation with their defaults, as docs/augmentation.md has them. */
export function optionsInWords({ probability, fields }: AugmentationKind): string {
  const value = (given: unknown): string =>
    Array.isArray(given) ? `[${given.map((part) => Number(part.toPrecision(3))).join(', ')}]` : String(given)
  const all: [string, unknown][] = Object.entries(fields).map(([name, { fallback }]) => [name, fallback])
  return [['p', probability] as const, ...all].map(([name, given]) => `${name}: ${value(given)}`).join(', ')
}
