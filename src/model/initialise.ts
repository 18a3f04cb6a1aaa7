// Random weights for networks and heads that start from nothing.
import { breathing } from '../breath.ts'
import { type Graph, parameterName, parametersOf } from '../graph/graph.ts'
import { randomStream } from '../random.ts'
import type { HostTensor } from '../tensor/host-tensor.ts'
import { elementCount } from '../tensor/shape.ts'

/** Tokens and positions that are learnt: timm's start. */
const TOKEN_STD = 0.02
/** A new classifier starts near zero, so that all classes are about equally likely. */
const LINEAR_STD = 0.01

/**
 * He's normal initialisation by fan-out for convolutions (groups divided out, as timm does), N(0, 0.01) for linear layers,
 * N(0, 0.02) for tokens and positions, 1 and 0 for the scale and shift of a norm. Each tensor draws from a stream of its own, named after it.
 * @see He et al. 2015, https://arxiv.org/abs/1502.01852
 */
export async function initialWeights(graph: Graph, seed: number): Promise<Map<string, HostTensor>> {
  const breath = breathing()
  const tensors = new Map<string, HostTensor>()
  for (const layer of graph.layers) {
    for (const spec of parametersOf(layer)) {
      const name = parameterName(layer, spec)
      const data = new Float32Array(elementCount(spec.shape))
      if (spec.initial === 'random') {
        const [out = 1, , kernelHeight = 1, kernelWidth = 1] = spec.shape
        const window = kernelHeight * kernelWidth
        const groups = layer.op === 'conv2d' ? (layer.attrs.groups ?? 1) : 1
        const fanOut = spec.layout === 'depthwise' ? window : (out * window) / groups
        const std = spec.layout === 'linear' ? LINEAR_STD : spec.layout === 'rows' ? TOKEN_STD : Math.sqrt(2 / fanOut)
        const random = randomStream({ seed, purpose: `initialise:${name}` })
        for (let index = 0; index < data.length; index++) {
          data[index] = std * random.normal()
          if (index % 4096 === 0 && breath.due()) await breath.pause()
        }
      } else data.fill(spec.initial)
      tensors.set(name, { shape: spec.shape, data })
    }
  }
  return tensors
}
