// Where the table of convolution algorithms is wrong on this machine: every algorithm that can serve a shape is forced in turn, forward
// and in a step of training (all directions together), and the fastest is compared with the table's choice.
//   npx tsx bench/convolutions.ts [--repeats N] [--simd baseline]
import { parseArgs } from 'node:util'
import { graphBuilder } from '../src/graph/builder.ts'
import { type Graph, layerNamed, parameterName, parametersOf } from '../src/graph/graph.ts'
import { createEngine } from '../src/kernels/engine.ts'
import { initialWeights } from '../src/model/initialise.ts'
import { type ConvolutionAlgorithm, convolutionCandidates } from '../src/ops/convolution-algorithm.ts'
import { createParameters } from '../src/runtime/parameters.ts'
import { createRunner } from '../src/runtime/runner.ts'

const { values } = parseArgs({
  options: { repeats: { type: 'string', default: '9' }, simd: { type: 'string', default: 'auto' } },
})
const repeats = Number(values.repeats)
const simd = values.simd === 'baseline' ? 'baseline' : 'auto'
const SIZES = [3, 4, 5, 7, 10, 14, 28, 56]
const CHANNELS = [4, 8, 16, 32, 64, 128, 256, 512]
const IMAGES = 8
const CLASSES = 4
/** Multiply-adds of the largest shape that is tried. */
const MOST = 1e9
const window = { kernel: [3, 3], stride: [1, 1], padding: [1, 1, 1, 1] } as const
const pointwise = { kernel: [1, 1], stride: [1, 1], padding: [0, 0, 0, 0] } as const

console.log(`3x3 convolutions, ${IMAGES} pictures, one thread, medians of ${repeats}; ratios are patches / winograd`)
for (const size of SIZES) {
  for (const channels of CHANNELS) {
    if (size * size * channels * channels * 9 * IMAGES > MOST) continue
    const forward = await compare(size, channels, false)
    const training = await compare(size, channels, true)
    const wrong = [forward, training].some(({ loss }) => loss > 1.1)
    console.log(
      `${`${size}x${size}x${channels}`.padEnd(12)} forward ${forward.text}   training ${training.text}${wrong ? '   the table is wrong' : ''}`,
    )
  }
}

/** A convolution whose input has a gradient, too, between two small layers. */
function network(size: number, channels: number): Graph {
  const net = graphBuilder()
  let x = net.layer('tensorInput', 'input', { shape: [size, size, 4] }, [])
  x = net.layer('conv2d', 'before', { ...pointwise, outChannels: channels }, [x])
  x = net.layer('conv2d', 'conv', { ...window, outChannels: channels }, [x])
  x = net.layer('globalAveragePool', 'pool', {}, [x])
  x = net.layer('linear', 'fc', { outFeatures: CLASSES }, [x])
  return net.finish({ output: x, features: 'pool' })
}

/** How much slower the table's choice is than the fastest, and the ratio of the two algorithms. */
async function compare(size: number, channels: number, training: boolean): Promise<{ text: string; loss: number }> {
  const graph = network(size, channels)
  const engine = createEngine({ threads: 1, simd, allowV8Flags: true })
  const store = createParameters(engine, graph)
  for (const [name, tensor] of await initialWeights(graph, 1)) store.write(name, tensor)
  const trainable = new Set(
    graph.layers.flatMap((layer) => parametersOf(layer).map((spec) => parameterName(layer, spec))),
  )
  const [height, width] = layerNamed(graph, 'conv').shape
  const candidates = convolutionCandidates({
    direction: 'forward',
    ...window,
    dilation: [1, 1],
    groups: 1,
    inChannels: channels,
    outChannels: channels,
    outHeight: height ?? 1,
    outWidth: width ?? 1,
    weightFixed: !training,
  })
  const runs = new Map<ConvolutionAlgorithm, { step: () => Promise<void>; times: number[] }>()
  for (const convolution of candidates) {
    const runner = createRunner(engine, graph, store, {
      images: IMAGES,
      input: 'floats',
      convolution,
      ...(training ? { training: { trainable, batchStatistics: new Set<string>() } } : {}),
    })
    await runner.prepare()
    runner.writeFloats(new Float32Array(IMAGES * size * size * 4).fill(0.5))
    if (training) runner.writeTargets(new Float32Array(IMAGES * CLASSES).fill(1 / IMAGES))
    runs.set(convolution, { step: () => runner.run(IMAGES), times: [] })
  }
  for (let repeat = -3; repeat < repeats; repeat++) {
    for (const { step, times } of runs.values()) {
      const startedAt = performance.now()
      await step()
      if (repeat >= 0) times.push(performance.now() - startedAt)
    }
  }
  await engine.close()
  const median = (algorithm: ConvolutionAlgorithm | undefined): number => {
    const sorted = [...((algorithm && runs.get(algorithm)?.times) ?? [])].sort((a, b) => a - b)
    return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
  }
  const fastest = Math.min(...candidates.map(median))
  const ratio = median('patches') / median('winograd')
  return { text: `${ratio.toFixed(2)} (${candidates[0]})`, loss: median(candidates[0]) / fastest }
}
