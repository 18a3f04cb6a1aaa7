/** The decimal number that a 32-bit float was written as: 0.1 for 0.10000000149. */
export function decimal(value: number): number {
  return Number(value.toPrecision(6))
}
