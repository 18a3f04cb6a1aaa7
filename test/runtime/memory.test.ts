// Too little memory is an error that says how much is needed and what to lower, and what it advises works.

import { describe, expect, test } from 'vitest'
import { RegraftError } from '../../src/errors.ts'
import { createEngine } from '../../src/kernels/engine.ts'
import { createParameters } from '../../src/runtime/parameters.ts'
import { createRunner } from '../../src/runtime/runner.ts'
import { smallNetworks, trainingOf, withEngine } from './small-networks.ts'

const MiB = 2 ** 20

function errorOf(work: () => unknown): RegraftError {
  try {
    work()
  } catch (error) {
    if (error instanceof RegraftError) return error
    throw error
  }
  throw new Error('expected an error')
}

describe.each(smallNetworks)('$name', ({ graph }) => {
  const training = trainingOf(graph, () => true)

  test('says how much a batch needs, and the smaller batch that it advises fits', async () => {
    // Close limits, so that the advice is right to the page.
    for (const kibibytes of [0, 48, 96, 144]) {
      const limit = 12 * MiB + kibibytes * 1024
      await withEngine({ threads: 1, simd: 'baseline', maxMemoryBytes: limit }, async (engine) => {
        const store = createParameters(engine, graph)
        const used = engine.arena.usedBytes()
        const error = errorOf(() => createRunner(engine, graph, store, { images: 200, input: 'bytes', training }))
        expect(error.code).toBe('memory')
        expect(error.message).toMatch(
          /^Training with a batch of 200 needs [\d.]+ [MG]iB of memory; the limit is 12\.\d MiB\.\n/,
        )
        expect(error.message).toMatch(/freeze more layers/)
        expect(error.message).toMatch(/--max-memory/)
        const advised = Number(/lower --batch-size to (\d+)/.exec(error.message)?.[1])
        expect(advised).toBeGreaterThan(1)
        expect(engine.arena.usedBytes()).toBe(used)
        const options = { input: 'bytes', training } as const
        createRunner(engine, graph, store, { ...options, images: advised }).close()
        expect(() => createRunner(engine, graph, store, { ...options, images: advised + 1 })).toThrow(
          `lower --batch-size to ${advised}`,
        )
      })
    }
  })

  test('says so when not even one picture fits', async () => {
    await withEngine({ threads: 1, simd: 'baseline', maxMemoryBytes: 8 * MiB }, async (engine) => {
      const store = createParameters(engine, graph)
      engine.arena.allocate(engine.arena.roomBytes() - 32_768, 'something else')
      const error = errorOf(() => createRunner(engine, graph, store, { images: 8, input: 'bytes', training }))
      expect(error.code).toBe('memory')
      expect(error.message).toMatch(/Even one picture needs [\d.]+ [KM]iB/)
      expect(error.message).toMatch(/--img-size/)
    })
  })

  test('says so when not even the parameters fit', async () => {
    await withEngine({ threads: 1, simd: 'baseline', maxMemoryBytes: 1.25 * MiB }, async (engine) => {
      const error = errorOf(() => {
        createParameters(engine, graph)
        createRunner(engine, graph, createParameters(engine, graph), { images: 1, input: 'bytes' })
      })
      expect(error.code).toBe('memory')
      expect(error.message).toMatch(
        /The parameters of the network needs? .*--max-memory|Running with a batch of 1 needs/s,
      )
    })
  })
})

test('an engine without room for its workers says what to lower', () => {
  const error = errorOf(() => createEngine({ threads: 4, simd: 'baseline', maxMemoryBytes: 2 * MiB }))
  expect(error.code).toBe('memory')
  expect(error.message).toMatch(/--threads/)
})
