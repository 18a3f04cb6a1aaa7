// The initialisers by their names: how fresh weights and biases are drawn.
import { nearestName } from '../nearest-name.ts'
import type { RandomStream } from '../random.ts'

/** Where values come from: one value, or a normal or uniform distribution around 0 of this standard deviation. */
type Distribution =
  | { readonly kind: 'constant'; readonly value: number }
  | { readonly kind: 'normal' | 'uniform'; readonly deviation: (fan: Fan) => number }

/** Inputs and outputs of a weight: what a sum goes over, forward and backward. */
export interface Fan {
  readonly in: number
  readonly out: number
}

/** How a layer's parameters begin. */
export interface Initialiser {
  readonly weights: Distribution
  readonly biases: Distribution
}

const zero: Distribution = { kind: 'constant', value: 0 }
const fixed = (kind: 'normal' | 'uniform', deviation: number): Distribution => ({ kind, deviation: () => deviation })
/** Of the variance gain / fan. */
const scaled = (kind: 'normal' | 'uniform', gain: number, fan: (fan: Fan) => number): Distribution => ({
  kind,
  deviation: (of) => Math.sqrt(gain / fan(of)),
})
const inputs = (fan: Fan) => fan.in
const outputs = (fan: Fan) => fan.out
const both = (fan: Fan) => (fan.in + fan.out) / 2

/** Those without a number. Variances are those of the papers; nothing is cut off. */
const named = new Map<string, Distribution>(
  Object.entries({
    zeros: zero,
    // LeCun et al. 1998: 1/sqrt(n) of the inputs keeps the size of sums.
    'lecun-normal': scaled('normal', 1, inputs),
    'lecun-uniform': scaled('uniform', 1, inputs),
    // Glorot & Bengio 2010, http://proceedings.mlr.press/v9/glorot10a.html
    'xavier-normal': scaled('normal', 1, both),
    'xavier-uniform': scaled('uniform', 1, both),
    // He et al. 2015, https://arxiv.org/abs/1502.01852: ReLU lets half of it through.
    'he-normal': scaled('normal', 2, inputs),
    'he-uniform': scaled('uniform', 2, inputs),
    'he-normal-fan-out': scaled('normal', 2, outputs),
    'he-uniform-fan-out': scaled('uniform', 2, outputs),
  }),
)

const layerwise = new Map<string, Initialiser>(
  Object.entries({
    'standard-normal': { weights: fixed('normal', 1), biases: fixed('normal', 1) },
    // torch.nn.Linear and Conv2d: kaiming_uniform_ with a = sqrt(5), and biases from the same interval.
    pytorch: { weights: scaled('uniform', 1 / 3, inputs), biases: scaled('uniform', 1 / 3, inputs) },
  }),
)

const shorthands = new Map<string, string>(
  Object.entries({
    lecun: 'lecun-normal',
    xavier: 'xavier-uniform',
    glorot: 'xavier-uniform',
    he: 'he-normal',
    kaiming: 'he-normal',
  }),
)

/** All names; the last three take a number. */
export const initialiserNames: readonly string[] = [
  ...named.keys(),
  ...layerwise.keys(),
  'normal:STD',
  'uniform:A',
  'constant:V',
]

/** A name that is none: what is wrong with it, as the rest of a sentence. */
export class UnknownInitialiser extends Error {}

/**
 * Reads 'he-normal', 'normal:0.01', 'uniform:0.1', or two of them with a comma, the second one for biases, which are 0 else.
 * @throws UnknownInitialiser
 */
export function initialiserNamed(text: string): Initialiser {
  const [first = '', second, ...rest] = text.toLowerCase().split(',')
  if (rest.length > 0) throw new UnknownInitialiser('has more than two parts: one for weights and one for biases')
  const name = shorthands.get(first) ?? first
  const whole = layerwise.get(name)
  if (whole !== undefined) {
    if (second !== undefined) throw new UnknownInitialiser(`says twice how biases begin: ${name} has its own`)
    return whole
  }
  const weights = distributionNamed(name)
  const biases = second === undefined ? zero : distributionNamed(second)
  if (second !== undefined && named.has(second) && second !== 'zeros')
    throw new UnknownInitialiser('has biases by fan; they have none. Use zeros, constant:V, normal:STD or uniform:A')
  return { weights, biases }
}

function distributionNamed(text: string): Distribution {
  const own = named.get(text)
  if (own !== undefined) return own
  const [, kind, given = ''] = /^(normal|uniform|constant):(.*)$/.exec(text) ?? []
  const number = /^-?\d*\.?\d+(e[+-]?\d+)?$/.test(given) ? Number(given) : Number.NaN
  if (kind === 'constant' && Number.isFinite(number)) return { kind, value: number }
  if (number > 0 && number <= 1e6) {
    if (kind === 'normal') return fixed('normal', number)
    if (kind === 'uniform') return fixed('uniform', number / Math.sqrt(3))
  }
  if (kind !== undefined)
    throw new UnknownInitialiser(
      `needs a number${kind === 'constant' ? '' : ' above 0'} behind the colon, as in ${kind}:0.01`,
    )
  const near = nearestName(
    text,
    initialiserNames.map((each) => each.split(':')[0] ?? each),
  )
  throw new UnknownInitialiser(
    `is not known; allowed: ${initialiserNames.join(', ')}${near === undefined ? '' : `. Did you mean '${near}'?`}`,
  )
}

/** Values of a distribution, one after the other. */
export function drawer(distribution: Distribution, fan: Fan, random: RandomStream): () => number {
  if (distribution.kind === 'constant') return () => distribution.value
  const deviation = distribution.deviation(fan)
  if (distribution.kind === 'normal') return () => deviation * random.normal()
  const bound = deviation * Math.sqrt(3)
  return () => bound * (2 * random.uniform() - 1)
}
