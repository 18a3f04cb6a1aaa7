import { inspect } from 'node:util'
import { RegraftError } from '../errors.ts'
import { inert } from '../inert-text.ts'
import { version } from '../version.ts'
import type { OutputStream } from './host.ts'

/** Exit code of errors that are nobody's fault but ours. */
const bug = 1

/**
 * Tells a person what went wrong: the message alone when they can do something about it, everything when it is a bug.
 * @returns the exit code
 */
export function printError(error: unknown, stream: OutputStream): number {
  if (error instanceof RegraftError) {
    stream.write(`regraft: ${inert(error.message)}\n`)
    return error.exitCode
  }
  // inspect() shows the causes too.
  const everything = error instanceof Error ? inspect(error) : `Thrown: ${inspect(error)}`
  const { node, v8 } = process.versions
  stream.write(
    `${inert(everything)}\nregraft: this is a bug in regraft. Please report it with the lines above.\n` +
      `(regraft ${version}, Node ${node}, V8 ${v8}, ${process.platform} ${process.arch})\n`,
  )
  return bug
}
