// TensorFlow.js on its WebAssembly backend. Networks are built of its fused convolutions with batch norms folded in, as its converter does.
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { setThreadsCount, setWasmPaths, version_wasm } from '@tensorflow/tfjs-backend-wasm'
import * as tf from '@tensorflow/tfjs-core'
import type { Graph, Layer, LayerOf } from '../../src/graph/graph.ts'
import type { FusedActivation } from '../../src/ops/op.ts'
import type { Padding } from '../../src/ops/window.ts'
import type { MatmulTask, Task } from '../protocol.ts'
import { readFloats, serve, type Work } from '../serve.ts'
import { type Network, normalisedPictures, readNetwork } from './network-files.ts'

setThreadsCount(1)
setWasmPaths(`${dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm'))}/`)
await tf.setBackend('wasm')
await tf.ready()
await serve(
  { is: `tfjs-wasm ${version_wasm}`, details: `Node ${process.versions.node}, ${simd()}` },
  async (task: Task): Promise<Work> => {
    // Ended when the work is closed, which gives its weights back.
    tf.engine().startScope('task')
    if (task.kind === 'matmul') return matmulWork(task)
    if (task.kind !== 'forward') throw new Error(`TensorFlow.js has no task '${task.kind}'`)
    const steps = stepsOf(await readNetwork(task))
    const pictures = tf.tensor4d(normalisedPictures(task, 'NHWC'), [task.images, task.size, task.size, 3])
    return tensorWork(() => steps(pictures))
  },
)

function simd(): string {
  return tf.env().getBool('WASM_HAS_SIMD_SUPPORT') ? 'SIMD' : 'no SIMD'
}

function matmulWork({ m, k, n, a, b }: MatmulTask): Work {
  const left = tf.tensor2d(readFloats(a), [m, k])
  const right = tf.tensor2d(readFloats(b), [k, n])
  return tensorWork(() => tf.matMul(left, right))
}

/** The backend computes at once; reading the result would only copy it. */
function tensorWork(compute: () => tf.Tensor): Work {
  return {
    run() {
      tf.tidy(compute).dispose()
      return 1
    },
    check() {
      const result = tf.tidy(compute)
      const values = result.dataSync()
      result.dispose()
      return { arrays: { output: Float32Array.from(values) } }
    },
    close: () => tf.engine().endScope(),
  }
}

type Step = (values: Map<string, tf.Tensor4D | tf.Tensor2D>) => tf.Tensor4D | tf.Tensor2D

/** The network as a function of the normalised pictures. */
function stepsOf(network: Network): (pictures: tf.Tensor4D) => tf.Tensor {
  const steps = network.graph.layers.map((layer) => [layer.name, stepOf(network, layer)] as const)
  return (pictures) => {
    const values = new Map<string, tf.Tensor4D | tf.Tensor2D>([['input', pictures]])
    for (const [name, step] of steps) if (step) values.set(name, step(values))
    const result = values.get(network.graph.output)
    if (!result) throw new Error('the network has an output')
    return result
  }
}

function stepOf({ graph, tensors }: Network, layer: Layer): Step | undefined {
  const [first = '', second = ''] = layer.inputs
  const picture = (values: Map<string, tf.Tensor>, name: string) => values.get(name) as tf.Tensor4D
  const values = (name: string) => {
    const tensor = tensors.get(`${layer.name}.${name}`)
    if (!tensor) throw new Error(`'${layer.name}.${name}' is missing`)
    return tensor
  }
  switch (layer.op) {
    case 'imageInput':
      return undefined
    case 'conv2d':
    case 'depthwiseConv2d': {
      const norm = normAfter(graph, layer)
      const { filter, bias } = folded({ graph, tensors }, layer, norm)
      const [stride] = layer.attrs.stride
      const pad = evenPad(layer.attrs.padding)
      const activation = kernelActivation(norm.attrs.activation ?? 'none')
      const convolve = layer.op === 'conv2d' ? tf.fused.conv2d : tf.fused.depthwiseConv2d
      const options = { filter, strides: stride, pad, bias, ...(activation ? { activation } : {}) }
      return (all) => convolve({ x: picture(all, first), ...options })
    }
    case 'batchNorm':
      // Folded into the convolution before it.
      return (all) => picture(all, first)
    case 'add': {
      const relu = layer.attrs.activation === 'relu'
      return (all) => {
        const sum = tf.add<tf.Tensor4D>(picture(all, first), picture(all, second))
        return relu ? tf.relu(sum) : sum
      }
    }
    case 'maxPool': {
      const { kernel, stride, padding } = layer.attrs
      const pad = evenPad(padding)
      return (all) => tf.maxPool(picture(all, first), [...kernel], [...stride], pad, 'floor')
    }
    case 'globalAveragePool':
      return (all) => tf.mean<tf.Tensor2D>(picture(all, first), [1, 2])
    case 'linear': {
      const { shape, data } = values('weight')
      const b = tf.tensor2d(data, shape as [number, number])
      const bias = tf.tensor1d(values('bias').data)
      return (all) => tf.fused.matMul({ a: all.get(first) as tf.Tensor2D, b, transposeB: true, bias }) as tf.Tensor2D
    }
    default:
      throw new Error(`the layer '${layer.name}' (${layer.op}) is not built`)
  }
}

type Convolution = LayerOf<'conv2d'> | LayerOf<'depthwiseConv2d'>

function normAfter(graph: Graph, layer: Convolution): LayerOf<'batchNorm'> {
  const norm = graph.layers.find(({ inputs }) => inputs.includes(layer.name))
  if (norm?.op !== 'batchNorm') throw new Error(`no batch norm follows '${layer.name}'`)
  return norm
}

/** Filter [kh, kw, I, O], or [kh, kw, C, 1], and bias [O], with the batch norm folded in. */
function folded({ tensors }: Network, layer: Convolution, norm: LayerOf<'batchNorm'>) {
  const read = (name: string): Float32Array => {
    const tensor = tensors.get(name)
    if (!tensor) throw new Error(`'${name}' is missing`)
    return tensor.data
  }
  const [gamma, beta, mean, variance] = ['weight', 'bias', 'running_mean', 'running_var'].map((name) =>
    read(`${norm.name}.${name}`),
  )
  if (!gamma || !beta || !mean || !variance) throw new Error('a batch norm has four parameters')
  const scale = gamma.map((value, o) => value / Math.sqrt((variance[o] ?? Number.NaN) + norm.attrs.epsilon))
  const bias = beta.map((value, o) => value - (mean[o] ?? Number.NaN) * (scale[o] ?? Number.NaN))
  const weight = read(`${layer.name}.weight`)
  const [out = 1, inner = 1, height = 1, width = 1] = tensors.get(`${layer.name}.weight`)?.shape ?? []
  const depthwise = layer.op === 'depthwiseConv2d'
  const filter = new Float32Array(weight.length)
  const window = height * width
  for (let o = 0; o < out; o++)
    for (let i = 0; i < inner; i++)
      for (let at = 0; at < window; at++)
        filter[(at * inner + i) * out + o] =
          (weight[(o * inner + i) * window + at] ?? Number.NaN) * (scale[o] ?? Number.NaN)
  const shape: [number, number, number, number] = depthwise ? [height, width, out, 1] : [height, width, inner, out]
  return { filter: tf.tensor4d(filter, shape), bias: tf.tensor1d(bias) }
}

/** The number of zeros on all four sides. */
function evenPad(padding: Padding): number {
  const [zeros] = padding
  if (padding === 'same' || typeof zeros !== 'number' || padding.some((each) => each !== zeros))
    throw new Error('padding that differs by side is not built')
  return zeros
}

function kernelActivation(activation: FusedActivation): 'relu' | 'relu6' | undefined {
  return activation === 'none' ? undefined : activation
}
