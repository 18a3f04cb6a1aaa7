// What must come out of single operators, by plain loops. Of a batch the first picture is enough.
import type { AttributesOf, OpName } from '../../src/ops/index.ts'
import { referenceOf } from '../../src/reference/interpreter.ts'
import { batchNormGradients, batchStatistics } from '../../test/reference/batch-norm.ts'
import { graphOf } from '../ours/one-op.ts'
import type { MatmulTask, OpTask } from '../protocol.ts'
import { readFloats } from '../serve.ts'

const ROWS = 8

/** The first rows of a product. */
export function productTruth({ n, k, a, b }: MatmulTask): Float64Array {
  const [left, right] = [readFloats(a), readFloats(b)]
  const result = new Float64Array(ROWS * n)
  for (let row = 0; row < ROWS; row++)
    for (let at = 0; at < k; at++)
      for (let column = 0; column < n; column++)
        result[row * n + column] =
          (result[row * n + column] ?? 0) + (left[row * k + at] ?? Number.NaN) * (right[at * n + column] ?? Number.NaN)
  return result
}

/** Forward of an operator; statistics of a batch need all of it. */
export function forwardTruth<K extends OpName>(task: OpTask<K>): Float64Array {
  const attrs: AttributesOf<K> = task.attrs
  const images = task.training ? task.images : 1
  const values = images * task.inputShape.reduce((product, size) => product * size, 1)
  const parameters = Object.entries(task.parameters).map(
    ([name, file]) => [`op.${name}`, Float64Array.from(readFloats(file))] as const,
  )
  const reference = referenceOf(graphOf(task.op, attrs, task.inputShape), {
    parameters: new Map(parameters),
    input: Float64Array.from(readFloats(task.input).subarray(0, values)),
    images,
    batchStatistics: new Set(task.training ? ['op'] : []),
  })
  return reference.output('op')
}

/** Backward of a batch norm over statistics of the batch. */
export function batchNormTruth(task: OpTask<'batchNorm'>): Record<string, Float64Array> {
  const output = forwardTruth(task)
  const file = (name: string) => task.parameters[name] ?? ''
  const channels = task.inputShape.at(-1) ?? 1
  const x = readFloats(task.input)
  const highest = task.attrs.activation === 'relu6' ? 6 : Number.POSITIVE_INFINITY
  const clips = task.attrs.activation !== undefined && task.attrs.activation !== 'none'
  const dy = readFloats(task.training?.outputGradient ?? '').map((value, at) => {
    const y = output[at] ?? Number.NaN
    return !clips || (y > 0 && y < highest) ? value : 0
  })
  const statistics = batchStatistics(x, channels)
  const gradients = batchNormGradients(x, dy, statistics, task.attrs.epsilon, true, readFloats(file('weight')))
  return {
    'input gradient': gradients.dx,
    'gradient of weight': gradients.dGamma,
    'gradient of bias': gradients.dBeta,
  }
}
