const unitSeconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600 }

/** Seconds of '90s', '20m' or '1.5h'; undefined for anything else. The unit is never guessed. */
export function secondsOf(text: string): number | undefined {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)([smh])$/.exec(text) ?? []
  const factor = unit === undefined ? undefined : unitSeconds[unit]
  return amount === undefined || factor === undefined ? undefined : Number(amount) * factor
}
