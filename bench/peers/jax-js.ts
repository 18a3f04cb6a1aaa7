// jax-js on its WebAssembly backend.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { blockUntilReady, defaultDevice, init, type Array as JaxArray, jit, lax, numpy as np, vjp } from '@jax-js/jax'
import type { ConvolutionTask, Task } from '../protocol.ts'
import { readFloats, serve, type Work } from '../serve.ts'
import { transposed } from './network-files.ts'

await init('wasm')
defaultDevice('wasm')
const entry = createRequire(import.meta.url).resolve('@jax-js/jax')
const { version } = JSON.parse(readFileSync(join(dirname(entry), '..', 'package.json'), 'utf8'))
await serve(
  { is: `jax-js ${version}`, details: `Node ${process.versions.node}` },
  async (task: Task): Promise<Work> => {
    if (task.kind === 'matmul') {
      const { m, n, k } = task
      const a = array(readFloats(task.a), [m, k])
      const b = array(readFloats(task.b), [k, n])
      const product = jit((x: JaxArray, y: JaxArray) => np.matmul(x, y))
      return arrayWork(
        () => product(a.ref, b.ref),
        (values) => ({ output: values }),
      )
    }
    if (task.kind === 'convolution') return convolutionWork(task)
    throw new Error(`jax-js has no task '${task.kind}'`)
  },
)

function array(values: Float32Array, shape: readonly number[]): JaxArray {
  return np.array(values as Float32Array<ArrayBuffer>).reshape([...shape])
}

function convolutionWork(task: ConvolutionTask): Work {
  const { images, height, width, channels, outChannels, kernel, padding } = task
  const pixels = height * width
  const x = array(transposed(readFloats(task.input), images, pixels, channels), [images, channels, height, width])
  const weight = array(readFloats(task.weight), [outChannels, channels, kernel, kernel])
  const dOutput = transposed(readFloats(task.dOutput), images, pixels, outChannels)
  const dy = array(dOutput, [images, outChannels, height, width])
  const pads: [number, number][] = [
    [padding, padding],
    [padding, padding],
  ]
  const convolve = (input: JaxArray, filter: JaxArray): JaxArray => lax.conv(input, filter, [1, 1], pads)
  if (task.pass === 'forward') {
    const forward = jit(convolve)
    return arrayWork(
      () => forward(x.ref, weight.ref),
      (values) => ({ output: transposed(values, images, outChannels, pixels) }),
    )
  }
  const gradient = jit((input: JaxArray, filter: JaxArray, back: JaxArray): JaxArray => {
    const [y, pull] = vjp((w: JaxArray) => convolve(input, w), [filter])
    y.dispose()
    const [result] = pull(back)
    pull.dispose()
    return result as JaxArray
  })
  return arrayWork(
    () => gradient(x.ref, weight.ref, dy.ref),
    (values) => ({ 'gradient of weight': values }),
  )
}

function arrayWork(compute: () => JaxArray, arrays: (values: Float32Array) => Record<string, Float32Array>): Work {
  return {
    async run() {
      const result = await blockUntilReady(compute())
      result.dispose()
      return 1
    },
    async check() {
      return { arrays: arrays(Float32Array.from(await compute().data())) }
    },
    close() {},
  }
}
