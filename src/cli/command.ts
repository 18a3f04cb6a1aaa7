import type { Listener } from '../train/events.ts'
import type { WorkOptions } from '../transfer/options.ts'
import type { DataOutput } from './data-output.ts'
import { type Given, readValues, type Settings, type Values } from './settings.ts'
import type { Verbs } from './verbs.ts'

/** What a command works with. */
export interface Work {
  readonly verbs: Verbs
  readonly stdin: AsyncIterable<Uint8Array | string>
  readonly environment: Readonly<Record<string, string | undefined>>
  /** The words that start this program once more. */
  readonly program: readonly string[]
  /** Reads words as the command line would. @throws RegraftError 'usage' with all that is wrong with them */
  check(words: readonly string[]): CheckedWords
  readonly output: DataOutput
  /** What every verb takes; starts the engine. */
  options(): Required<Pick<WorkOptions, 'engine' | 'signal' | 'listener'>> & Pick<WorkOptions, 'offline'>
  /** What a verb takes that only opens models; starts no engine. */
  access(): Required<Pick<WorkOptions, 'signal' | 'listener'>> & Pick<WorkOptions, 'offline'>
  readonly signal: AbortSignal
  /** Shows what happens, for verbs that need no engine. */
  readonly listener: Listener
  /** Speaks to people, on stderr; silent with `--quiet`. */
  say(text: string): void
  /** No bar from now on: rows go to the same terminal. */
  hideBar(): void
}

/** What words on a command line mean. */
export interface CheckedWords {
  readonly command: string
  /** Values of options by their names in camel case, as they were written. */
  readonly flags: Readonly<Record<string, unknown>>
}

/** What stands behind the name of a command. */
export interface Argument {
  readonly name: string
  readonly help: string
  readonly optional?: boolean
  readonly several?: boolean
}

/** A command as the parser and the help know it. */
export interface Command {
  readonly name: string
  readonly summary: string
  /** More lines for its own help. */
  readonly description?: string
  readonly arguments: readonly Argument[]
  readonly settings: Settings
  /** Of many options those that `--help` shows; `--help-all` shows all. */
  readonly common?: readonly string[]
  readonly examples: readonly string[]
  /** @returns the exit code */
  run(given: Given, positionals: readonly string[], work: Work): Promise<number>
}

/** Binds a command's options to their types: `run` receives their values. */
export function defineCommand<S extends Settings>(
  definition: Omit<Command, 'settings' | 'run'> & {
    readonly settings: S
    run(values: Values<S>, positionals: readonly string[], work: Work): Promise<number>
  },
): Command {
  return {
    ...definition,
    run: (given, positionals, work) => definition.run(readValues(definition.settings, given), positionals, work),
  }
}
