// Run by wide.test.ts under a Node that can fuse vectors: networks on 128 and on 256 bits; prints digests of all results as JSON.

import { createHash } from 'node:crypto'
import { mobilenetV2Graph } from '../../src/architectures/mobilenet-v2.ts'
import type { Engine } from '../../src/kernels/engine.ts'
import { createUpdater } from '../../src/optim/updater.ts'
import { createParameters } from '../../src/runtime/parameters.ts'
import { createRunner } from '../../src/runtime/runner.ts'
import { randomParameters, writeParameters } from '../support/fill-parameters.ts'
import { CLASSES, picture, SIZE, smallNetworks, trainingOf, withEngine, writeBatch } from './small-networks.ts'

const IMAGES = 5
const options = { classes: CLASSES, height: SIZE, width: SIZE, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] } as const
const networks = [
  ...smallNetworks,
  // Wide enough for every tile.
  { name: 'MobileNetV2, half as wide', graph: mobilenetV2Graph('mobilenetv2_050', 0.5, options) },
]

/** A digest for each network: outputs in inference, and all parameters after three steps. */
async function digests(engine: Engine): Promise<Record<string, string>> {
  const found: Record<string, string> = {}
  for (const { name, graph } of networks) {
    const hash = createHash('sha256')
    const store = createParameters(engine, graph)
    writeParameters(store, randomParameters(graph, 1))
    const inference = createRunner(engine, graph, store, { images: IMAGES, input: 'bytes' })
    const training = createRunner(engine, graph, store, {
      images: IMAGES,
      input: 'bytes',
      training: trainingOf(graph, () => true),
    })
    const updater = createUpdater(engine, training, store, { optimiser: 'adamw', weightDecay: 1e-3, clipNorm: 1 })
    await training.prepare()
    for (const step of [0, 1, 2]) {
      writeBatch(training, step * IMAGES, IMAGES)
      updater.setStep(0.01, step)
      await training.run(IMAGES, { more: [updater.program] })
    }
    await inference.prepare()
    for (let image = 0; image < IMAGES; image++) inference.writeBytes(picture(image), image)
    await inference.run(IMAGES)
    hash.update(new Uint8Array(inference.read(graph.output, IMAGES).buffer))
    for (const parameter of store.parameters) hash.update(new Uint8Array(store.read(parameter.name).data.buffer))
    found[name] = hash.digest('hex')
    for (const runner of [inference, training]) runner.close()
    store.free()
  }
  return found
}

const relaxed = await withEngine({ threads: 2, simd: 'relaxed' }, digests)
const wide = await withEngine({ threads: 2, simd: '256' }, async (engine) => ({
  wide: await digests(engine),
  bits: engine.vectorBits,
  note: engine.simdNote,
}))
const again = await withEngine({ threads: 1, simd: 'relaxed' }, digests)
console.log(JSON.stringify({ relaxed, again, ...wide }))
