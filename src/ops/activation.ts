import {
  ACTIVATION_CODES,
  channelsOf,
  defineOp,
  type FusedActivation,
  firstInput,
  onlyInput,
  paddedChannels,
  pixelsOf,
  rowsOf,
} from './op.ts'

export interface ActivationAttributes {
  readonly kind: FusedActivation
}

/** y = f(x), element by element, where it could not be applied by the layer before. */
export const activation = defineOp<ActivationAttributes>({
  shape: (_attrs, inputs) => onlyInput(inputs),
  parameters: () => [],
  cost: (_attrs, inputs) => pixelsOf(onlyInput(inputs)) * channelsOf(onlyInput(inputs)),
  forward(attrs, record) {
    record.flow(
      { rows: rowsOf(record.output.shape) },
      'activationForward',
      [firstInput(record).place, record.output.place, ACTIVATION_CODES[attrs.kind]],
      vectors(record.output.shape),
    )
  },
  backward(attrs, record) {
    const dInput = record.dInputInPlace(0)
    if (!dInput) return
    record.flow(
      { rows: rowsOf(record.output.shape) },
      'activationBackward',
      [record.output.place, record.dOutput, dInput.place, ACTIVATION_CODES[attrs.kind], dInput.accumulate],
      vectors(record.output.shape),
    )
  },
})

function vectors(shape: readonly number[]) {
  return { perImage: (pixelsOf(shape) * paddedChannels(channelsOf(shape))) / 4 }
}
