// The options that say what a new head is.
import { RegraftError } from '../errors.ts'
import { inertName } from '../inert-text.ts'
import type { Head } from '../model/head.ts'
import { activationNames, activationText, hiddenActivation, usualActivation } from '../model/hidden-activation.ts'
import { nearestName } from '../nearest-name.ts'

const MOST_WIDTH = 8192
const MOST_DEPTH = 8
const MOST_PIECES = 16

/**
 * The head of 'linear', 'mlp', 'mlp:256', 'mlp:256x2' (width x depth), 'maxout', 'maxout:128' or 'maxout:128x3' (width x pieces).
 * @param activation  of the hidden layers of an mlp; null: ReLU
 * @throws RegraftError 'usage'
 */
export function parseHead(text: string, activation: string | null = null): Head {
  const head = headNamed(text)
  if (activation === null) return head
  if (head.kind !== 'mlp')
    throw new RegraftError(
      'usage',
      `--activation ${inertName(activation)} is for hidden layers, and --head ${text} ${head.kind === 'maxout' ? 'has its maximum in its place' : 'has none'}. Leave it out, or use --head mlp.`,
    )
  const found = hiddenActivation(activation)
  if (found === undefined) throw unknownActivation(activation)
  const name = activationText(found)
  return name === usualActivation ? head : { ...head, activation: name }
}

function headNamed(text: string): Head {
  if (text === 'linear') return { kind: 'linear' }
  const [, kind, first, second] = /^(mlp|maxout)(?::(\d+)(?:x(\d+))?)?$/.exec(text) ?? []
  const width = Number(first ?? (kind === 'mlp' ? 256 : 128))
  const [depth, pieces] = [Number(second ?? 1), Number(second ?? 2)]
  const fits = width >= 1 && width <= MOST_WIDTH
  if (kind === 'mlp' && fits && depth >= 1 && depth <= MOST_DEPTH) return { kind, width, depth }
  if (kind === 'maxout' && fits && pieces >= 2 && pieces <= MOST_PIECES) return { kind, width, pieces }
  const name = text.split(':')[0] ?? ''
  const near = kind === undefined ? nearestName(name, ['linear', 'mlp', 'maxout']) : undefined
  throw new RegraftError(
    'usage',
    `--head ${inertName(text)} is not understood.${near === undefined || near === name ? '' : ` Did you mean '${near}'?`} Use linear, mlp, mlp:WIDTH or mlp:WIDTHxDEPTH (at most ${MOST_WIDTH}x${MOST_DEPTH}), as in mlp:256x2, or ` +
      `maxout, maxout:WIDTH or maxout:WIDTHxK (of 2 to ${MOST_PIECES} pieces), as in maxout:128x2.`,
  )
}

function unknownActivation(text: string): RegraftError {
  const name = text.split(':')[0] ?? ''
  if (hiddenActivation(name) !== undefined)
    return new RegraftError(
      'usage',
      `--activation ${inertName(text)}: ${name} does not take that. Numbers: leaky-relu:0.1 (from 0 to below 1), elu:1 and softplus:1 (above 0); prelu:shared has one slope for all units.`,
    )
  const near = nearestName(name, activationNames)
  return new RegraftError(
    'usage',
    `--activation ${inertName(text)} is not known.${near === undefined ? '' : ` Did you mean '${near}'?`} Use ${activationNames.join(', ')}.`,
  )
}
