import type { Architecture, Family } from './architecture.ts'

/** In hundredths, the widths by which weights of unusual networks are recognised. */
const recognised = Array.from({ length: 40 }, (_, step) => String((step + 1) * 5).padStart(3, '0'))
const LARGEST = 4

/**
 * A family that comes in any width, which is part of the name in hundredths: mobilenetv2_035.
 * @param usual       widths to suggest
 * @param otherNames  what others call some of the networks
 */
export function everyWidth(
  prefix: string,
  usual: readonly string[],
  make: (name: string, multiplier: number) => Architecture,
  otherNames: Readonly<Record<string, string>> = {},
): Family {
  const pattern = new RegExp(`^${prefix}_(\\d{3})$`)
  return {
    names: usual.map((width) => `${prefix}_${width}`),
    moreNames: recognised.map((width) => `${prefix}_${width}`),
    named(asked) {
      const name = Object.hasOwn(otherNames, asked) ? (otherNames[asked] ?? asked) : asked
      const multiplier = Number(pattern.exec(name)?.[1] ?? 0) / 100
      return multiplier > 0 && multiplier <= LARGEST ? make(name, multiplier) : undefined
    },
  }
}
