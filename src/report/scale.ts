// From values to places on paper, with ticks at round numbers.

export interface Scale {
  at(value: number): number
  readonly ticks: readonly { readonly value: number; readonly label: string }[]
}

/** Maps [low, high], widened to round numbers, to [from, to]. @param most  ticks */
export function linearScale(low: number, high: number, from: number, to: number, most = 5): Scale {
  const span = high > low ? high - low : Math.abs(low) || 1
  const step = roundStep(span / most)
  const first = Math.floor(low / step + 1e-9)
  const last = Math.max(first + 1, Math.ceil(high / step - 1e-9))
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9))
  return {
    at: (value) => from + ((value / step - first) / (last - first)) * (to - from),
    ticks: Array.from({ length: last - first + 1 }, (_, index) => {
      const value = (first + index) * step
      return { value, label: step < 1e-4 ? String(Number(value.toPrecision(3))) : value.toFixed(digits) }
    }),
  }
}

/** The same for powers of ten. Values have to be above zero. */
export function logScale(low: number, high: number, from: number, to: number): Scale {
  const first = Math.floor(Math.log10(low) + 1e-9)
  const last = Math.max(first + 1, Math.ceil(Math.log10(high) - 1e-9))
  const every = Math.ceil((last - first) / 8)
  return {
    at: (value) => from + ((Math.log10(value) - first) / (last - first)) * (to - from),
    ticks: Array.from({ length: Math.floor((last - first) / every) + 1 }, (_, index) => {
      const power = first + index * every
      return {
        value: 10 ** power,
        label: power >= -3 && power <= 4 ? String(Number((10 ** power).toPrecision(1))) : `1e${power}`,
      }
    }),
  }
}

/** 1, 2 or 5 times a power of ten, not below. */
function roundStep(step: number): number {
  const power = 10 ** Math.floor(Math.log10(step))
  const factor = [1, 2, 5, 10].find((candidate) => candidate * power >= step * (1 - 1e-9)) ?? 10
  return factor * power
}
