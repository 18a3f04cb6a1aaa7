// Results depend neither on the company a picture is in nor on the number of threads.

import { describe, expect, test } from 'vitest'
import type { Graph } from '../../src/graph/graph.ts'
import { createUpdater } from '../../src/optim/updater.ts'
import { createParameters } from '../../src/runtime/parameters.ts'
import { createRunner } from '../../src/runtime/runner.ts'
import { bits } from '../support/dense-data.ts'
import { randomParameters, writeParameters } from '../support/fill-parameters.ts'
import {
  type Build,
  builds,
  CLASSES,
  picture,
  smallNetworks,
  trainingOf,
  withEngine,
  writeBatch,
} from './small-networks.ts'

const cases = builds.flatMap((build) => smallNetworks.map((network) => ({ build, ...network })))

describe.each(cases)('$name on $build kernels', ({ build, graph }) => {
  test('gives a picture the same bits in any batch, at any place, beside any neighbours, with any threads', async () => {
    const results: { picture: number; where: string; values: Uint32Array }[] = []
    for (const threads of [1, 2, 3]) {
      await withEngine({ threads, simd: build }, async (engine) => {
        const store = createParameters(engine, graph)
        writeParameters(store, randomParameters(graph, 1))
        // The second one is planned for more pictures than it gets.
        for (const { planned, batch } of [
          { planned: 1, batch: [0] },
          { planned: 4, batch: [0, 1] },
          { planned: 7, batch: [3, 2, 1, 0, 4, 5, 6] },
          { planned: 3, batch: [6, 6, 0] },
        ]) {
          const runner = createRunner(engine, graph, store, {
            images: planned,
            input: 'bytes',
            outputs: [graph.features],
          })
          await runner.prepare()
          for (const [at, number] of batch.entries()) runner.writeBytes(picture(number), at)
          await runner.run(batch.length)
          for (const layer of [graph.output, graph.features]) {
            const values = runner.read(layer, batch.length)
            const length = values.length / batch.length
            for (const [at, number] of batch.entries()) {
              const where = `${layer} of picture ${number} at ${at} of ${batch.length}, ${threads} threads`
              results.push({ picture: number, where, values: bits(values.slice(at * length, (at + 1) * length)) })
            }
          }
          runner.close()
        }
      })
    }
    const first = new Map<string, (typeof results)[number]>()
    for (const result of results) {
      const key = `${result.picture} ${result.values.length}`
      const known = first.get(key)
      if (known) expect(result.values, `${result.where} against ${known.where}`).toEqual(known.values)
      else first.set(key, result)
    }
    // Different pictures give different results: nothing is constant, nothing infinite.
    const logits = [...first.values()].filter(({ values }) => values.length === CLASSES)
    expect(new Set(logits.map(({ values }) => values.join())).size).toBe(7)
    for (const { values } of first.values()) expect(new Float32Array(values.buffer).every(Number.isFinite)).toBe(true)
  })

  test.each(['momentum', 'adamw'] as const)('trains to the same bits with any threads: %s', async (optimiser) => {
    const once = await train(graph, build, 1, optimiser)
    expect(await train(graph, build, 1, optimiser)).toEqual(once)
    for (const threads of [2, 3, 5]) expect(await train(graph, build, threads, optimiser)).toEqual(once)
    const before = new Map(
      [...randomParameters(graph, 2)].map(([name, tensor]) => [name, Buffer.from(tensor.data.buffer).toString('hex')]),
    )
    // A shift in front of another batch norm has no effect, so it may stay where it is.
    for (const [name, values] of once) if (!name.endsWith('.bias')) expect(values, name).not.toBe(before.get(name))
  })
})

/** Bits of all parameters, running statistics included, after three steps; the last batch is smaller. */
async function train(graph: Graph, simd: Build, threads: number, optimiser: 'momentum' | 'adamw') {
  return withEngine({ threads, simd }, async (engine) => {
    const store = createParameters(engine, graph)
    writeParameters(store, randomParameters(graph, 2))
    const runner = createRunner(engine, graph, store, {
      images: 5,
      input: 'bytes',
      training: trainingOf(graph, () => true),
    })
    const updater = createUpdater(engine, runner, store, { optimiser, weightDecay: 1e-3, clipNorm: 1 })
    await runner.prepare()
    for (const [step, images] of [5, 5, 3].entries()) {
      writeBatch(runner, step * 5, images)
      updater.setStep(0.01, step)
      await runner.run(images, { more: [updater.measure, updater.program] })
    }
    return new Map(
      store.parameters.map(({ name }) => [name, Buffer.from(store.read(name).data.buffer).toString('hex')]),
    )
  })
}
