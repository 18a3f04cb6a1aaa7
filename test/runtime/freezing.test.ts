// What freezing promises: frozen layers stay as they are, and nothing is kept for them.

import { describe, expect, test } from 'vitest'
import { selectLayers } from '../../src/graph/freeze.ts'
import { type Graph, layerNamed } from '../../src/graph/graph.ts'
import { createUpdater } from '../../src/optim/updater.ts'
import { createParameters } from '../../src/runtime/parameters.ts'
import { makePlan } from '../../src/runtime/plan.ts'
import { createRunner } from '../../src/runtime/runner.ts'
import { bits } from '../support/dense-data.ts'
import { randomParameters, writeParameters } from '../support/fill-parameters.ts'
import { relativeDifference } from '../support/relative-difference.ts'
import { builds, CLASSES, picture, smallNetworks, trainingOf, withEngine, writeBatch } from './small-networks.ts'

const IMAGES = 4
/** Enough for values to outweigh weights, which packed for Winograd's algorithm take four times their room. */
const MANY_IMAGES = 32

describe.each(smallNetworks)('$name', ({ graph }) => {
  test.each(['head', 'last:1', 'all'])('keeps every bit of what is frozen and moves the rest: %s', async (choice) => {
    const chosen = selectLayers(graph, choice)
    await withEngine({ threads: 2, simd: 'baseline' }, async (engine) => {
      const store = createParameters(engine, graph)
      const before = randomParameters(graph, 3)
      writeParameters(store, before)
      const training = trainingOf(graph, (layer) => chosen.has(layer))
      const runner = createRunner(engine, graph, store, { images: IMAGES, input: 'bytes', training })
      const updater = createUpdater(engine, runner, store, { optimiser: 'momentum', weightDecay: 0.01, clipNorm: 0 })
      await runner.prepare()
      for (let step = 0; step < 2; step++) {
        writeBatch(runner, 0, IMAGES)
        updater.setStep(0.02, step)
        await runner.run(IMAGES, { more: [updater.program] })
      }
      const moved = store.parameters.filter(({ name }) => !sameBits(store.read(name).data, before.get(name)?.data))
      const movedLayers = new Set(moved.map(({ layer }) => layer.name))
      const withParameters = new Set(store.parameters.map(({ layer }) => layer.name))
      expect(movedLayers).toEqual(new Set([...chosen].filter((layer) => withParameters.has(layer))))
      for (const { name, layer } of store.parameters) {
        if (!chosen.has(layer.name)) expect(runner.gradientAddress(name), name).toBeUndefined()
      }
    })
  })

  test('needs less memory the less of it trains, and below the frontier no more than in inference', async () => {
    const bytes = new Map<string, number>()
    const gradients = new Map<string, number>()
    await withEngine({ threads: 1, simd: 'baseline' }, async (engine) => {
      const store = createParameters(engine, graph)
      const inference = createRunner(engine, graph, store, { images: MANY_IMAGES, input: 'bytes' })
      bytes.set('inference', inference.bytes)
      for (const choice of ['head', 'last:1', 'last:2', 'all']) {
        const chosen = selectLayers(graph, choice)
        const training = trainingOf(graph, (layer) => chosen.has(layer))
        const runner = createRunner(engine, graph, store, { images: MANY_IMAGES, input: 'bytes', training })
        bytes.set(choice, runner.bytes)
        gradients.set(choice, runner.gradientRegion().length * 4)
        runner.close()
      }
    })
    const of = (choice: string): number => bytes.get(choice) ?? Number.NaN
    expect(of('last:1')).toBeLessThan(of('all') / 2)
    expect(of('last:2')).toBeLessThan(of('all') / 2)
    // The head keeps its input, targets, losses and gradients.
    const features = layerNamed(graph, graph.features).shape[0] ?? 0
    const allowance = (gradients.get('head') ?? 0) + MANY_IMAGES * (features + 8 * CLASSES) * 4 + 4096
    expect(of('head')).toBeLessThanOrEqual(of('inference') + allowance)
  })
})

const cases = builds.flatMap((build) => smallNetworks.map((network) => ({ build, ...network })))

describe.each(cases)('folding and fusing in $name on $build kernels', ({ build, graph }) => {
  test('changes results by rounding alone', async () => {
    const all = graph.layers.map((layer) => layer.name)
    await withEngine({ threads: 2, simd: build }, async (engine) => {
      const store = createParameters(engine, graph)
      writeParameters(store, randomParameters(graph, 4))
      const plain = await infer(graph, all)
      const fused = await infer(graph, [graph.features])
      expect(fused.calls).toBeLessThan(plain.calls * 0.7)
      for (const layer of [graph.features, graph.output]) {
        const difference = relativeDifference(fused.read(layer), plain.read(layer))
        expect(difference, layer).toBeLessThan(1e-5)
        expect(difference, layer).toBeGreaterThan(0)
      }
      // Below the frontier a training runs the same fused calls.
      const training = trainingOf(graph, (layer) => layer === graph.classifier)
      const runner = createRunner(engine, graph, store, {
        images: IMAGES,
        input: 'bytes',
        training,
        outputs: [graph.features],
      })
      await runner.prepare()
      writeBatch(runner, 0, IMAGES)
      await runner.run(IMAGES)
      expect(bits(runner.read(graph.features, IMAGES))).toEqual(bits(fused.read(graph.features)))

      async function infer(network: Graph, outputs: readonly string[]) {
        const own = createRunner(engine, network, store, { images: IMAGES, input: 'bytes', outputs })
        await own.prepare()
        for (let image = 0; image < IMAGES; image++) own.writeBytes(picture(image), image)
        await own.run(IMAGES)
        const results = new Map([network.features, network.output].map((layer) => [layer, own.read(layer, IMAGES)]))
        const { main } = makePlan(network, store, { input: 'bytes', outputs })
        own.close()
        return {
          calls: main.flatMap((step) => step.calls).length,
          read: (layer: string) => results.get(layer) ?? new Float32Array(0),
        }
      }
    })
  })
})

function sameBits(a: Float32Array, b: Float32Array | undefined): boolean {
  return b !== undefined && Buffer.from(a.buffer).equals(Buffer.from(b.buffer, b.byteOffset, b.byteLength))
}
