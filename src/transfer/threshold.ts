// From which probability on a label can be trusted.
import * as path from 'node:path'
import { RegraftError } from '../errors.ts'
import { isJsonObject, readJson, writeJson } from '../files/strict-json.ts'
import { inertName } from '../inert-text.ts'
import { findModel, modelsFolder } from '../model/find-model.ts'
import { findLoneHead } from '../model/lone-head.ts'

/** The label of a picture whose best class is less probable than the model's threshold. */
export const UNKNOWN = 'unknown'

/** A prediction of known outcome. */
export interface Judged {
  /** Probability of the label that was given. */
  readonly score: number
  readonly right: boolean
}

/**
 * The smallest score from which on at least `precision` of the labels are right, so that as few as can be are unknown.
 * @throws RegraftError 'data' when there is none
 */
export function thresholdFor(
  judged: readonly Judged[],
  precision: number,
): { readonly value: number; readonly precision: number; readonly coverage: number } {
  const sorted = [...judged].sort((a, b) => b.score - a.score)
  let right = 0
  let best: { value: number; precision: number; coverage: number } | undefined
  for (const [at, { score, right: isRight }] of sorted.entries()) {
    if (isRight) right += 1
    // Equal scores go together.
    if (sorted[at + 1]?.score === score) continue
    const reached = right / (at + 1)
    if (reached >= precision) best = { value: score, precision: reached, coverage: (at + 1) / sorted.length }
  }
  if (best !== undefined) return best
  throw new RegraftError(
    'data',
    `--precision ${precision} is not reached: even of the most probable labels fewer are right. Ask for less, or train longer.`,
  )
}

/**
 * Writes a threshold into a model's regraft.json.
 * @throws RegraftError 'usage' for a model that was not saved here
 */
export async function storeThreshold(model: string, threshold: number): Promise<void> {
  const lone = await findLoneHead(model)
  // What was just evaluated is on this machine.
  const { folder, hub } = lone ? { folder: lone.folder, hub: undefined } : await findModel(model, { offline: true })
  if (hub !== undefined || path.dirname(path.resolve(folder)) === path.resolve(modelsFolder)) {
    throw new RegraftError(
      'usage',
      `--store: ${inertName(model)} comes with regraft or from the hub and stays as it is. Train a model of your own.`,
    )
  }
  const file = path.join(folder, 'regraft.json')
  const saved = await readJson(file, { code: 'usage' })
  if (!isJsonObject(saved)) throw new RegraftError('usage', `${inertName(file)} holds no model.`, { file })
  await writeJson(file, { ...saved, threshold })
}
