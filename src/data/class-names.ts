import { RegraftError } from '../errors.ts'
import { inertName } from '../inert-text.ts'
import { nearestName } from '../nearest-name.ts'

/**
 * Refuses class names that a reader, or another file system, would take for the same: those that differ only by case
 * or by Unicode normalisation.
 */
export function checkClassNames(classes: readonly string[], place: string): void {
  const byMeaning = new Map<string, string[]>()
  for (const name of classes) {
    const meaning = name.normalize('NFC').toLowerCase().normalize('NFC')
    byMeaning.set(meaning, [...(byMeaning.get(meaning) ?? []), name])
  }
  const clashes = [...byMeaning.values()].filter((names) => names.length > 1)
  if (clashes.length === 0) return
  const lines = clashes.map((names) => names.map(revealed).join(' and '))
  throw new RegraftError(
    'data',
    `${inertName(place)}: class names that differ only by case or Unicode normalisation: ${lines.join('; ')}. ` +
      'Rename a folder, or put its pictures together.',
    { file: place },
  )
}

/**
 * Refuses folders that are none of the known classes, each with the class that was probably meant, and folders whose name several classes
 * have, as of 'crane' in ImageNet, the bird and the machine.
 */
export function checkKnownClasses(found: readonly string[], classes: readonly string[], place: string): void {
  const numbers = new Map<string, number[]>()
  for (const [number, name] of classes.entries()) numbers.set(name, [...(numbers.get(name) ?? []), number])
  checkTold(found, numbers, place)
  const unknown = found.filter((name) => !numbers.has(name))
  if (unknown.length === 0) return
  const lines = unknown.slice(0, 10).map((name) => {
    const nearest = nearestClass(name, classes)
    return `'${inertName(name, 200)}'${nearest === undefined ? '' : ` (did you mean ${revealed(nearest)}?)`}`
  })
  const more = unknown.length > 10 ? ` and ${unknown.length - 10} more` : ''
  const names = classes.slice(0, 20).map((name) => `'${inertName(name, 100)}'`)
  throw new RegraftError(
    'data',
    `${inertName(place)}: not among the classes: ${lines.join(', ')}${more}. ` +
      `The classes are ${names.join(', ')}${classes.length > 20 ? ` and ${classes.length - 20} more` : ''}.`,
    { file: place },
  )
}

function checkTold(found: readonly string[], numbers: ReadonlyMap<string, readonly number[]>, place: string): void {
  const [name, several] =
    found.map((each) => [each, numbers.get(each) ?? []] as const).find(([, at]) => at.length > 1) ?? []
  if (name === undefined) return
  throw new RegraftError(
    'data',
    `${inertName(place)}: '${inertName(name, 200)}' is the name of several classes of the model (numbers ${several?.join(' and ')}), ` +
      'so nobody can tell which one is meant. Leave these pictures out, or give each class a name of its own where the model names them.',
    { file: place },
  )
}

function nearestClass(name: string, classes: readonly string[]): string | undefined {
  const meant = name.normalize('NFC').toLowerCase()
  return classes.find((other) => other.normalize('NFC').toLowerCase() === meant) ?? nearestName(name, classes)
}

/** A name in quotes; where letters could look alike, with its code points, so that two spellings can be told apart. */
function revealed(name: string): string {
  const quoted = `'${inertName(name, 200)}'`
  if (/^[\x20-\x7e]*$/.test(name)) return quoted
  const points = [...name.slice(0, 40)].map((letter) =>
    (letter.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0'),
  )
  return `${quoted} (U+${points.join(' ')})`
}
