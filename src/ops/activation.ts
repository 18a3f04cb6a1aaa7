import {
  ACTIVATION_CODES,
  type BackwardRecorder,
  channelsOf,
  defineOp,
  type ForwardRecorder,
  type FusedActivation,
  firstInput,
  onlyInput,
  type Place,
  paddedChannels,
  pixelsOf,
  rowsOf,
} from './op.ts'

/** An activation of every element by itself, and its number where it has one. */
export type ActivationAttributes =
  | { readonly kind: FusedActivation | CurveName }
  /** x, or slope·x below 0; 0 <= slope < 1, 0.01 when left out. */
  | { readonly kind: 'leaky-relu'; readonly slope?: number }
  /** x, or alpha·(e^x - 1) below 0; alpha > 0, 1 when left out. @see Clevert et al. 2016, https://arxiv.org/abs/1511.07289 */
  | { readonly kind: 'elu'; readonly alpha?: number }
  /** log(1 + e^(beta·x))/beta; beta > 0, 1 when left out. */
  | { readonly kind: 'softplus'; readonly beta?: number }

/** What the curve kernels need to know of a curve. Its number is that of assembly/curves/kernels.ts. */
interface Curve {
  readonly code: number
  /** Whether backward tells the slope from the output, or needs the input. */
  readonly sees: 'input' | 'output'
  /** Whether 0 becomes something else, which padding must not. */
  readonly movesZero?: boolean
  readonly a?: number
  readonly b?: number
}

const curves = {
  'hard-sigmoid': { code: 1, sees: 'output', movesZero: true },
  'hard-tanh': { code: 2, sees: 'output' },
  'hard-swish': { code: 3, sees: 'input' },
  // Klambauer et al. 2017, https://arxiv.org/abs/1706.02515: a and b keep mean 0 and variance 1.
  selu: { code: 4, sees: 'output', a: 1.6732632423543772, b: 1.0507009873554805 },
  sigmoid: { code: 5, sees: 'output', movesZero: true },
  tanh: { code: 6, sees: 'output' },
  softsign: { code: 7, sees: 'output' },
  silu: { code: 9, sees: 'input' },
  gelu: { code: 10, sees: 'input' },
  'gelu-tanh': { code: 11, sees: 'input' },
  mish: { code: 12, sees: 'input' },
} satisfies Record<string, Curve>

type CurveName = keyof typeof curves
export type ActivationKind = ActivationAttributes['kind']

/** All activations of single elements. */
export const activationKinds: readonly ActivationKind[] = [
  'none',
  'relu',
  'relu6',
  'leaky-relu',
  'elu',
  'softplus',
  // The keys of a record that is written above.
  ...(Object.keys(curves) as CurveName[]),
]

/** Whether a store can apply it on the way. */
export function isFused(kind: ActivationKind): kind is FusedActivation {
  return kind in ACTIVATION_CODES
}

function curveOf(attrs: ActivationAttributes): Curve {
  switch (attrs.kind) {
    case 'leaky-relu':
      return { code: 0, sees: 'output', a: between('slope', attrs.slope ?? 0.01, 0, 1) }
    case 'elu':
      return { code: 4, sees: 'output', a: between('alpha', attrs.alpha ?? 1, Number.MIN_VALUE), b: 1 }
    case 'softplus':
      return { code: 8, sees: 'input', movesZero: true, a: between('beta', attrs.beta ?? 1, Number.MIN_VALUE) }
    case 'none':
    case 'relu':
    case 'relu6':
      throw new Error(`${attrs.kind} is not a curve`)
    default:
      return curves[attrs.kind]
  }
}

function between(name: string, value: number, least: number, below = Number.POSITIVE_INFINITY): number {
  if (value >= least && value < below) return value
  throw new Error(`${name} is ${value}`)
}

/** y = f(x), element by element, where it could not be applied by the layer before. */
export const activation = defineOp<ActivationAttributes>({
  shape(attrs, inputs) {
    if (!isFused(attrs.kind)) curveOf(attrs)
    return onlyInput(inputs)
  },
  parameters: () => [],
  cost: (_attrs, inputs) => pixelsOf(onlyInput(inputs)) * channelsOf(onlyInput(inputs)),

  forward(attrs, record) {
    if (isFused(attrs.kind)) {
      record.flow(
        { rows: rowsOf(record.output.shape) },
        'activationForward',
        [firstInput(record).place, record.output.place, ACTIVATION_CODES[attrs.kind]],
        vectors(record.output.shape),
      )
    } else recordCurve(curveOf(attrs), record)
  },

  backward(attrs, record) {
    const dInput = record.dInputInPlace(0)
    if (!dInput) return
    if (isFused(attrs.kind)) {
      record.flow(
        { rows: rowsOf(record.output.shape) },
        'activationBackward',
        [record.output.place, record.dOutput, dInput.place, ACTIVATION_CODES[attrs.kind], dInput.accumulate],
        vectors(record.output.shape),
      )
    } else recordSlope(curveOf(attrs), record, dInput)
  },
})

function recordCurve({ code, movesZero, a = 0, b = 0 }: Curve, record: ForwardRecorder): void {
  const { place, shape } = record.output
  record.call('curveForward', [firstInput(record).place, place, code, a, b], vectors(shape))
  const channels = channelsOf(shape)
  const stride = paddedChannels(channels)
  if (movesZero && channels < stride) {
    record.call('clearPadding', [place, channels, stride], { perImage: pixelsOf(shape) })
  }
}

function recordSlope(
  { code, sees, a = 0, b = 0 }: Curve,
  record: BackwardRecorder,
  dInput: { readonly place: Place; readonly accumulate: 0 | 1 },
): void {
  const seen = sees === 'input' ? firstInput(record) : record.output
  record.call(
    'curveBackward',
    [seen.place, record.dOutput, dInput.place, code, a, b, dInput.accumulate],
    vectors(record.output.shape),
  )
}

function vectors(shape: readonly number[]) {
  return { perImage: (pixelsOf(shape) * paddedChannels(channelsOf(shape))) / 4 }
}
