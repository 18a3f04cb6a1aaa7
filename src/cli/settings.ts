// Where the values of options come from: flag, then environment, then configuration file.
import { RegraftError } from '../errors.ts'
import { inertName } from '../inert-text.ts'
import { nearestName } from '../nearest-name.ts'
import { describeMisuse, Misuse, type Setting } from './values.ts'
import { readYamlFile } from './yaml-file.ts'

/** Options by their name in camel case. */
export type Settings = Readonly<Record<string, Setting<unknown>>>

/** The values of settings; absent when nobody gave one, so that the default of the verb holds. */
export type Values<S extends Settings> = { readonly [K in keyof S]?: S[K] extends Setting<infer T> ? T : never }

/** Everything that was said, as text, with the place to name in an error. */
export type Given = ReadonlyMap<string, { readonly text: string; readonly place: string }>

/** `batchSize` → `batch-size` */
export function flagName(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

/** `batchSize` → `REGRAFT_BATCH_SIZE` */
export function variableName(name: string): string {
  return `REGRAFT_${flagName(name).replaceAll('-', '_').toUpperCase()}`
}

/**
 * Puts the sources together, the strongest first.
 * @param flags  what stands on the command line: text, or true and false for switches
 * @throws RegraftError `usage`  for an unknown key in the configuration file
 */
export async function gather(
  settings: Settings,
  flags: Readonly<Record<string, unknown>>,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<Given> {
  const given = new Map<string, { text: string; place: string }>()
  for (const name of Object.keys(settings)) {
    const flag = flags[name]
    const variable = variableName(name)
    const fromEnvironment = environment[variable]
    if (flag !== undefined) given.set(name, { text: String(flag), place: `--${flagName(name)}` })
    else if (fromEnvironment) given.set(name, { text: fromEnvironment, place: variable })
  }
  const file = given.get('config')?.text
  if (file === undefined) return given
  for (const [name, entry] of await readConfiguration(file, settings)) if (!given.has(name)) given.set(name, entry)
  return given
}

/**
 * Reads the values of some settings.
 * @throws RegraftError `usage`  with all that is wrong, a line each
 */
export function readValues<S extends Settings>(settings: S, given: Given): Values<S> {
  const values: Record<string, unknown> = {}
  const problems: string[] = []
  for (const [name, setting] of Object.entries(settings)) {
    const entry = given.get(name)
    if (entry === undefined) continue
    const value = setting.read(entry.text)
    if (value instanceof Misuse) problems.push(describeMisuse(entry.place, entry.text, value))
    else values[name] = value
  }
  if (problems.length > 0) throw new RegraftError('usage', problems.join('\n'))
  // Each value was read by the setting of its name, which is what the type says.
  return values as Values<S>
}

/** The file's entries as text, whatever the spelling of their names: `batch-size`, `batchSize` or `batch_size`. */
async function readConfiguration(
  file: string,
  settings: Settings,
): Promise<Map<string, { text: string; place: string }>> {
  const root = await readYamlFile(file)
  if (root === null) return new Map()
  if (typeof root !== 'object' || Array.isArray(root)) {
    throw new RegraftError('usage', `${inertName(file)}: expected options by name, such as 'epochs: 10'.`, { file })
  }
  const entries = new Map<string, { text: string; place: string }>()
  const problems: string[] = []
  for (const [key, value] of Object.entries(root)) {
    const place = `${inertName(file)}: ${inertName(key, 100)}`
    const name = key.replace(/[-_]([a-z])/g, (_, letter: string) => letter.toUpperCase())
    if (!Object.hasOwn(settings, name) || name === 'config') {
      const near = nearestName(flagName(name), Object.keys(settings).map(flagName))
      problems.push(`${place}: this option is not known here.${near === undefined ? '' : ` Did you mean '${near}'?`}`)
    } else if (entries.has(name)) problems.push(`${place}: this option is given twice.`)
    // The configuration that a run writes says null where the default of the model holds.
    else if (value === null) continue
    else if (Array.isArray(value) && settings[name]?.takesLists)
      entries.set(name, { text: JSON.stringify(value), place })
    else if (typeof value === 'object') problems.push(`${place}: expected one value, not several.`)
    else if (typeof value === 'string' && isNumberFor(settings[name], value))
      problems.push(`${place}: '${inertName(value, 100)}' is a text; write the number without quotes.`)
    else entries.set(name, { text: String(value), place })
  }
  if (problems.length > 0) throw new RegraftError('usage', problems.join('\n'), { file })
  return entries
}

/** Whether a text is no more than the number that a setting takes. */
function isNumberFor(setting: Setting<unknown> | undefined, text: string): boolean {
  return Number.isFinite(Number(text)) && typeof setting?.read(text) === 'number'
}

/** Variables that begin as ours do and that no command knows: probably a slip of the pen. */
export function unknownVariables(
  environment: Readonly<Record<string, string | undefined>>,
  known: Iterable<string>,
): readonly string[] {
  const names = new Set([...known].map(variableName))
  return Object.keys(environment)
    .filter((name) => name.startsWith('REGRAFT_') && !names.has(name))
    .sort()
    .map((name) => {
      const near = nearestName(name, names)
      return `The environment variable ${inertName(name, 100)} is not known and has no effect.${near === undefined ? '' : ` Did you mean ${near}?`}`
    })
}
