// Numbers and commands as people read them.

/** `12.1 s`, `3 min 20 s`, `1 h 2 min` */
export function duration(seconds: number): string {
  if (!(seconds >= 0) || seconds === Number.POSITIVE_INFINITY) return '? s'
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`
}

/** A number with some significant digits and no more zeros than needed: `0.91`, `2.4e-4`, `1234`. */
export function significant(value: number, digits: number): string {
  if (!Number.isFinite(value)) return String(value)
  const rounded = Number(value.toPrecision(digits))
  const magnitude = Math.abs(rounded)
  if (magnitude !== 0 && magnitude < 1e-3) return rounded.toExponential()
  return magnitude >= 10 ** digits ? String(Math.round(value)) : String(rounded)
}

/** `91.3 %` */
export function percent(fraction: number): string {
  return `${(fraction * 100).toFixed(1)} %`
}

/** A path as a shell takes it. */
export function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) && !word.startsWith('-') ? word : `'${word.replaceAll("'", "'\\''")}'`
}

/** A command as a shell takes it; options stay as they are. */
export function commandLine(words: readonly string[]): string {
  return ['regraft', ...words.map((word) => (/^-[\w@%+=:,./-]*$/.test(word) ? word : shellWord(word)))].join(' ')
}

/** JSON on one line, or on several with `indent`; characters that a terminal would obey are written as `\u009b`. */
export function jsonText(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(
    // DEL, C1, bidi controls, separators, byte-order mark; JSON.stringify itself escapes C0 and lone surrogates.
    /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
