// What is computed piece by piece: every unit once, and nothing before what it reads.

import { describe, expect, test } from 'vitest'
import { mobilenetV2Graph } from '../../src/architectures/mobilenet-v2.ts'
import { type Call, call, type Pieces } from '../../src/kernels/program.ts'
import type { Block, Flow, Place } from '../../src/ops/op.ts'
import { reachBack, reachOf } from '../../src/ops/window.ts'
import { createParameters } from '../../src/runtime/parameters.ts'
import { type FlowingCall, follows, piecesOf, stripBytes } from '../../src/runtime/pieces.ts'
import { makePlan } from '../../src/runtime/plan.ts'
import { trainingOf, withEngine } from './small-networks.ts'

const passing = (): boolean => true

function place(bytesPerImage: number): Place {
  const block: Block = { name: 'data', fixedBytes: 0, bytesPerImage }
  return { block, offsetBytes: 0 }
}

/** A call over rows of pixels; `blockRows` makes it one over blocks of them. */
function rows(flow: Flow, width: number, channels: number, blockRows?: number): FlowingCall {
  const perImage = flow.rows * width
  const data = place(perImage * channels * 4)
  const units = blockRows === undefined ? { perImage } : { perImage, blockRows }
  return { call: call<'add', Place>('add', [data, data, data, 0], units), flow }
}

function checkPieces(calls: readonly FlowingCall[], pieces: Pieces, strip = false): void {
  const count = pieces.ranges[0]?.from.length ?? 0
  expect(count).toBeGreaterThan(0)
  const doneRows = calls.map(({ call, flow }, at) => {
    const { from, to } = pieces.ranges[at] ?? { from: [], to: [] }
    expect([from.length, to.length]).toEqual([count, count])
    if (!strip || at > 0) expect(from).toEqual([0, ...to.slice(0, -1)])
    for (const units of to) expect(Number.isInteger(units)).toBe(true)
    const { perImage, blockRows = 1 } = call.units as { perImage: number; blockRows?: number }
    const all = (perImage * pieces.images) / blockRows
    expect(to[count - 1]).toBe(all)
    return to.map((units) => Math.floor((units * flow.rows) / all))
  })
  for (const [at, { flow }] of calls.entries()) {
    if (at === 0) continue
    for (let piece = 0; piece < count; piece++) {
      const row = (doneRows[at]?.[piece] ?? 0) - 1
      const needed = flow.reach ? Math.min(flow.reach.end(row), flow.reach.rows) : row + 1
      if (row >= 0) expect(doneRows[at - 1]?.[piece]).toBeGreaterThanOrEqual(needed)
    }
  }
}

const window = (kernel: number, stride: number, padding: number) =>
  ({ kernel: [kernel, kernel], stride: [stride, stride], padding: [padding, padding, padding, padding] }) as const

describe('pieces', () => {
  test.each([
    [3, 1, 1, 112],
    [3, 2, 1, 112],
    [3, 2, 0, 113],
    [5, 1, 2, 56],
    [5, 2, 2, 57],
    [7, 2, 3, 224],
  ])('of a window of %i, stride %i, padding %i over %i rows have what they read', (kernel, stride, padding, height) => {
    const attrs = window(kernel, stride, padding)
    const input = [height, height, 96]
    const reach = reachOf(attrs, input)
    const out = reachBack(attrs, input).rows
    const forward = [
      rows({ rows: height }, height, 96),
      rows({ rows: out, reach }, out, 96),
      rows({ rows: out }, out, 96, out),
    ]
    checkPieces(forward, piecesOf(forward, passing))
    expect(piecesOf(forward, passing).joined).toBe(true)
    const backward = [
      rows({ rows: out }, out, 96),
      rows({ rows: height, reach: reachBack(attrs, input) }, height, 96),
      rows({ rows: height }, height, 96, height),
    ]
    checkPieces(backward, piecesOf(backward, passing))
  })

  test.each([
    [3, 1, 1, 112],
    [3, 2, 1, 112],
    [5, 2, 2, 57],
  ])(
    'with a strip begin where a window of %i, stride %i, padding %i over %i rows does',
    (kernel, stride, padding, height) => {
      const attrs = window(kernel, stride, padding)
      const reach = reachOf(attrs, [height, height, 96])
      const out = reachBack(attrs, [height, height, 96]).rows
      const calls = [rows({ rows: height }, height, 96), rows({ rows: out, reach }, out, 96)]
      const pieces = piecesOf(calls, passing, 96 * 4)
      checkPieces(calls, pieces, true)
      expect(pieces.joined).toBe(false)
      const [strip, reader] = pieces.ranges
      const starts = reader?.from.map((unit) => Math.max(0, reach.first(unit / out)) * height)
      expect(strip?.from).toEqual(starts)
      const largest = Math.max(...(strip?.to.map((end, piece) => end - (starts?.[piece] ?? 0)) ?? []))
      expect(stripBytes(pieces, 96 * 4)).toBe(largest * 96 * 4)
    },
  )

  test.each([
    [112, 2],
    [112, 7],
    [7, 7],
    [2, 2],
  ])('of %i rows in blocks of %i keep blocks whole', (height, blockRows) => {
    const width = 112
    const calls = [rows({ rows: height }, width, 64), rows({ rows: height }, width, 64, blockRows * width)]
    const pieces = piecesOf(calls, passing)
    checkPieces(calls, pieces)
    expect(pieces.joined).toBe(false)
  })

  test('take several small pictures at once, and as many as a block spans', () => {
    const calls = [rows({ rows: 2 }, 2, 8), rows({ rows: 2 }, 2, 8, 32)]
    const pieces = piecesOf(calls, passing)
    checkPieces(calls, pieces)
    expect(pieces.images).toBe(8)
    expect(pieces.together).toBeGreaterThan(1)
  })

  test('need pictures of the same height', () => {
    const reach = reachOf(window(3, 2, 1), [56, 56, 8])
    expect(follows({ rows: 28, reach }, { rows: 56 })).toBe(true)
    expect(follows({ rows: 28, reach }, { rows: 28 })).toBe(false)
    expect(follows({ rows: 28 }, { rows: 56 })).toBe(false)
  })
})

test('a training has few barriers, and keeps every call', async () => {
  const options = { classes: 10, height: 64, width: 64, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] } as const
  const graph = mobilenetV2Graph('mobilenetv2_100', 1, options)
  await withEngine({ threads: 1, simd: 'baseline' }, async (engine) => {
    const store = createParameters(engine, graph)
    const plan = makePlan(graph, store, { input: 'bytes', training: trainingOf(graph, () => true) })
    const calls = plan.main.flatMap((step): readonly Call<Place>[] => step.calls)
    const count = (kernel: string): number => calls.filter((one) => one.kernel === kernel).length
    expect(count('batchNormStatistics')).toBe(52)
    expect(count('batchNormReduce')).toBe(52)
    expect(count('depthwiseBackwardWeight')).toBe(17)
    expect(plan.main.length).toBeLessThan(calls.length / 2)
  })
})

test('in inference expand, depthwise and project go through the batch together', async () => {
  const options = { classes: 10, height: 64, width: 64, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] } as const
  const graph = mobilenetV2Graph('mobilenetv2_100', 1, options)
  await withEngine({ threads: 1, simd: 'baseline' }, async (engine) => {
    const { main } = makePlan(graph, createParameters(engine, graph), { input: 'bytes' })
    const steps = main.map(({ calls, pieces }) => (pieces ? calls.map(({ kernel }) => kernel).join(' ') : 'alone'))
    const blocks = steps.filter((step) => step === 'matmul depthwiseForward matmul')
    expect(blocks).toHaveLength(16)
    expect(steps.filter((step) => step === 'alone')).toHaveLength(3)
    expect(steps).toHaveLength(1 + 16 + 3)
  })
})
