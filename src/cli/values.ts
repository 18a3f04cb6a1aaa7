// What may stand behind an option. A reader gives the value, or a `Misuse` that says what is allowed.
import { type AugmentInput, completeEntries } from '../data/augmentations/index.ts'
import { inertName } from '../inert-text.ts'
import { nearestName } from '../nearest-name.ts'
import { parseRates } from '../transfer/rates.ts'
import { secondsOf } from '../transfer/time-span.ts'

/** Why a text is no value of an option, as the rest of a sentence that begins with the option and the text. */
export class Misuse {
  readonly problem: string

  constructor(problem: string) {
    this.problem = problem
  }
}

/** How a setting is shown. */
export interface Shown {
  readonly group: Group
  readonly help: string
  /** What holds when nothing is said. */
  readonly fallback?: string
  /** The short flag, such as `-q`. */
  readonly short?: string
  /** Name of the value in the help: `<n>`; a switch has none. */
  readonly placeholder?: string
  /** No flag: the value stands behind the command's name, and here only for configuration files. */
  readonly positional?: boolean
}

/** One option of a command: the same under its flag, its environment variable and its key in a configuration file. */
export interface Setting<T> extends Shown {
  read(text: string): T | Misuse
  /** Whether the help shows `--no-name` in the place of `--name`. */
  readonly shownNegated?: boolean
  /** In a configuration file it may be a list, which is read as JSON. */
  readonly takesLists?: boolean
}

/** Headings of the options in the help, in their order. */
export const groups = [
  ...['Data', 'Model', 'Head', 'Layers', 'Training', 'Rate and optimiser', 'Loss', 'Regularisation'],
  ...['Augmentation', 'Cache', 'Pictures', 'Output', 'Checkpoints', 'Machine', 'General'],
] as const
export type Group = (typeof groups)[number]

interface Range {
  readonly from?: number
  readonly to?: number
  /** `from` itself is not allowed. */
  readonly above?: boolean
  /** `to` itself is not allowed. */
  readonly below?: boolean
}

/** A number in a range. */
export function number(range: Range, shown: Shown): Setting<number> {
  return numeric('a number', range, (value) => Number.isFinite(value), { placeholder: '<number>', ...shown })
}

/** A number in a range, or a word. */
export function numberOr<const T extends string>(word: T, range: Range, shown: Shown): Setting<number | T> {
  const numbers = number(range, shown)
  return {
    ...shown,
    placeholder: `<number|${word}>`,
    read(text) {
      if (text === word) return word
      const value = numbers.read(text)
      return value instanceof Misuse
        ? new Misuse(value.problem.replace(/is allowed\.$/, `or '${word}' is allowed.`))
        : value
    },
  }
}

/** A whole number in a range. */
export function wholeNumber(range: Range, shown: Shown): Setting<number> {
  return numeric('a whole number', range, (value) => Number.isSafeInteger(value), { placeholder: '<n>', ...shown })
}

function numeric(kind: string, range: Range, fits: (value: number) => boolean, shown: Shown): Setting<number> {
  const { from = Number.NEGATIVE_INFINITY, to = Number.POSITIVE_INFINITY, above = false, below = false } = range
  return {
    ...shown,
    read(text) {
      // Number() would also take '', '0x10' and ' 5 '.
      const value = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN
      if (!fits(value)) return new Misuse(`is not ${kind}; ${allowed(kind, range)} is allowed.`)
      const outside = value < from || value > to || (above && value === from) || (below && value === to)
      return outside ? new Misuse(`is out of range; ${allowed(kind, range)} is allowed.`) : value
    },
  }
}

/** "a number above 0", "a whole number from 1 to 64", "a number from 0 upwards, below 1". */
function allowed(kind: string, { from, to, above = false, below = false }: Range): string {
  const low = from === undefined ? undefined : above ? `above ${from}` : `from ${from}`
  const high =
    to === undefined ? (low === undefined || above ? undefined : 'upwards') : below ? `to below ${to}` : `to ${to}`
  return [kind, low, high].filter((part) => part !== undefined).join(' ')
}

/** One of a few words. */
export function choice<const T extends string>(words: readonly T[], shown: Shown): Setting<T> {
  return {
    placeholder: '<word>',
    ...shown,
    help: `${shown.help}: ${words.join(', ')}`,
    read(text) {
      const found = words.find((word) => word === text)
      if (found !== undefined) return found
      const near = nearestName(text, words)
      const meant = near === undefined ? '' : ` Did you mean '${near}'?`
      return new Misuse(`is not known; allowed: ${words.join(', ')}.${meant}`)
    },
  }
}

/** Any text but the empty one: a path, a pattern, a name. */
export function text(placeholder: string, shown: Shown): Setting<string> {
  return {
    placeholder,
    ...shown,
    read: (given) => (given === '' ? new Misuse('is empty; leave the option out or give it a value.') : given),
  }
}

/** A preset's name, a file, or in a configuration file the list that stands in such a file. */
export function augmentation(shown: Shown): Setting<string | readonly AugmentInput[]> {
  return {
    placeholder: '<word|file>',
    ...shown,
    takesLists: true,
    read(given) {
      if (!given.startsWith('[')) return text('', shown).read(given)
      try {
        // What `readConfiguration` made of a list.
        return completeEntries(JSON.parse(given), 'the list')
      } catch (error) {
        return new Misuse(`cannot be read: ${error instanceof Error ? error.message : String(error)}`)
      }
    },
  }
}

/** On or off. The flags are `--name` and `--no-name`; elsewhere true and false. */
export function onOff(shown: Shown & { readonly shownNegated?: boolean }): Setting<boolean> {
  const words: Readonly<Record<string, boolean>> = {
    true: true,
    1: true,
    yes: true,
    on: true,
    false: false,
    0: false,
    no: false,
    off: false,
  }
  return {
    ...shown,
    read: (given) => words[given.toLowerCase()] ?? new Misuse('is neither true nor false.'),
  }
}

/** A learning rate, or two as 'A:B'. */
export function rates(shown: Shown): Setting<number | string> {
  return {
    placeholder: '<rate>',
    ...shown,
    read(given) {
      if (!given.includes(':')) return number({ from: 0, above: true }, shown).read(given)
      try {
        parseRates(given)
        return given
      } catch {
        return new Misuse('is not two rates; two numbers above 0 are allowed, such as 1e-5:1e-3.')
      }
    },
  }
}

const unitBytes: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 2 ** 10,
  kib: 2 ** 10,
  kb: 1e3,
  m: 2 ** 20,
  mib: 2 ** 20,
  mb: 1e6,
  g: 2 ** 30,
  gib: 2 ** 30,
  gb: 1e9,
}

/** A size in bytes, written as `512MiB`, `2GiB`, `1.5GB`. */
export function size(
  range: { readonly from: number; readonly to: number; readonly words: string },
  shown: Shown,
): Setting<number> {
  return {
    placeholder: '<size>',
    ...shown,
    read(given) {
      const [, amount, unit] = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(given) ?? []
      const factor = unit === undefined ? undefined : unitBytes[unit.toLowerCase()]
      if (amount === undefined || factor === undefined) {
        return new Misuse(`is not a size; ${range.words} is allowed, such as 512MiB or 2GiB.`)
      }
      const bytes = Math.floor(Number(amount) * factor)
      return bytes < range.from || bytes > range.to ? new Misuse(`is out of range; ${range.words} is allowed.`) : bytes
    },
  }
}

/** Longer, and Node's timers would end at once. */
const longestSeconds = 24 * 24 * 3600

function readTime(given: string): number | undefined {
  const seconds = secondsOf(given)
  return seconds !== undefined && seconds > 0 && seconds <= longestSeconds ? seconds : undefined
}

/** A time with its unit, `90s`, `20m` or `1.5h`, as seconds. */
export function timeSpan(shown: Shown): Setting<number> {
  return {
    placeholder: '<time>',
    ...shown,
    read: (given) =>
      readTime(given) ?? new Misuse('is not a time; a number and s, m or h is allowed, such as 90s, 20m or 1.5h.'),
  }
}

/** A number of steps or a time with its unit, as it was written. */
export function stepsOrTime(shown: Shown): Setting<string> {
  return {
    placeholder: '<n|time>',
    ...shown,
    read: (given) =>
      /^[1-9]\d{0,8}$/.test(given) || readTime(given) !== undefined
        ? given
        : new Misuse('is neither a number of steps nor a time; allowed are 200, 90s, 5m, 1h and their like.'),
  }
}

/** `--epochs: 'ten' is not …`: the problem with the place and the text in front. */
export function describeMisuse(place: string, given: string, misuse: Misuse): string {
  return `${place}: '${inertName(given, 200)}' ${misuse.problem}`
}
