// `--init`: how what is fresh begins.
import { RegraftError } from '../errors.ts'
import { inertName } from '../inert-text.ts'
import { type Initialiser, initialiserNamed, UnknownInitialiser } from '../model/initialisers.ts'

/** @returns undefined where nothing was said @throws RegraftError 'usage' */
export function chosenInitialiser({ init }: { readonly init: string | null }): Initialiser | undefined {
  if (init === null) return undefined
  try {
    return initialiserNamed(init)
  } catch (error) {
    if (!(error instanceof UnknownInitialiser)) throw error
    throw new RegraftError('usage', `--init: '${inertName(init)}' ${error.message}.`)
  }
}
