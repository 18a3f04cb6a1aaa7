import { channelsOf, defineOp, firstInput, imageShape, onlyInput, paddedChannels } from './op.ts'
import { geometry, type Pair, slide, type Window } from './window.ts'

export interface AveragePoolAttributes extends Window {
  /** Whether padding counts in the divisor (PyTorch's default: yes). */
  readonly countIncludePad?: boolean
}

export interface AdaptivePoolAttributes {
  /** Output height and width. */
  readonly output: Pair
}

function slidShape(attrs: Window, inputs: readonly (readonly number[])[]) {
  const input = onlyInput(inputs)
  const { outHeight, outWidth } = slide(attrs, input)
  return [outHeight, outWidth, channelsOf(input)]
}

function windowCost(attrs: Window, inputs: readonly (readonly number[])[]): number {
  return slidShape(attrs, inputs).reduce((a, b) => a * b, 1) * attrs.kernel[0] * attrs.kernel[1]
}

/** The largest value in each window; outside the picture counts as -infinity. */
export const maxPool = defineOp<Window>({
  shape: slidShape,
  parameters: () => [],
  cost: windowCost,
  forward(attrs, record) {
    const input = firstInput(record)
    const table = record.table(geometry(attrs, input.shape, channelsOf(input.shape)))
    record.call('maxPoolForward', [input.place, record.output.place, table], { perImage: record.output.shape[0] ?? 1 })
  },
  backward(attrs, record) {
    const input = firstInput(record)
    const dInput = record.dInput(0)
    if (!dInput) return
    const table = record.table(geometry(attrs, input.shape, channelsOf(input.shape)))
    record.call('maxPoolBackward', [input.place, record.dOutput, dInput.place, table, dInput.accumulate], {
      perImage: 1,
    })
  },
})

/** The mean of each window. */
export const averagePool = defineOp<AveragePoolAttributes>({
  shape(attrs, inputs) {
    const { padding } = attrs
    const even = padding !== 'same' && padding[0] === padding[2] && padding[1] === padding[3]
    if (!even && (attrs.countIncludePad ?? true)) {
      throw new Error('an average over lopsided padding needs countIncludePad: false; PyTorch knows even padding only')
    }
    return slidShape(attrs, inputs)
  },
  parameters: () => [],
  cost: windowCost,
  forward(attrs, record) {
    const input = firstInput(record)
    const table = record.table(geometry(attrs, input.shape, channelsOf(input.shape)))
    const includePad = (attrs.countIncludePad ?? true) ? 1 : 0
    record.call('averagePoolForward', [input.place, record.output.place, table, includePad], {
      perImage: record.output.shape[0] ?? 1,
    })
  },
  backward(attrs, record) {
    const input = firstInput(record)
    const dInput = record.dInput(0)
    if (!dInput) return
    const table = record.table(geometry(attrs, input.shape, channelsOf(input.shape)))
    const includePad = (attrs.countIncludePad ?? true) ? 1 : 0
    record.call('averagePoolBackward', [record.dOutput, dInput.place, table, includePad, dInput.accumulate], {
      perImage: 1,
    })
  },
})

/** Means over a grid of output cells of nearly equal size (PyTorch's AdaptiveAvgPool2d). */
export const adaptiveAveragePool = defineOp<AdaptivePoolAttributes>({
  shape: (attrs, inputs) => [...attrs.output, channelsOf(onlyInput(inputs))],
  parameters: () => [],
  cost: (_attrs, inputs) => onlyInput(inputs).reduce((a, b) => a * b, 1),
  forward(attrs, record) {
    const input = firstInput(record)
    const { height, width, channels } = imageShape(input.shape)
    record.call(
      'adaptivePoolForward',
      [input.place, record.output.place, height, width, paddedChannels(channels), ...attrs.output],
      { perImage: 1 },
    )
  },
  backward(attrs, record) {
    const dInput = record.dInput(0)
    if (!dInput) return
    const { height, width, channels } = imageShape(firstInput(record).shape)
    record.call(
      'adaptivePoolBackward',
      [record.dOutput, dInput.place, height, width, paddedChannels(channels), ...attrs.output, dInput.accumulate],
      { perImage: 1 },
    )
  },
})

/** The mean over all positions: [H, W, C] to [C]. */
export const globalAveragePool = defineOp<Record<never, never>>({
  shape: (_attrs, inputs) => [channelsOf(onlyInput(inputs))],
  parameters: () => [],
  cost: (_attrs, inputs) => onlyInput(inputs).reduce((a, b) => a * b, 1),
  forward: (_attrs, record) => {
    const input = firstInput(record)
    const { height, width, channels } = imageShape(input.shape)
    record.call(
      'adaptivePoolForward',
      [input.place, record.output.place, height, width, paddedChannels(channels), 1, 1],
      { perImage: 1 },
    )
  },
  backward(_attrs, record) {
    const dInput = record.dInput(0)
    if (!dInput) return
    const { height, width, channels } = imageShape(firstInput(record).shape)
    record.call(
      'adaptivePoolBackward',
      [record.dOutput, dInput.place, height, width, paddedChannels(channels), 1, 1, dInput.accumulate],
      { perImage: 1 },
    )
  },
})
