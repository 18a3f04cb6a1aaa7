// Networks against those of timm and torchvision: names and shapes of all tensors, evaluation, gradients, and steps of training.
// fixtures/record.py made the recordings; weights and pictures are a formula that both sides have.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { architectureNamed } from '../../src/architectures/index.ts'
import { costOf } from '../../src/graph/cost.ts'
import { type Graph, parameterName, parametersOf } from '../../src/graph/graph.ts'
import { createEngine, type Engine, type RegisteredProgram } from '../../src/kernels/engine.ts'
import { counterNames } from '../../src/model/fit-weights.ts'
import { createUpdater } from '../../src/optim/updater.ts'
import { createParameters, type ParameterStore } from '../../src/runtime/parameters.ts'
import { createRunner } from '../../src/runtime/runner.ts'
import { relativeDifference } from '../support/relative-difference.ts'
import { formulaPictures, formulaWeights, projectionOf } from './formula.ts'

/** Length, and projection on a formula. */
type Summary = readonly [number, number]

interface RecordedTraining {
  readonly losses: readonly number[]
  readonly gradients: Readonly<Record<string, Summary>>
  readonly statistics: Readonly<Record<string, Summary>>
  readonly logits_after: readonly number[]
}

interface Recording {
  readonly network: string
  readonly source: string
  readonly classes: number
  readonly parameters: number
  readonly tensors: Readonly<Record<string, readonly number[]>>
  readonly size?: number
  readonly gain?: number
  readonly evaluation?: { readonly logits: readonly number[]; readonly features: readonly Summary[] }
  readonly training?: RecordedTraining
  readonly partial?: RecordedTraining & { readonly prefixes: readonly string[] }
}

const IMAGES = 4
const folder = join(import.meta.dirname, 'fixtures')
const recordings = readdirSync(folder)
  .filter((name) => name.endsWith('.json'))
  .map((name): Recording => JSON.parse(readFileSync(join(folder, name), 'utf8')))

function build({ network, classes }: Recording, size: number): Graph {
  return architectureNamed(network).build({ classes, height: size, width: size, mean: [0, 0, 0], std: [1, 1, 1] })
}

describe.each(recordings)('$network is that of $source', (recording) => {
  const { size, network } = recording

  test('in the names and shapes of its tensors', () => {
    const graph = build(recording, size ?? 224)
    const tensors = graph.layers.flatMap((layer) =>
      parametersOf(layer).map((spec) => [parameterName(layer, spec), spec.shape] as const),
    )
    const counters = counterNames(graph).map((name) => [name, []] as const)
    expect(Object.fromEntries([...tensors, ...counters])).toEqual(recording.tensors)
    expect(costOf(graph).parameters).toBe(recording.parameters)
  })

  const { evaluation, training, partial } = recording
  if (size === undefined || !evaluation || !training || !partial) return

  describe.each(['baseline', 'relaxed'] as const)('on %s kernels', (simd) => {
    // The kernels are tested on both builds by themselves; one shows that the networks are put together rightly.
    const trainings =
      simd === 'baseline'
        ? []
        : [
            { name: 'everything trained', recorded: training, prefixes: [''] },
            { name: 'only the end trained', recorded: partial, prefixes: partial.prefixes },
          ]
    const graph = build(recording, size)
    let engine: Engine
    let store: ParameterStore

    beforeAll(() => {
      engine = createEngine({ threads: 2, simd, allowV8Flags: true })
      store = createParameters(engine, graph)
    })
    afterAll(() => engine.close())

    function start(): void {
      for (const [name, tensor] of formulaWeights(graph, recording.gain ?? 1)) store.write(name, tensor)
    }

    async function evaluate(images: number): Promise<{ logits: Float32Array; features: Float32Array }> {
      const runner = createRunner(engine, graph, store, { images, input: 'floats', outputs: [graph.features] })
      await runner.prepare()
      runner.writeFloats(formulaPictures(IMAGES, size ?? 0).subarray(0, images * (size ?? 0) ** 2 * 3))
      await runner.run(images)
      const logits = runner.read(graph.output, images)
      const features = runner.read(graph.features, images)
      runner.close()
      return { logits, features }
    }

    test('in evaluation', async () => {
      start()
      const { logits, features } = await evaluate(IMAGES)
      expect(relativeDifference(logits, evaluation.logits)).toBeLessThan(5e-5)
      const each = features.length / IMAGES
      const summaries = evaluation.features.map((_, image) =>
        summaryOf('features', features.subarray(image * each, (image + 1) * each)),
      )
      expect(relativeDifference(summaries.flat(), evaluation.features.flat())).toBeLessThan(5e-5)
    })

    test.each(trainings)('in gradients, running statistics and three steps, $name', async ({ recorded, prefixes }) => {
      start()
      const isTrained = (name: string) => prefixes.some((prefix) => name.startsWith(prefix))
      const trainable = graph.layers.flatMap((layer) =>
        parametersOf(layer).flatMap((spec) =>
          spec.kind !== 'statistic' && isTrained(parameterName(layer, spec)) ? [parameterName(layer, spec)] : [],
        ),
      )
      const batchStatistics = new Set(
        graph.layers
          .filter(({ op, name }) => op === 'batchNorm' && isTrained(`${name}.weight`))
          .map(({ name }) => name),
      )
      const runner = createRunner(engine, graph, store, {
        images: IMAGES,
        input: 'floats',
        training: { trainable: new Set(trainable), batchStatistics },
      })
      const runBatch = async (more: readonly RegisteredProgram[]): Promise<void> => {
        const targets = new Float32Array(IMAGES * recording.classes)
        for (let image = 0; image < IMAGES; image++) {
          targets[image * recording.classes + ((image * 3) % recording.classes)] = 1 / IMAGES
        }
        runner.writeTargets(targets)
        runner.writeFloats(formulaPictures(IMAGES, size))
        await runner.run(IMAGES, { more })
      }
      await runner.prepare()
      await runBatch([])
      expect(Object.keys(recorded.gradients).sort()).toEqual([...trainable].sort())
      expectSummaries(recorded.gradients, (name) => runner.gradient(name).data, 'gradient')
      expectSummaries(recorded.statistics, (name) => store.read(name).data, 'running statistic')

      start()
      if (runner.zeroGradients) await engine.run([runner.zeroGradients], 1)
      const options = { optimiser: 'momentum', settings: { momentum: 0.9 }, weightDecay: 0, clipNorm: 0 } as const
      const updater = createUpdater(engine, runner, store, options)
      await runner.prepare()
      const losses: number[] = []
      for (let step = 0; step < recorded.losses.length; step++) {
        updater.setStep(1e-4, step)
        await runBatch([updater.program])
        losses.push(runner.losses(IMAGES).reduce((sum, loss) => sum + loss, 0))
      }
      updater.close()
      runner.close()
      // From so few pictures batch norm makes of a gradient that is 0.7 % off a loss that is 1 % off after a step, and another one after two.
      if (network === 'resnet50' && prefixes.includes('')) {
        expect(relativeDifference(losses.slice(0, 2), recorded.losses.slice(0, 2)), 'losses').toBeLessThan(2e-2)
        return
      }
      expect(relativeDifference(losses, recorded.losses), 'losses').toBeLessThan(5e-3)
      const { logits } = await evaluate(2)
      expect(relativeDifference(logits, recorded.logits_after), `${network} after training`).toBeLessThan(3e-2)
    })
  })
})

function summaryOf(name: string, values: Float32Array): Summary {
  return [Math.sqrt(values.reduce((sum, value) => sum + value * value, 0)), projectionOf(name, values)]
}

/**
 * Expects tensors as they were recorded, which is in float64. Where a value lies at a kink of an activation, rounding decides on which
 * side it is, and what follows is a little different: of ResNet-50 and MNASNet PyTorch's own gradients in float32 are 0.7 % off, taken
 * together. A gradient that is 0 in exact arithmetic (a bias in front of a batch norm) is rounding alone, and counts by the size of the
 * others.
 */
function expectSummaries(
  recorded: Readonly<Record<string, Summary>>,
  read: (name: string) => Float32Array,
  what: string,
): void {
  const entries = Object.entries(recorded)
  const typical = Math.hypot(...entries.map(([, [length]]) => length)) / Math.sqrt(Math.max(entries.length, 1))
  const wrong: [string, number][] = []
  let apart = 0
  let all = 0
  for (const [name, [length, projection]] of entries) {
    const [ownLength, ownProjection] = summaryOf(name, read(name))
    const difference = Math.hypot(ownLength - length, ownProjection - projection)
    apart += difference ** 2
    all += length ** 2 + projection ** 2
    if (!(difference <= 0.1 * Math.max(length, typical / 1000))) wrong.push([name, difference / length])
  }
  expect(wrong, what).toEqual([])
  expect(Math.sqrt(apart / Math.max(all, Number.MIN_VALUE)), `all together: ${what}`).toBeLessThan(2e-2)
}
