// From the words on the command line to a request. Values stay text here; see settings.ts.
import { Argument, Command as CommanderCommand, CommanderError, Option } from 'commander'
import { RegraftError } from '../errors.ts'
import { inertName } from '../inert-text.ts'
import { nearestName } from '../nearest-name.ts'
import { version } from '../version.ts'
import type { Command } from './command.ts'
import { machineSettings } from './engine.ts'
import { exitCodeHelp, topics } from './help-topics.ts'
import { flagName, type Settings } from './settings.ts'
import { generalSettings } from './shared-settings.ts'
import { groups, type Setting } from './values.ts'

/** What is wanted: a command's work, or a text. */
export type Request =
  | {
      readonly command: Command
      readonly positionals: readonly string[]
      readonly flags: Readonly<Record<string, unknown>>
    }
  | { readonly text: string; readonly exitCode: number }

/** All options of a command: its own and those of every command. */
export function settingsOf(command: Command): Settings {
  return { ...command.settings, ...machineSettings, ...generalSettings }
}

/**
 * Reads the command line.
 * @param width  columns of the help
 * @throws RegraftError `usage`
 */
export function parse(words: readonly string[], commands: readonly Command[], width: number): Request {
  let request: Request | undefined
  let text = ''
  const program = new CommanderCommand('regraft')
    .description('Transfer learning and fine-tuning of image classifiers.')
    .usage('<command> [options]')
    .version(`regraft ${version}`, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand(false)
    .exitOverride()
    .configureOutput({
      writeOut: (part) => {
        text += part
      },
      writeErr: () => undefined,
      getOutHelpWidth: () => width,
      getErrHelpWidth: () => width,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .addHelpText('after', `\n${exitCodeHelp}\nMore: regraft <command> --help, regraft help configuration\n`)

  const shown = wantsAll(words) ? words.map((word) => (word === HELP_ALL ? '--help' : word)) : words
  for (const command of commands) {
    const common = shown === words && command.common !== undefined ? new Set(command.common) : undefined
    const sub = program
      .command(command.name)
      .summary(command.summary)
      .description([`${capitalised(command.summary)}.`, command.description].filter(Boolean).join('\n\n'))
      .addHelpOption(new Option('-h, --help', 'print this help').helpGroup('General:'))
      .addHelpText('after', common === undefined ? '' : moreOptions(command, common))
      .addHelpText('after', `\nExamples:\n${command.examples.map((example) => `  $ ${example}`).join('\n')}\n`)
    for (const { name, help, optional, several } of command.arguments) {
      const dots = several ? '...' : ''
      sub.addArgument(new Argument(optional ? `[${name}${dots}]` : `<${name}${dots}>`, help))
    }
    addOptions(sub, settingsOf(command), common)
    sub.action(() => {
      request = { command, positionals: sub.args, flags: sub.opts() }
    })
  }
  program
    .command('help')
    .summary('print help about a command, exit-codes or configuration')
    .argument('[topic]')
    .action((topic?: string) => {
      const known = topic === undefined ? undefined : topics[topic]
      const about = program.commands.find((command) => command.name() === topic)
      if (known !== undefined) text = known
      else if (topic !== undefined && about === undefined) throw unknownTopic(topic, commands)
      else (about ?? program).outputHelp()
      request = { text, exitCode: 0 }
    })

  if (words.length === 0) {
    program.outputHelp()
    return { text, exitCode: 2 }
  }
  refuseForgottenValues(shown, program)
  try {
    program.parse(shown, { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) return { text, exitCode: 0 }
    throw usageError(error, words, commands)
  }
  if (request === undefined) throw new Error('the parser found neither a request nor an error')
  return request
}

const HELP_ALL = '--help-all'

function wantsAll(words: readonly string[]): boolean {
  const end = words.indexOf('--')
  return words.slice(0, end < 0 ? words.length : end).includes(HELP_ALL)
}

/** Those of every command are always shown. */
function isHidden(name: string, common: ReadonlySet<string> | undefined): boolean {
  return common !== undefined && !common.has(name) && !(name in generalSettings)
}

function moreOptions(command: Command, common: ReadonlySet<string>): string {
  const hidden = Object.entries(settingsOf(command)).filter(
    ([name, { positional }]) => !positional && isHidden(name, common),
  )
  return `\n${hidden.length} more options: regraft ${command.name} ${HELP_ALL}`
}

function addOptions(sub: CommanderCommand, settings: Settings, common?: ReadonlySet<string>): void {
  const inOrder = Object.entries(settings).sort(([, a], [, b]) => groups.indexOf(a.group) - groups.indexOf(b.group))
  for (const [name, setting] of inOrder) {
    if (setting.positional) continue
    const long = flagName(name)
    const flags = [setting.short, `--${long}`].filter((part) => part !== undefined).join(', ')
    const heading = `${setting.group}:`
    const hidden = isHidden(name, common)
    if (setting.placeholder !== undefined) {
      sub.addOption(new Option(`${flags} ${setting.placeholder}`, helpOf(setting)).helpGroup(heading).hideHelp(hidden))
      continue
    }
    // Both forms exist, because a flag has to be able to overrule the configuration file.
    const negated = setting.shownNegated ?? false
    sub.addOption(new Option(flags, negated ? '' : helpOf(setting)).helpGroup(heading).hideHelp(hidden || negated))
    sub.addOption(
      new Option(`--no-${long}`, negated ? helpOf(setting) : '').helpGroup(heading).hideHelp(hidden || !negated),
    )
  }
}

function helpOf({ help, fallback }: Setting<unknown>): string {
  return fallback === undefined ? help : `${help} (default: ${fallback})`
}

/**
 * `--out --overwrite` would make a folder of that name. Who means it writes `--out=--overwrite`.
 * @throws RegraftError `usage`
 */
function refuseForgottenValues(words: readonly string[], program: CommanderCommand): void {
  const sub = program.commands.find((command) => command.name() === words[0])
  const end = words.indexOf('--')
  const wanting = new Set(sub?.options.filter((option) => option.required).map((option) => option.long))
  for (const [at, word] of words.slice(0, end < 0 ? words.length : end).entries()) {
    const next = words[at + 1]
    if (!wanting.has(word) || next === undefined || !/^--\w/.test(next)) continue
    throw new RegraftError(
      'usage',
      `${word} has no value: ${inertName(next, 100)} follows.\nIf that is the value, write ${word}=${inertName(next, 100)}.`,
    )
  }
}

/** The parser's complaint in our form, with where to read more. */
function usageError(error: CommanderError, words: readonly string[], commands: readonly Command[]): RegraftError {
  const command = commands.find(({ name }) => name === words[0])
  const lines = [error.message.replace(/^error: /, '').replace(/\(Did you mean (.*)\?\)/, "Did you mean '$1'?")]
  const [, flag] = /^error: unknown option '--(?:no-)?([\w-]+)/.exec(error.message) ?? []
  if (flag !== undefined && !lines.join().includes('Did you mean')) {
    const others = commands.filter((other) => Object.keys(settingsOf(other)).some((name) => flagName(name) === flag))
    if (others.length > 0) lines.push(`It is an option of ${others.map(({ name }) => name).join(', ')}.`)
  }
  lines.push(`See 'regraft ${command === undefined ? '' : `${command.name} `}--help'.`)
  return new RegraftError('usage', lines.join('\n'))
}

function unknownTopic(topic: string, commands: readonly Command[]): RegraftError {
  const known = [...commands.map(({ name }) => name), ...Object.keys(topics)]
  const near = nearestName(topic, known)
  const meant = near === undefined ? '' : ` Did you mean '${near}'?`
  return new RegraftError(
    'usage',
    `There is no help about '${inertName(topic, 100)}'; there is about ${known.join(', ')}.${meant}`,
  )
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
