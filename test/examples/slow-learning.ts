// A saturated sigmoid neuron that should give 0 for 1: slow with the quadratic cost, quick with cross-entropy.
import { graphBuilder } from '../../src/graph/builder.ts'
import { createEngine } from '../../src/kernels/engine.ts'
import { createUpdater } from '../../src/optim/updater.ts'
import type { Loss } from '../../src/runtime/loss.ts'
import { createParameters } from '../../src/runtime/parameters.ts'
import { createRunner } from '../../src/runtime/runner.ts'
import { panelsSvg, whenRun } from './picture.ts'

export interface Neuron {
  readonly loss: Loss
  readonly rate: number
  /** Weight and bias at the start. */
  readonly start: readonly [number, number]
}

const EPOCHS = 300

/** Outputs of one sigmoid neuron with input 1 and target 0, at the beginning of each epoch of one step and after the last. */
export async function learn({ loss, rate, start: [w, b] }: Neuron): Promise<number[]> {
  const outputs: number[] = []
  const engine = createEngine({ threads: 1, simd: 'baseline' })
  try {
    const net = graphBuilder()
    const input = net.layer('tensorInput', 'input', { shape: [1] }, [])
    const sum = net.layer('linear', 'neuron', { outFeatures: 1, bias: true }, [input])
    const graph = net.finish({ output: sum, features: input })
    const store = createParameters(engine, graph)
    store.write('neuron.weight', { shape: [1, 1], data: Float32Array.of(w) })
    store.write('neuron.bias', { shape: [1], data: Float32Array.of(b) })
    const trainable = new Set(['neuron.weight', 'neuron.bias'])
    const training = { trainable, batchStatistics: new Set<string>(), loss }
    const runner = createRunner(engine, graph, store, { images: 1, input: 'floats', training })
    const updater = createUpdater(engine, runner, store, { optimiser: 'sgd', weightDecay: 0, clipNorm: 0 })
    await runner.prepare()
    runner.writeFloats(Float32Array.of(1))
    runner.writeTargets(Float32Array.of(0), Float32Array.of(1))
    for (let step = 0; step <= EPOCHS; step++) {
      updater.setStep(rate, step)
      await runner.run(1, { more: [updater.program] })
      outputs.push(1 / (1 + Math.exp(-(runner.read('neuron', 1)[0] ?? Number.NaN))))
    }
  } finally {
    await engine.close()
  }
  return outputs
}

await whenRun(import.meta.url, async () => {
  const points = async (loss: Loss, start: readonly [number, number], rate = 0.15) =>
    (await learn({ loss, rate, start })).map((output, epoch) => [epoch, output] as const)
  const [good, saturated] = [[0.6, 0.9] as const, [2, 2] as const]
  const from = ([w, b]: readonly [number, number]) => `from w ${w}, b ${b}`
  const quadratic: Loss = { kind: 'quadratic' }
  const entropy: Loss = { kind: 'bce' }
  const shared = { xLabel: 'epoch', reach: [0, 1] } as const
  return panelsSvg('Slow learning', [
    {
      ...shared,
      title: 'Output with the quadratic cost, rate 0.15',
      series: [
        { name: from(good), points: await points(quadratic, good) },
        { name: from(saturated), points: await points(quadratic, saturated) },
      ],
    },
    {
      ...shared,
      title: 'Output with cross-entropy',
      series: [
        { name: `${from(saturated)}, rate 0.15`, points: await points(entropy, saturated) },
        { name: 'rate 0.005', points: await points(entropy, saturated, 0.005) },
      ],
    },
  ])
})
