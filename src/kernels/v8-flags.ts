// Flags of V8, which concern the whole process: set for the moment of compiling and set back, without a pause in between.
import { setFlagsFromString } from 'node:v8'

/** The first number of V8's version: 11 in Node 20, 12 in 22, 13 in 24, 14 in 26. */
export const v8Major = Number(process.versions.v8.split('.')[0])

/**
 * Does the work under flags, given without their dashes; afterwards each has its opposite. The work may not wait.
 * A flag that V8 does not know is reported on stderr: ask `v8Major` before.
 */
export function withV8Flags<T>(flags: readonly string[], work: () => T): T {
  for (const flag of flags) setFlagsFromString(`--${flag}`)
  try {
    return work()
  } finally {
    for (const flag of flags) setFlagsFromString(flag.startsWith('no-') ? `--${flag.slice(3)}` : `--no-${flag}`)
  }
}
