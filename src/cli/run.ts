// One call of the command line, from its words to its exit code.
import { RegraftError } from '../errors.ts'
import type { WorkEvent } from '../train/events.ts'
import type { Command } from './command.ts'
import { commands } from './commands/index.ts'
import { type DataOutput, dataOutput, ReaderGone } from './data-output.ts'
import { lazyEngine, machineSettings } from './engine.ts'
import { eventsFile } from './events-file.ts'
import type { Host } from './host.ts'
import { listenToSignals } from './interruption.ts'
import { parse, settingsOf } from './parse.ts'
import { printError } from './print-error.ts'
import { showProgress } from './progress.ts'
import { gather, readValues, unknownVariables } from './settings.ts'
import { generalSettings } from './shared-settings.ts'

/** Width of the help where there is no terminal to ask. */
const widthElsewhere = 100

/** Does what the words say. Nothing is thrown; errors are printed. @returns the exit code */
export async function run(words: readonly string[], host: Host): Promise<number> {
  const output = dataOutput(host.stdout)
  // When nobody reads what is said to people, the work goes on.
  host.stderr.on('error', () => undefined)
  try {
    const request = parse(words, commands, host.stdout.columns ?? widthElsewhere)
    if ('command' in request) return await execute(request.command, request.positionals, request.flags, host, output)
    if (request.exitCode === 0) await output.write(request.text)
    else host.stderr.write(request.text)
    return request.exitCode
  } catch (error) {
    return error instanceof ReaderGone ? 0 : printError(error, host.stderr)
  }
}

async function execute(
  command: Command,
  positionals: readonly string[],
  flags: Readonly<Record<string, unknown>>,
  host: Host,
  output: DataOutput,
): Promise<number> {
  const settings = settingsOf(command)
  const given = await gather(settings, flags, host.environment)
  // All at once, so that all mistakes are told at once.
  readValues(settings, given)
  const general = readValues(generalSettings, given)

  const progress = showProgress({
    stream: host.stderr,
    quiet: general.quiet ?? false,
    dumb: host.environment['TERM'] === 'dumb',
    now: host.now,
  })
  const known = commands.flatMap((each) => Object.keys(settingsOf(each)))
  for (const line of unknownVariables(host.environment, known)) progress.say(line)
  const interruption = listenToSignals(host, progress.say, progress.close)
  const engine = lazyEngine(host, readValues(machineSettings, given))
  const events = general.events === undefined ? undefined : eventsFile(general.events, interruption.abort)
  const listener = (event: WorkEvent) => {
    progress.listener(event)
    events?.listener(event)
  }

  const { offline } = general
  const access = { signal: interruption.signal, listener, ...(offline !== undefined && { offline }) }

  try {
    const exitCode = await command.run(given, positionals, {
      verbs: host.verbs,
      stdin: host.stdin,
      environment: host.environment,
      output,
      signal: interruption.signal,
      listener,
      options: () => ({ engine: engine.get(), ...access }),
      access: () => access,
      say: progress.say,
      hideBar: progress.hideBar,
    })
    await events?.close()
    return exitCode
  } catch (error) {
    // Already the reason of the abort, when it is the events that failed.
    await events?.close().catch(() => undefined)
    throw thrownReason(error, interruption.signal)
  } finally {
    progress.close()
    await engine.close()
    interruption.close()
  }
}

/** Libraries below may wrap the reason of an abort in an error of their own. */
function thrownReason(error: unknown, signal: AbortSignal): unknown {
  const wrapped = error instanceof Error && error.name === 'AbortError' && signal.reason instanceof RegraftError
  return wrapped ? signal.reason : error
}
