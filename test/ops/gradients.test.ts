// Every operator against the float64 interpreter: outputs, running statistics, and gradients by centred differences.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createEngine, type Engine } from '../../src/kernels/engine.ts'
import { type ActivationAttributes, activationKinds } from '../../src/ops/activation.ts'
import type { AveragePoolAttributes } from '../../src/ops/pooling.ts'
import type { Window } from '../../src/ops/window.ts'
import { expectedOf, expectTruth, type OpCase, variantsFor } from './check-op.ts'

const one = [1, 1] as const
const two = [2, 2] as const
const three = [3, 3] as const
const none = [0, 0, 0, 0] as const
const around = [1, 1, 1, 1] as const
const picture = [7, 6, 5] as const
const same3 = { kernel: three, stride: one, padding: around } as const

const windows: readonly { readonly name: string; readonly window: Window; readonly shape?: readonly number[] }[] = [
  { name: '1x1', window: { kernel: one, stride: one, padding: none } },
  { name: '1x1 stride 2', window: { kernel: one, stride: two, padding: none } },
  { name: '1x1 with padding', window: { kernel: one, stride: one, padding: around } },
  { name: '3x3', window: { kernel: three, stride: one, padding: around } },
  { name: '3x3 without padding', window: { kernel: three, stride: one, padding: none } },
  { name: '3x3 stride 2', window: { kernel: three, stride: two, padding: around } },
  { name: '3x3 stride 2, same', window: { kernel: three, stride: two, padding: 'same' } },
  { name: '3x3 stride 2, same, even size', window: { kernel: three, stride: two, padding: 'same' }, shape: [8, 6, 6] },
  { name: '3x3 stride 2x1, lopsided', window: { kernel: three, stride: [2, 1], padding: [0, 2, 1, 0] } },
  { name: '3x3 dilation 2', window: { kernel: three, stride: one, padding: [2, 2, 2, 2], dilation: two } },
  {
    name: '3x3 dilation 2x1 stride 2, same',
    window: { kernel: three, stride: two, padding: 'same', dilation: [2, 1] },
  },
  { name: '2x3 stride 3', window: { kernel: [2, 3], stride: [3, 3], padding: [1, 0, 0, 1] } },
  { name: '5x5 stride 2', window: { kernel: [5, 5], stride: two, padding: [2, 2, 2, 2] } },
  { name: '7x7 stride 2', window: { kernel: [7, 7], stride: two, padding: [3, 3, 3, 3] } },
]

const convolutions: readonly OpCase[] = windows.flatMap(({ name, window, shape = picture }, at) => {
  // With and without bias, in turns.
  const bias = at % 2 === 0
  return [
    {
      name: `conv2d ${name}`,
      shape,
      add: (net, input) => net.layer('conv2d', 'op', { ...window, outChannels: 6, bias }, [input]),
    },
    {
      name: `depthwiseConv2d ${name}`,
      shape,
      add: (net, input) => net.layer('depthwiseConv2d', 'op', { ...window, bias }, [input]),
    },
  ]
})

/** Input and output channels, and groups: whole vectors of four, halves, odd numbers, a last bundle that is short. */
const groupings: readonly (readonly [number, number, number])[] = [
  [6, 6, 2],
  [8, 16, 2],
  [24, 24, 3],
  [8, 12, 4],
  [9, 6, 3],
  [5, 5, 5],
  [3, 6, 3],
  [10, 15, 5],
]

const groups: readonly OpCase[] = groupings.flatMap(([channels, outChannels, count], at) =>
  [
    { name: '3x3', window: same3 },
    {
      name: '3x3 stride 2, dilation 2',
      window: { ...same3, stride: two, dilation: two, padding: [2, 1, 0, 2] as const },
    },
    { name: '1x1', window: { kernel: one, stride: one, padding: none } },
  ].map(
    ({ name, window }): OpCase => ({
      name: `conv2d ${name}, ${channels} to ${outChannels} channels in ${count} groups`,
      shape: [7, 6, channels],
      add: (net, input) =>
        net.layer('conv2d', 'op', { ...window, outChannels, groups: count, bias: at % 2 === 0 }, [input]),
    }),
  ),
)

/** Sizes in which tiles of 4x4 are whole, cut, and alone; in the last, more weights than strips of tiles are for. */
const algorithms: readonly OpCase[] = (
  [
    [[8, 8, 4], 4, around],
    [[7, 6, 5], 6, around],
    [[1, 2, 3], 9, around],
    [[5, 9, 6], 5, none],
    [[6, 5, 4], 4, [2, 0, 1, 3]],
    [[5, 4, 4], 7, [3, 3, 4, 4]],
    [[2, 1, 130], 132, around],
  ] as const
).flatMap(([shape, outChannels, padding], at) =>
  (['winograd', 'patches'] as const).map(
    (convolution): OpCase => ({
      name: `conv2d 3x3 by ${convolution}, ${shape.join('x')} to ${outChannels}, padding ${padding.join(' ')}`,
      shape,
      convolution,
      add: (net, input) =>
        net.layer('conv2d', 'op', { kernel: three, stride: one, padding, outChannels, bias: at % 2 === 0 }, [input]),
    }),
  ),
)

const norms: readonly OpCase[] = (['none', 'relu', 'relu6'] as const).flatMap((activation) =>
  [true, false].map(
    (batchStatistics): OpCase => ({
      name: `batchNorm, ${activation}, statistics ${batchStatistics ? 'of the batch' : 'kept'}`,
      shape: picture,
      batchStatistics,
      gain: batchStatistics ? 1 : 5,
      add: (net, input) => net.layer('batchNorm', 'op', { epsilon: 1e-3, momentum: 0.2, activation }, [input]),
    }),
  ),
)

const blocks: readonly OpCase[] = [
  {
    name: 'linear',
    shape: [6],
    add: (net, input) => net.layer('linear', 'op', { outFeatures: 5, bias: true }, [input]),
  },
  {
    name: 'linear without bias',
    shape: [5],
    add: (net, input) => net.layer('linear', 'op', { outFeatures: 9 }, [input]),
  },
  ...(['none', 'relu', 'relu6'] as const).flatMap((activation): OpCase[] => [
    {
      name: `add, ${activation}, shortcut first`,
      shape: picture,
      gain: 4,
      add(net, input) {
        const branch = net.layer('conv2d', 'op.branch', { ...same3, outChannels: 5 }, [input])
        return net.layer('add', 'op', { activation }, [input, branch])
      },
    },
    {
      name: `add, ${activation}, shortcut second, its branch convolved too`,
      shape: picture,
      gain: 4,
      add(net, input) {
        const branch = net.layer('conv2d', 'op.branch', { ...same3, outChannels: 5 }, [input])
        const shortcut = net.layer('depthwiseConv2d', 'op.shortcut', same3, [input])
        return net.layer('add', 'op', { activation }, [branch, shortcut])
      },
    },
    {
      name: `add, ${activation}, of a value to itself`,
      shape: picture,
      gain: 4,
      add: (net, input) => net.layer('add', 'op', { activation }, [input, input]),
    },
  ]),
  {
    name: 'a block of convolution, norm, activation and addition',
    shape: picture,
    batchStatistics: true,
    add(net, input) {
      let x = net.layer('conv2d', 'op.conv', { ...same3, outChannels: 5, bias: true }, [input])
      x = net.layer('batchNorm', 'op.norm', { epsilon: 1e-5, momentum: 0.1, activation: 'relu' }, [x])
      x = net.layer('depthwiseConv2d', 'op.depthwise', { ...same3, bias: true }, [x])
      x = net.layer('batchNorm', 'op.norm2', { epsilon: 1e-5, momentum: 0.1 }, [x])
      x = net.layer('activation', 'op.relu6', { kind: 'relu6' }, [x])
      return net.layer('add', 'op', { activation: 'relu' }, [input, x])
    },
  },
]

/** Every activation, with numbers of its own where it takes one; five channels, so that there is padding. */
const activations: readonly OpCase[] = [
  ...[
    ...activationKinds.map((kind): ActivationAttributes => ({ kind })),
    { kind: 'leaky-relu', slope: 0.3 } as const,
    { kind: 'elu', alpha: 0.5 } as const,
    { kind: 'softplus', beta: 2 } as const,
  ].map(
    (attrs): OpCase => ({
      name: `activation ${Object.values(attrs).join(' ')}`,
      shape: picture,
      // Some saturate, and then there is no gradient left to see.
      gain: attrs.kind === 'relu6' ? 8 : 3,
      add: (net, input) => net.layer('activation', 'op', attrs, [input]),
    }),
  ),
  ...[false, true].map(
    (shared): OpCase => ({
      name: `prelu, ${shared ? 'one slope' : 'a slope for each channel'}`,
      shape: picture,
      gain: 3,
      add: (net, input) => net.layer('prelu', 'op', { shared }, [input]),
    }),
  ),
  { name: 'mean image', shape: picture, add: (net, input) => net.layer('meanImage', 'op', {}, [input]) },
  { name: 'prelu of a vector', shape: [6], add: (net, input) => net.layer('prelu', 'op', {}, [input]) },
  ...[1, 2, 3, 6].map(
    (pieces): OpCase => ({
      name: `maxout of ${pieces}`,
      shape: [4, 3, 6],
      gain: 3,
      add: (net, input) => net.layer('maxout', 'op', { pieces }, [input]),
    }),
  ),
  { name: 'maxout of a vector', shape: [10], add: (net, input) => net.layer('maxout', 'op', { pieces: 2 }, [input]) },
  ...(['softmax', 'logSoftmax'] as const).flatMap((op): OpCase[] => [
    { name: `${op} of a picture`, shape: picture, gain: 3, add: (net, input) => net.layer(op, 'op', {}, [input]) },
    { name: `${op} of a vector`, shape: [9], gain: 3, add: (net, input) => net.layer(op, 'op', {}, [input]) },
  ]),
]
const residuals: readonly OpCase[] = [true, false].map((batchStatistics) => ({
  name: `an inverted residual, statistics ${batchStatistics ? 'of the batch' : 'kept'}`,
  shape: [11, 10, 5],
  batchStatistics,
  add(net, input) {
    const pointwise = { kernel: one, stride: one, padding: none } as const
    const norm = { epsilon: 1e-3, momentum: 0.1, activation: 'relu6' } as const
    const window = { kernel: [5, 5], stride: two, padding: [2, 2, 2, 2] } as const
    let x = net.layer('conv2d', 'op.expand', { ...pointwise, outChannels: 9 }, [input])
    x = net.layer('batchNorm', 'op.norm1', norm, [x])
    x = net.layer('depthwiseConv2d', 'op.depthwise', window, [x])
    x = net.layer('batchNorm', 'op.norm2', norm, [x])
    x = net.layer('conv2d', 'op.project', { ...pointwise, outChannels: 6 }, [x])
    return net.layer('batchNorm', 'op', { epsilon: 1e-3, momentum: 0.1 }, [x])
  },
}))

/** Parts that begin and end inside vectors of four. */
const movedChannels: readonly OpCase[] = [
  ...(
    [
      [2, 5, 4],
      [4, 8],
      [3, 3],
      [1, 1, 1],
    ] as const
  ).map(
    (widths): OpCase => ({
      name: `concat of ${widths.join(', ')} channels`,
      shape: picture,
      add(net, input) {
        const parts = widths.map((outChannels, at) =>
          net.layer('conv2d', `op.${at}`, { outChannels, kernel: one, stride: one, padding: none, bias: true }, [
            input,
          ]),
        )
        return net.layer('concat', 'op', {}, parts)
      },
    }),
  ),
  {
    name: 'concat of a value, what comes of it, and the value again',
    shape: picture,
    add(net, input) {
      const branch = net.layer('conv2d', 'op.branch', { ...same3, outChannels: 3 }, [input])
      return net.layer('concat', 'op', {}, [input, branch, input])
    },
  },
  { name: 'concat of vectors', shape: [6], add: (net, input) => net.layer('concat', 'op', {}, [input, input]) },
  {
    name: 'concat of one',
    shape: picture,
    add: (net, input) => net.layer('concat', 'op', {}, [input]),
  },
  ...(
    [
      [0, 2],
      [3, 2],
      [4, 1],
      [0, 5],
    ] as const
  ).map(
    ([from, channels]): OpCase => ({
      name: `slice of ${channels} channels from ${from} on`,
      shape: picture,
      add: (net, input) => net.layer('slice', 'op', { from, channels }, [input]),
    }),
  ),
  {
    name: 'slices that cover a value, one of them twice',
    shape: [5, 4, 8],
    add(net, input) {
      const low = net.layer('slice', 'op.low', { from: 0, channels: 4 }, [input])
      const high = net.layer('slice', 'op.high', { from: 3, channels: 5 }, [input])
      return net.layer('concat', 'op', {}, [high, low, high])
    },
  },
  ...[1, 2, 3, 6].map(
    (groups): OpCase => ({
      name: `channelShuffle of ${groups} groups`,
      shape: [4, 3, 6],
      add: (net, input) => net.layer('channelShuffle', 'op', { groups }, [input]),
    }),
  ),
]

const scalings: readonly OpCase[] = [
  ...(['vector', 'picture of one pixel'] as const).flatMap((gate) =>
    (['sigmoid', 'hard-sigmoid'] as const).map(
      (kind): OpCase => ({
        name: `scale by a ${gate}, ${kind}`,
        shape: picture,
        gain: 2,
        add(net, input) {
          let s =
            gate === 'vector'
              ? net.layer('globalAveragePool', 'op.pool', {}, [input])
              : net.layer('adaptiveAveragePool', 'op.pool', { output: one }, [input])
          s = net.layer('activation', 'op.gate', { kind }, [s])
          return net.layer('scale', 'op', {}, [input, s])
        },
      }),
    ),
  ),
  {
    name: 'a block of squeeze and excitation',
    shape: [5, 4, 6],
    add(net, input) {
      const pointwise = { kernel: one, stride: one, padding: none, bias: true } as const
      const x = net.layer('depthwiseConv2d', 'op.depthwise', same3, [input])
      let s = net.layer('adaptiveAveragePool', 'op.pool', { output: one }, [x])
      s = net.layer('conv2d', 'op.reduce', { ...pointwise, outChannels: 3 }, [s])
      s = net.layer('activation', 'op.silu', { kind: 'silu' }, [s])
      s = net.layer('conv2d', 'op.expand', { ...pointwise, outChannels: 6 }, [s])
      s = net.layer('activation', 'op.gate', { kind: 'sigmoid' }, [s])
      return net.layer('scale', 'op', {}, [x, s])
    },
  },
  ...([picture, [6]] as const).flatMap((shape): OpCase[] => [
    {
      name: `layerScale of ${shape.join('x')}`,
      shape,
      add: (net, input) => net.layer('layerScale', 'op', { initial: 1e-6 }, [input]),
    },
    {
      name: `layerNorm of ${shape.join('x')}`,
      shape,
      add: (net, input) => net.layer('layerNorm', 'op', { epsilon: 1e-6 }, [input]),
    },
  ]),
  {
    name: 'layerNorm of whole vectors',
    shape: [9, 9, 8],
    add: (net, input) => net.layer('layerNorm', 'op', { epsilon: 1e-2 }, [input]),
  },
]

const tokens: readonly OpCase[] = [
  {
    name: 'classToken, positions, and the first token',
    shape: [3, 2, 5],
    add(net, input) {
      const all = net.layer('positions', 'op.positions', {}, [net.layer('classToken', 'op.token', {}, [input])])
      const first = net.layer('firstToken', 'op.first', {}, [all])
      // What is read of the tokens behind it is one number for each.
      const rest = net.layer('linear', 'op.rest', { outFeatures: 5, bias: true }, [all])
      return net.layer('add', 'op', {}, [first, net.layer('firstToken', 'op.second', {}, [rest])])
    },
  },
  ...(
    [
      [1, 4, 3, 2],
      [2, 8, 2, 2],
      [3, 12, 3, 3],
    ] as const
  ).map(
    ([heads, channels, height, width]): OpCase => ({
      name: `attention of ${1 + height * width} tokens in ${heads} heads of ${channels / heads} channels`,
      shape: [height, width, channels],
      gain: 2,
      add(net, input) {
        let x = net.layer('positions', 'op.positions', {}, [net.layer('classToken', 'op.token', {}, [input])])
        x = net.layer('linear', 'op.qkv', { outFeatures: 3 * channels, bias: true }, [x])
        x = net.layer('attention', 'op.attention', { heads }, [x])
        x = net.layer('linear', 'op.proj', { outFeatures: channels, bias: true }, [x])
        x = net.layer('attention', 'op.again', { heads }, [
          net.layer('linear', 'op.qkv2', { outFeatures: 3 * channels, bias: true }, [x]),
        ])
        return net.layer('firstToken', 'op', {}, [x])
      },
    }),
  ),
]

const poolings: readonly OpCase[] = [
  ...[
    { name: '2x2', window: { kernel: two, stride: two, padding: none } },
    { name: '3x3 stride 2', window: { kernel: three, stride: two, padding: around } },
    { name: '3x3 stride 1', window: { kernel: three, stride: one, padding: around } },
    { name: '3x3 stride 2, same', window: { kernel: three, stride: two, padding: 'same' } },
    { name: '3x2 stride 2, ceil mode', window: { kernel: [3, 2], stride: two, padding: none, ceilMode: true } },
    { name: '2x2 stride 2, ceil mode', window: { kernel: two, stride: two, padding: around, ceilMode: true } },
  ].flatMap(({ name, window }): OpCase[] => {
    // The literals above are windows; in a list of several their tuples would become arrays.
    const attrs = window as Window
    const average = (countIncludePad: boolean): OpCase => ({
      name: `averagePool ${name}, padding ${countIncludePad ? 'counted' : 'left out'}`,
      shape: picture,
      add: (net, input) =>
        net.layer('averagePool', 'op', { ...attrs, countIncludePad } as AveragePoolAttributes, [input]),
    })
    return [
      { name: `maxPool ${name}`, shape: picture, add: (net, input) => net.layer('maxPool', 'op', attrs, [input]) },
      // Lopsided padding that counts is not PyTorch's.
      ...(attrs.padding === 'same' ? [average(false)] : [average(true), average(false)]),
    ]
  }),
  ...(
    [
      [1, 1],
      [3, 2],
      [5, 4],
      [9, 6],
    ] as const
  ).map(
    (output): OpCase => ({
      name: `adaptiveAveragePool to ${output.join('x')}`,
      shape: picture,
      add: (net, input) => net.layer('adaptiveAveragePool', 'op', { output }, [input]),
    }),
  ),
  {
    name: 'globalAveragePool',
    shape: picture,
    add: (net, input) => net.layer('globalAveragePool', 'op', {}, [input]),
  },
]

const dropping = { rate: 0.4, salt: 0x9abcdef0 } as const

/** Training leaves values out by keys that stay the same for all differences. */
const droppings: readonly OpCase[] = [
  {
    name: 'dropout of a vector',
    shape: [10],
    add: (net, input) => net.layer('dropout', 'op', dropping, [input]),
  },
  {
    name: 'dropout of a picture',
    shape: picture,
    add: (net, input) => net.layer('dropout', 'op', dropping, [input]),
  },
  ...([5, 8] as const).map(
    (outFeatures): OpCase => ({
      name: `linear with dropConnect, ${outFeatures} outputs`,
      shape: [7],
      add: (net, input) => net.layer('linear', 'op', { outFeatures, bias: true, dropConnect: dropping }, [input]),
    }),
  ),
  {
    name: 'dropPath of a picture',
    shape: picture,
    add: (net, input) => net.layer('dropPath', 'op', dropping, [input]),
  },
  ...(['none', 'relu'] as const).map(
    (activation): OpCase => ({
      name: `a residual block with dropPath, ${activation}`,
      shape: picture,
      gain: 3,
      batchStatistics: true,
      add(net, input) {
        let x = net.layer('conv2d', 'op.conv', { ...same3, outChannels: 5, bias: true }, [input])
        x = net.layer('batchNorm', 'op.norm', { epsilon: 1e-5, momentum: 0.1 }, [x])
        x = net.layer('dropPath', 'op.path', dropping, [x])
        return net.layer('add', 'op', { activation }, [input, x])
      },
    }),
  ),
]

const cases = [
  ...convolutions,
  ...groups,
  ...algorithms,
  ...norms,
  ...blocks,
  ...residuals,
  ...activations,
  ...movedChannels,
  ...scalings,
  ...tokens,
  ...poolings,
  ...droppings,
]

describe('every operator', () => {
  const engines: Engine[] = []
  beforeAll(() => {
    for (const simd of ['baseline', 'relaxed'] as const) {
      engines.push(createEngine({ threads: 2, simd, allowV8Flags: true }))
    }
  })
  afterAll(async () => {
    for (const engine of engines) await engine.close()
  })

  test.each(cases)('$name: outputs and gradients are those of the definition, on both builds', async (opCase) => {
    for (const variant of variantsFor(opCase)) {
      const expected = expectedOf(opCase, variant)
      // Few values lie so near a kink that they cannot be judged.
      expect(expected.leftOut, `coordinates left out of ${expected.tried}`).toBeLessThanOrEqual(expected.tried * 0.05)
      for (const engine of engines) await expectTruth(engine, expected)
    }
  })
})
