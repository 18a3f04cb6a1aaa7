// The three families of networks, small enough for many runs in a test.

import { mobilenetV1Graph } from '../../src/architectures/mobilenet-v1.ts'
import { mobilenetV2Graph } from '../../src/architectures/mobilenet-v2.ts'
import { resnetGraph } from '../../src/architectures/resnet.ts'
import { type Graph, parameterName, parametersOf } from '../../src/graph/graph.ts'
import { createEngine, type Engine } from '../../src/kernels/engine.ts'
import type { TrainingMode } from '../../src/runtime/plan.ts'
import type { Runner } from '../../src/runtime/runner.ts'
import { noise } from '../support/values.ts'

export const CLASSES = 5
export const SIZE = 40
const options = { classes: CLASSES, height: SIZE, width: SIZE, mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.4] } as const

/** TensorFlow's padding in one of them, so that both kinds occur. */
export const smallNetworks: readonly { readonly name: string; readonly graph: Graph }[] = [
  { name: 'MobileNetV1', graph: mobilenetV1Graph('mobilenetv1_010', 0.1, { ...options, args: { pad_type: 'same' } }) },
  { name: 'MobileNetV2', graph: mobilenetV2Graph('mobilenetv2_010', 0.1, options) },
  { name: 'ResNet', graph: resnetGraph('resnet', { repeats: [2, 1, 1, 1] }, options, 12) },
]

export const builds = ['baseline', 'relaxed'] as const
export type Build = (typeof builds)[number]

/** Runs `work` with an engine and closes it whatever happens. */
export async function withEngine<T>(
  settings: { threads: number; simd: Build | '256'; maxMemoryBytes?: number },
  work: (engine: Engine) => Promise<T>,
): Promise<T> {
  const engine = createEngine({ ...settings, allowV8Flags: true })
  try {
    return await work(engine)
  } finally {
    await engine.close()
  }
}

/** RGB bytes of a picture, different for each number. */
export function picture(number: number): Uint8Array {
  return Uint8Array.from(noise(SIZE * SIZE * 3, 1000 + number), (value) => Math.floor((value + 1) * 127.99))
}

/** Training of the layers that `chosen` accepts; batch norms that train use the statistics of the batch. */
export function trainingOf(graph: Graph, chosen: (layer: string) => boolean): TrainingMode {
  const layers = graph.layers.filter((layer) => chosen(layer.name))
  const names = layers.flatMap((layer) =>
    parametersOf(layer).flatMap((spec) => (spec.kind === 'statistic' ? [] : [parameterName(layer, spec)])),
  )
  const norms = layers.filter((layer) => layer.op === 'batchNorm').map((layer) => layer.name)
  return { trainable: new Set(names), batchStatistics: new Set(norms) }
}

/** Writes a batch of pictures with labels 0, 1, 2 …; the loss is a mean. */
export function writeBatch(runner: Runner, first: number, images: number): void {
  const targets = new Float32Array(images * CLASSES)
  for (let image = 0; image < images; image++) {
    runner.writeBytes(picture(first + image), image)
    targets[image * CLASSES + ((first + image) % CLASSES)] = 1 / images
  }
  runner.writeTargets(targets)
}
