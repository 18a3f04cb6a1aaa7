import { SCRATCH, SCRATCH_BYTES } from '../kernels/program.ts'
import { channelsOf, defineOp, firstInput, onlyInput, pixelsOf } from './op.ts'

export interface AttentionAttributes {
  readonly heads: number
}

/** The kernels keep two rows of a number for each token in scratch memory. */
const MOST_TOKENS = SCRATCH_BYTES / 8

/**
 * y = softmax(q·kᵀ/sqrt(D / heads))·v in each head.   qkv: [N, T, 3·D], queries, keys and values one after the other   y: [N, T, D]
 * @see Vaswani et al. 2017, https://arxiv.org/abs/1706.03762
 */
export const attention = defineOp<AttentionAttributes>({
  shape({ heads }, inputs) {
    const input = onlyInput(inputs)
    const channels = channelsOf(input) / 3
    if (input.length !== 2 || pixelsOf(input) > MOST_TOKENS)
      throw new Error(`expected rows of tokens, at most ${MOST_TOKENS}, got [${input.join(', ')}]`)
    if (!Number.isInteger(heads) || heads < 1 || channels % (4 * heads) !== 0)
      throw new Error(
        `${channelsOf(input)} channels are not queries, keys and values of ${heads} heads of 4 or 8 or 12 …`,
      )
    return [pixelsOf(input), channels]
  },
  parameters: () => [],
  cost: (_attrs, inputs) => (2 * pixelsOf(onlyInput(inputs)) ** 2 * channelsOf(onlyInput(inputs))) / 3,

  forward({ heads }, record) {
    const { place, shape } = record.output
    record.call(
      'attentionForward',
      [firstInput(record).place, place, pixelsOf(shape), channelsOf(shape), heads, SCRATCH],
      { perImage: heads },
    )
  },

  backward({ heads }, record) {
    const { shape } = record.output
    const dInput = record.dInput(0)
    if (!dInput) return
    record.call(
      'attentionBackward',
      [
        firstInput(record).place,
        record.dOutput,
        dInput.place,
        pixelsOf(shape),
        channelsOf(shape),
        heads,
        dInput.accumulate,
        SCRATCH,
      ],
      { perImage: heads },
    )
  },
})
