// Runs an imported ONNX model on our kernels, with inputs and outputs in the order that ONNX has them.
import { importOnnx, type OnnxEnd, type OnnxNetwork } from '../../src/formats/onnx-network.ts'
import { layerNamed } from '../../src/graph/graph.ts'
import type { Engine } from '../../src/kernels/engine.ts'
import { createParameters } from '../../src/runtime/parameters.ts'
import { createRunner } from '../../src/runtime/runner.ts'
import { elementCount, type Shape } from '../../src/tensor/shape.ts'

/** What nothing but tests of numbers needs: pictures come as floats. */
export const onnxInput = { mean: [0, 0, 0], std: [1, 1, 1], size: 64 } as const

export interface OnnxTensor {
  /** With the batch. */
  readonly shape: readonly number[]
  readonly data: ArrayLike<number>
}

/** Outputs by name for one input; ones of the declared shape when none is given. */
export async function runOnnx(
  engine: Engine,
  network: OnnxNetwork,
  input?: OnnxTensor,
): Promise<Map<string, { shape: number[]; data: Float32Array }>> {
  const { graph, checkpoint, outputs } = network
  const images = input?.shape[0] ?? 1
  const store = createParameters(engine, graph)
  for (const name of checkpoint.names()) store.write(name, await checkpoint.read(name))
  const layers = [...new Set(outputs.map(({ layer }) => layer))]
  const runner = createRunner(engine, graph, store, { images, input: 'floats', outputs: layers })
  try {
    await runner.prepare()
    const { dims, layer } = network.input
    const given = input?.data ?? new Float32Array(elementCount(dims)).fill(1)
    if (given.length !== images * elementCount(dims)) throw new Error(`the input has ${given.length} values`)
    const ours = new Float32Array(given.length)
    eachPlace(network.input, layerNamed(graph, layer).shape, images, (theirs, place) => {
      ours[place] = given[theirs] ?? Number.NaN
    })
    runner.writeFloats(ours)
    await runner.run(images)
    const results = new Map<string, { shape: number[]; data: Float32Array }>()
    for (const end of outputs) {
      const values = runner.read(end.layer, images)
      const data = new Float32Array(values.length)
      eachPlace(end, layerNamed(graph, end.layer).shape, images, (theirs, place) => {
        data[theirs] = values[place] ?? Number.NaN
      })
      const shape = [images, ...end.dims]
      results.set(end.name, { shape, data: end.softmax === undefined ? data : normalised(data, images, end.softmax) })
    }
    return results
  } finally {
    runner.close()
    store.free()
  }
}

export { importOnnx }

/** Calls `visit` with the places of every number: in the order of ONNX, and in that of the layer. */
function eachPlace(end: OnnxEnd, layerShape: Shape, images: number, visit: (theirs: number, ours: number) => void) {
  const { dims, axes } = end.flattened ?? end
  const strideOf = (axis: number) => layerShape.slice(axis + 1).reduce((product, size) => product * size, 1)
  const perImage = elementCount(dims)
  for (let index = 0; index < perImage; index++) {
    let rest = index
    let place = 0
    for (let at = dims.length - 1; at >= 0; at--) {
      const size = dims[at] ?? 1
      const axis = axes[at] ?? -1
      if (axis >= 0) place += (rest % size) * strideOf(axis)
      rest = Math.floor(rest / size)
    }
    for (let image = 0; image < images; image++) visit(image * perImage + index, image * perImage + place)
  }
}

function normalised(values: Float32Array, rows: number, kind: 'softmax' | 'log-softmax'): Float32Array {
  const classes = values.length / rows
  return values.map((value, at) => {
    const row = values.subarray(Math.floor(at / classes) * classes, (Math.floor(at / classes) + 1) * classes)
    const largest = Math.max(...row)
    const logSum = Math.log(row.reduce((sum, logit) => sum + Math.exp(logit - largest), 0)) + largest
    return kind === 'softmax' ? Math.exp(value - logSum) : value - logSum
  })
}
