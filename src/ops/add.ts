import { ACTIVATION_CODES, channelsOf, defineOp, type FusedActivation, paddedChannels, pixelsOf, rowsOf } from './op.ts'

export interface AddAttributes {
  readonly activation?: FusedActivation
}

/** y = act(a + b), the end of a residual block. */
export const add = defineOp<AddAttributes>({
  shape(_attrs, inputs) {
    const [a, b] = inputs
    if (a === undefined || b === undefined || inputs.length !== 2)
      throw new Error(`expected two inputs, got ${inputs.length}`)
    if (a.join() !== b.join()) throw new Error(`cannot add [${a.join(', ')}] and [${b.join(', ')}]`)
    return a
  },
  parameters: () => [],
  cost: (_attrs, inputs) => (inputs[0] ? pixelsOf(inputs[0]) * channelsOf(inputs[0]) : 0),

  forward(attrs, record) {
    const [a, b] = record.inputs
    if (!a || !b) throw new Error('add has two inputs')
    record.flow(
      { rows: rowsOf(record.output.shape) },
      'add',
      [a.place, b.place, record.output.place, ACTIVATION_CODES[attrs.activation ?? 'none']],
      vectors(record.output.shape),
    )
  },

  backward(attrs, record) {
    const units = vectors(record.output.shape)
    const activation = ACTIVATION_CODES[attrs.activation ?? 'none']
    // The branch (second input) may take over the gradient's place; the shortcut gets a copy first.
    const shortcut = record.dInput(0)
    if (shortcut) {
      record.flow(
        { rows: rowsOf(record.output.shape) },
        'activationBackward',
        [record.output.place, record.dOutput, shortcut.place, activation, shortcut.accumulate],
        units,
      )
    }
    const branch = record.dInputInPlace(1)
    if (branch && (activation !== 0 || branch.accumulate || branch.place !== record.dOutput)) {
      record.flow(
        { rows: rowsOf(record.output.shape) },
        'activationBackward',
        [record.output.place, record.dOutput, branch.place, activation, branch.accumulate],
        units,
      )
    }
  },
})

function vectors(shape: readonly number[]) {
  return { perImage: (pixelsOf(shape) * paddedChannels(channelsOf(shape))) / 4 }
}
