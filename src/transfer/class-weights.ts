import { RegraftError } from '../errors.ts'
import { isJsonObject, readJson } from '../files/strict-json.ts'
import { inertName } from '../inert-text.ts'
import { nearestName } from '../nearest-name.ts'
import { balancedWeights } from '../train/targets.ts'

const MAX_FILE_BYTES = 2 ** 24

/**
 * How much the loss of a picture counts, by its class.
 * @param choice  'auto': pictures / (classes · pictures of the class), which is 1 in the mean over all pictures; else a JSON file with a
 *                positive number for each class by name, taken as they are
 * @param labels  of the training pictures
 * @param several  [pictures, classes], where pictures may have several labels; then a weight is how often a label counts that is there, and
 *                 'auto' the pictures without it by those with it: both sides of the sigmoid count alike
 * @throws RegraftError 'usage' naming what the file lacks or has too much
 */
export async function classWeightsOf(
  choice: string,
  classes: readonly string[],
  labels: readonly number[],
  several?: Float32Array,
): Promise<readonly number[]> {
  if (choice === 'auto') {
    if (several) {
      const pictures = several.length / classes.length
      const present = classes.map((_, c) =>
        several.reduce((sum, t, at) => sum + (at % classes.length === c ? t : 0), 0),
      )
      // A label that all pictures have, or none, counts as if one more had it not, or had it.
      return present.map((count) => Math.max(1, pictures - count) / Math.max(1, count))
    }
    const counts = classes.map(() => 0)
    for (const label of labels) counts[label] = (counts[label] ?? 0) + 1
    // A class without pictures is refused elsewhere, with better words.
    return balancedWeights(counts.map((count) => Math.max(1, count)))
  }
  const refuse = (problem: string) =>
    new RegraftError('usage', `--class-weights ${choice}: ${problem}`, { file: choice })
  const given = await readJson(choice, { maxBytes: MAX_FILE_BYTES })
  if (!isJsonObject(given))
    throw refuse('expected an object with a number for each class, such as {"rose": 2, "tulip": 1}.')
  const weights = new Map(Object.entries(given))
  for (const name of weights.keys()) {
    if (classes.includes(name)) continue
    const near = nearestName(name, classes)
    throw refuse(
      `there is no class '${inertName(name)}'.${near === undefined ? '' : ` Did you mean '${inertName(near)}'?`}`,
    )
  }
  return classes.map((name) => {
    const weight = weights.get(name)
    if (weight === undefined) throw refuse(`the class '${inertName(name)}' is missing.`)
    if (typeof weight !== 'number' || !(weight > 0)) throw refuse(`the weight of '${inertName(name)}' must be above 0.`)
    return weight
  })
}
