// A network of the user's own: built by a function, recognised and loaded by the library.
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { type Architecture, createEngine, graphBuilder, loadModel, type Model, saveModel } from '../../src/index.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { randomParameters } from '../support/fill-parameters.ts'
import { outputsOf } from './outputs-of.ts'

const folder = temporaryFolder()
const engine = createEngine({ threads: 1 })
afterAll(() => engine.close())

/** Two convolutions, the second one gated. */
const mine: Architecture = {
  name: 'mine_tiny',
  classifier: 'classifier',
  firstConvolution: 'first',
  features: 6,
  build({ classes, height, width, mean, std }) {
    const net = graphBuilder()
    let x = net.layer('imageInput', 'input', { height, width, mean, std }, [])
    const square = { kernel: [3, 3], stride: [2, 2], padding: 'same', bias: true } as const
    x = net.layer('conv2d', 'first', { ...square, outChannels: 4 }, [x])
    net.at('stage1', 'second')
    x = net.layer('conv2d', 'second', { ...square, outChannels: 6 }, [x])
    const gate = net.layer('activation', 'second.gate', { kind: 'sigmoid' }, [
      net.layer('globalAveragePool', 'second.pool', {}, [x]),
    ])
    x = net.layer('scale', 'second.scale', {}, [x, gate])
    net.at('head')
    const features = net.layer('globalAveragePool', 'pool', {}, [x])
    if (classes === 0) return net.finish({ output: features, features })
    const classifier = net.layer('linear', 'classifier', { outFeatures: classes, bias: true }, [features])
    return net.finish({ output: classifier, features, classifier })
  },
}

const preprocessing = {
  width: 16,
  height: 16,
  cropPct: 1,
  interpolation: 'bilinear',
  cropMode: 'center',
  mean: [0.5, 0.5, 0.5],
  std: [0.5, 0.5, 0.5],
} as const
const model: Model = {
  architecture: mine.name,
  builder: mine,
  args: {},
  head: { kind: 'linear' },
  labels: ['a', 'b', 'c'],
  preprocessing,
  tensors: randomParameters(mine.build({ classes: 3, ...preprocessing }), 1),
  counters: new Map(),
  origin: { name: 'mine' },
}
const pictures = Uint8Array.from({ length: 2 * 16 * 16 * 3 }, (_, at) => (at * 37) % 256)

test('it is saved, loaded with its architecture, and gives the same', async () => {
  const saved = join(folder, 'mine')
  await saveModel(model, saved)
  const loaded = await loadModel(saved, { architectures: [mine] })
  expect(loaded.model.labels).toEqual(['a', 'b', 'c'])
  expect(await outputsOf(engine, loaded.model, pictures)).toEqual(await outputsOf(engine, model, pictures))
  await expect(loadModel(saved)).rejects.toThrow(/'mine_tiny' is not known/)
})

test('its weights alone are recognised', async () => {
  const saved = join(folder, 'alone')
  await saveModel(model, saved)
  const file = join(folder, 'alone.safetensors')
  copyFileSync(join(saved, 'model.safetensors'), file)
  const loaded = await loadModel(file, { architectures: [mine] })
  expect([loaded.model.architecture, loaded.model.labels.length]).toEqual(['mine_tiny', 3])
  await expect(loadModel(file)).rejects.toThrow(/those of no network that is known/)
})
