// Random weights for networks and heads that start from nothing.
import { breathing } from '../breath.ts'
import { type Graph, type Layer, parameterName, parametersOf } from '../graph/graph.ts'
import type { ParameterSpec } from '../ops/op.ts'
import { type RandomStream, randomStream } from '../random.ts'
import type { HostTensor } from '../tensor/host-tensor.ts'
import { elementCount } from '../tensor/shape.ts'
import { drawer, type Fan, type Initialiser } from './initialisers.ts'

/** Tokens and positions that are learnt: timm's start. */
const TOKEN_STD = 0.02
/** A new classifier starts near zero, so that all classes are about equally likely. */
const LINEAR_STD = 0.01

/**
 * Unless `initialiser` says otherwise: He's normal initialisation by fan-out for convolutions (groups divided out, as timm does),
 * N(0, 0.01) for linear layers, N(0, 0.02) for tokens and positions, 0 for biases. Scale and shift of a norm are 1 and 0 in any case,
 * learnt slopes 0.25. Each tensor draws from a stream of its own, named after it.
 * @see He et al. 2015, https://arxiv.org/abs/1502.01852
 */
export async function initialWeights(
  graph: Graph,
  seed: number,
  initialiser?: Initialiser,
): Promise<Map<string, HostTensor>> {
  const breath = breathing()
  const tensors = new Map<string, HostTensor>()
  for (const layer of graph.layers) {
    const specs = parametersOf(layer)
    const fan = fanOf(specs)
    for (const spec of specs) {
      const name = parameterName(layer, spec)
      const data = new Float32Array(elementCount(spec.shape))
      const random = randomStream({ seed, purpose: `initialise:${name}` })
      const draw =
        initialiser && (spec.kind === 'weight' || spec.kind === 'bias')
          ? drawer(spec.kind === 'weight' ? initialiser.weights : initialiser.biases, fan, random)
          : usual(layer, spec, random)
      for (let index = 0; index < data.length; index++) {
        data[index] = draw()
        if (index % 4096 === 0 && breath.due()) await breath.pause()
      }
      tensors.set(name, { shape: spec.shape, data })
    }
  }
  return tensors
}

/** As PyTorch counts them: groups are not divided out. */
function fanOf(specs: readonly ParameterSpec[]): Fan {
  const [out = 1, inputs = 1, ...window] = specs.find(({ kind }) => kind === 'weight')?.shape ?? []
  const places = elementCount(window)
  return { in: inputs * places, out: out * places }
}

function usual(layer: Layer, { initial, shape, layout }: ParameterSpec, random: RandomStream): () => number {
  if (initial !== 'random') return () => initial
  const [out = 1, , ...window] = shape
  const places = elementCount(window)
  const groups = layer.op === 'conv2d' ? (layer.attrs.groups ?? 1) : 1
  const fanOut = layout === 'depthwise' ? places : (out * places) / groups
  const std = layout === 'linear' ? LINEAR_STD : layout === 'rows' ? TOKEN_STD : Math.sqrt(2 / fanOut)
  return () => std * random.normal()
}
