// From what people write to a complete list of augmentations.
import { RegraftError } from '../../errors.ts'
import type { JsonValue } from '../../files/strict-json.ts'
import { inertName } from '../../inert-text.ts'
import { nearestName } from '../../nearest-name.ts'
import { number } from './fields.ts'
import type { AugmentationKind } from './kind.ts'
import { augmentationKinds } from './kinds.ts'

/** An augmentation with all its options, under its name: `{ rotate: { p: 1, degrees: [-15, 15], fill: 'mean' } }`. */
export interface AugmentEntry {
  [name: string]: { [option: string]: JsonValue }
}

/**
 * An augmentation as it may be written: its name; or its name with its options, those left out as usual; or with the value of its main
 * option: `'horizontalFlip'`, `{ rotate: { degrees: 20, p: 0.5 } }`, `{ rotate: 20 }`.
 */
export type AugmentInput = string | { readonly [name: string]: unknown }

const probability = number(1, { from: 0, to: 1 })
/** `horizontal-flip`, `HorizontalFlip` and `horizontal_flip` are the same. */
const plain = (name: string) => name.replace(/[-_ ]/g, '').toLowerCase()
const kindsByName = new Map(augmentationKinds.map((kind) => [plain(kind.name), kind]))

/**
 * Completes a list of augmentations.
 * @param source  where it stands, for messages
 * @param file    when that is a file
 * @throws RegraftError 'usage' naming every entry that is wrong, a line each
 */
export function completeEntries(list: unknown, source: string, file?: string): readonly AugmentEntry[] {
  if (!Array.isArray(list) || list.length === 0) {
    throw new RegraftError(
      'usage',
      `${inertName(source)}: expected a list of augmentations, such as '- rotate: 15' in YAML; see docs/augmentation.md.`,
      { file },
    )
  }
  const problems: string[] = []
  const entries: AugmentEntry[] = []
  for (const [index, item] of list.entries()) {
    const place = `${inertName(source)}, entry ${index + 1}`
    const read = readEntry(item, index)
    if (typeof read === 'string') problems.push(`${place}${read}`)
    else entries.push(read)
  }
  if (problems.length > 0) throw new RegraftError('usage', problems.join('\n'), { file })
  return entries
}

/** The kind and the options of a complete entry. */
export function openEntry(entry: AugmentEntry): { readonly kind: AugmentationKind; readonly options: OpenOptions } {
  const [name = '', options = {}] = Object.entries(entry)[0] ?? []
  const kind = kindsByName.get(plain(name))
  if (kind === undefined) throw new Error(`an augmentation '${name}' that nobody read`)
  return { kind, options: options as OpenOptions }
}

type OpenOptions = Readonly<Record<string, never>> & { readonly p: number }

/** @returns the end of a sentence that begins with the place, where it is wrong */
function readEntry(item: unknown, index: number): AugmentEntry | string {
  const pairs = typeof item === 'string' ? [[item, {}] as const] : isObject(item) ? Object.entries(item) : []
  const [[name, given] = ['', undefined], second] = pairs
  if (name === '' || second !== undefined) {
    return ': expected one augmentation by name, with its options below it; each begins with a dash of its own.'
  }
  const kind = kindsByName.get(plain(name))
  if (kind === undefined) return `: ${unknownName(name)}`
  if (kind.first && index > 0) return ` (${kind.name}): it cuts from the whole picture and has to be the first entry.`
  const fields = new Map(Object.entries({ p: { ...probability, fallback: kind.probability }, ...kind.fields }))
  const options = new Map<string, unknown>()
  for (const [key, value] of Object.entries(isObject(given) ? given : { [kind.main ?? 'p']: given })) {
    // Behind a name and a colon may stand nothing at all.
    if (value === null && !isObject(given)) continue
    const option = [...fields.keys()].find((known) => plain(known) === plain(key))
    if (option === undefined) {
      const near = nearestName(key, fields.keys())
      const meant = near === undefined ? '' : ` Did you mean '${near}'?`
      return ` (${kind.name}): there is no option '${inertName(key, 100)}', only ${[...fields.keys()].join(', ')}.${meant}`
    }
    if (options.has(option)) return ` (${kind.name}): ${option} is given twice.`
    options.set(option, value)
  }
  const complete: { [option: string]: JsonValue } = {}
  for (const [option, field] of fields) {
    const value = options.has(option) ? field.read(options.get(option)) : field.fallback
    if (value === undefined) {
      const said = inertName(JSON.stringify(options.get(option)) ?? 'nothing', 100)
      return ` (${kind.name}): ${option} is ${said}, but must be ${field.allowed}.`
    }
    // Fields read numbers, words, truth values and pairs of numbers; YAML would write a pair that two have in common as an alias.
    complete[option] = structuredClone(value as JsonValue)
  }
  return { [kind.name]: complete }
}

function unknownName(name: string): string {
  const foreign = augmentationKinds.find(({ alsoKnownAs }) =>
    alsoKnownAs?.some((other) => plain(other) === plain(name)),
  )
  const near =
    foreign?.name ??
    nearestName(
      name,
      augmentationKinds.map((kind) => kind.name),
    )
  const meant = near === undefined ? '' : ` Did you mean '${near}'?`
  const all = augmentationKinds.map((kind) => kind.name).join(', ')
  return `there is no augmentation '${inertName(name, 100)}'.${meant}\nKnown are ${all}.`
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
