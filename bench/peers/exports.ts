// Whether what `export` writes is what other runtimes compute: a fine-tuned model of each family on 20 pictures, as ONNX in
// onnxruntime-node, and as a layers model in TensorFlow.js where its layers can be written as one.
//   npx tsx bench/peers/exports.ts [NETWORK ...]
// The exit code is 1 where outputs are further apart than 1e-4 of the largest of them.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm'
import * as tf from '@tensorflow/tfjs-core'
import { loadLayersModel } from '@tensorflow/tfjs-layers'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { createEngine } from '../../src/kernels/engine.ts'
import { loadModel } from '../../src/model/load.ts'
import type { Model } from '../../src/model/model.ts'
import { exportModel } from '../../src/transfer/export.ts'
import { goldenPictures, outputsOf } from '../../src/transfer/golden.ts'
import { train } from '../../src/transfer/train.ts'
import { drawFolder } from '../../test/stories/drawn-pictures.ts'

const PICTURES = 20
const SIZE = 64
const WITHIN = 1e-4

/** One of each family, and those within a family whose layers are others. */
const networks = [
  'mobilenetv1_025',
  'mobilenetv2_035',
  'mobilenetv3_small_100',
  'mobilenetv4_conv_small',
  'mnasnet_050',
  'efficientnet_b0',
  'efficientnet_lite0',
  'tf_efficientnet_b0',
  'resnet18',
  'resnet50d',
  'regnetx_002',
  'regnety_002',
  'convnext_atto',
  'convnext_tiny',
  'vit_tiny_patch16_224',
  'vit_small_patch14_dinov2',
  'densenet121',
  'vgg11_bn',
  'shufflenet_v2_x0_5',
  'squeezenet1_1',
]

setWasmPaths(`${dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm'))}/`)
await tf.setBackend('wasm')
const folder = mkdtempSync(join(tmpdir(), 'regraft-exports-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
const data = join(folder, 'pictures')
await drawFolder(data, 3)
const engine = createEngine()
let failures = 0
for (const name of process.argv.length > 2 ? process.argv.slice(2) : networks) await check(name)
engine.close()
process.exitCode = failures > 0 ? 1 : 0

async function check(name: string): Promise<void> {
  const run = join(folder, name)
  // Patches of 14 pixels; VGG brings pictures of less than 224 pixels to 7 by 7 in a way that ONNX has no operator for.
  const imgSize = name.includes('patch14') ? 70 : name.startsWith('vgg') ? 224 : SIZE
  const fresh = { model: name, pretrained: false, mode: 'finetune', epochs: 1, batchSize: 3, imgSize } as const
  await train({ engine, data, out: run, ...fresh })
  const { model } = await loadModel(run)
  const { height, width } = model.preprocessing
  const pictures = goldenPictures(PICTURES, height, width)
  const expected = await outputsOf(engine, model, pictures, PICTURES, undefined)
  const told = [name.padEnd(26)]
  for (const [label, compute] of [
    ['onnxruntime-node', inOnnxRuntime],
    ['TensorFlow.js', inTensorFlow],
  ] as const) {
    const found = await compute(run, model, pictures).catch((error: unknown) => {
      const [line = ''] = String(error).split('\n')
      return line.includes('cannot be written as a layers model') ? 'not written' : line
    })
    if (typeof found === 'string') {
      if (found !== 'not written') failures += 1
      told.push(`${label} ${found}`)
      continue
    }
    const apart = difference(found, expected)
    if (!(apart <= WITHIN)) failures += 1
    told.push(`${label} ${apart.toExponential(1)}`)
  }
  console.log(told.join('  '))
  rmSync(run, { recursive: true })
}

async function inOnnxRuntime(run: string, model: Model, pictures: Uint8Array): Promise<ArrayLike<number>> {
  const out = `${run}-onnx`
  await exportModel(run, { engine, format: 'onnx', out })
  const session = await InferenceSession.create(join(out, 'model.onnx'))
  const { height, width } = model.preprocessing
  const input = new Tensor('float32', normalised(model, pictures, false), [PICTURES, 3, height, width])
  const { output } = await session.run({ input })
  await session.release()
  rmSync(out, { recursive: true })
  if (!(output?.data instanceof Float32Array)) throw new Error('the session gave no floats')
  return output.data
}

async function inTensorFlow(run: string, model: Model, pictures: Uint8Array): Promise<ArrayLike<number>> {
  const out = `${run}-tfjs`
  await exportModel(run, { engine, format: 'tfjs', out })
  const described = JSON.parse(readFileSync(join(out, 'model.json'), 'utf8'))
  const [{ paths, weights }] = described.weightsManifest
  const bytes = Buffer.concat(paths.map((shard: string) => readFileSync(join(out, shard))))
  const layers = await loadLayersModel({
    load: async () => ({
      modelTopology: described.modelTopology,
      weightSpecs: weights,
      weightData: new Uint8Array(bytes).buffer,
    }),
  })
  const { height, width } = model.preprocessing
  const input = tf.tensor(normalised(model, pictures, true), [PICTURES, height, width, 3])
  const output = layers.predict(input)
  if (Array.isArray(output)) throw new Error('the model has several outputs')
  const values = await output.data()
  tf.dispose([input, output])
  layers.dispose()
  rmSync(out, { recursive: true })
  return values
}

/** As the golden inputs beside an export are: f32[N, H, W, 3], or f32[N, 3, H, W]. */
function normalised({ preprocessing }: Model, pictures: Uint8Array, channelsLast: boolean): Float32Array {
  const { height, width, mean, std } = preprocessing
  const plane = height * width
  const values = new Float32Array(pictures.length)
  for (const [at, byte] of pictures.entries()) {
    const [picture, pixel, channel] = [Math.floor(at / 3 / plane), Math.floor(at / 3) % plane, at % 3]
    const value = (byte / 255 - (mean[channel] ?? 0)) / (std[channel] ?? 1)
    values[channelsLast ? at : (picture * 3 + channel) * plane + pixel] = value
  }
  return values
}

/** The largest, relative to the largest output. */
function difference(found: ArrayLike<number>, expected: Float32Array): number {
  if (found.length !== expected.length) return Number.POSITIVE_INFINITY
  const largest = Math.max(...expected.map(Math.abs))
  return Math.max(...expected.map((value, at) => Math.abs(value - (found[at] ?? Number.NaN)))) / largest
}
