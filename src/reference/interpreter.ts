// A network as plain loops in float64: the truth that runs of the kernels are compared with. It can be asked what the loss would be if
// one value of a parameter were another, which costs only the layers that this value reaches.
import { type Graph, type Layer, nameWithin, parameterName, parametersOf } from '../graph/graph.ts'
import type { Loss } from '../runtime/loss.ts'
import { kinksOf } from './activations.ts'
import { packedIndex, packWeights } from './convolution.ts'
import type { DropKeys } from './dropping.ts'
import { type LossTargets, type LossValue, lossOf } from './losses.ts'
import { backward, convolutionOf, forward, type LayerPass, missing, type Surroundings } from './operators.ts'

export interface ReferenceOptions {
  /** By full name, in file layout; running statistics too. */
  readonly parameters: ReadonlyMap<string, ArrayLike<number>>
  /** What enters the network, [images, …shape] without padding: pictures are normalised already. */
  readonly input: Float64Array
  readonly images: number
  /** Names of the batch norms that use the statistics of the batch; none when left out. */
  readonly batchStatistics?: ReadonlySet<string>
  /** What decides what is left out, as the runner was given it; needed where the network leaves something out. */
  readonly keys?: DropKeys
  /** Rounds what each layer gives, forward and backward, to float32: what is lost by storing it so. */
  readonly single?: boolean
}

/** A training step as far as its loss goes. */
export interface ReferenceLoss {
  readonly loss: Loss
  readonly targets: LossTargets
}

/** The loss where one value of a parameter is another. */
export interface MovedLoss {
  readonly loss: number
  /** Whether a value crossed a kink on the way; then `loss` is not computed to its end and is NaN. */
  readonly crossed: boolean
}

export interface Reference {
  /** Output of each layer, by its name. */
  output(layer: string): Float64Array
  /** Running statistics after this pass, by full name, of the batch norms that used the batch's statistics. */
  readonly statistics: ReadonlyMap<string, Float64Array>
  /** The loss at these parameters. */
  loss(): number
  /** The loss with `value` in the place `at` of a parameter, in file order. */
  lossWith(parameter: string, at: number, value: number): MovedLoss
  /**
   * How many values another computation of the same pass has on the other side of a kink.
   * @param given   what it gave for the layers that `kinkedLayers` names
   * @param layers  those that matter
   */
  sidesApart(given: (layer: string) => Float64Array, layers: ReadonlySet<string>): number
  /** The gradients of the loss by its own backward pass, of all parameters but running statistics, in file layout. */
  gradients(): ReadonlyMap<string, Float64Array>
}

/** @throws Error when a parameter of the graph is missing */
export function referenceOf(graph: Graph, options: ReferenceOptions, step?: ReferenceLoss): Reference {
  const { images, batchStatistics = new Set(), single = false } = options
  const stored = (values: Float64Array) => (single ? values.map(Math.fround) : values)
  const input = stored(options.input)
  const parameters = new Map<string, Float64Array>()
  const owners = new Map<string, Layer>()
  for (const layer of graph.layers) {
    for (const spec of parametersOf(layer)) {
      const name = parameterName(layer, spec)
      parameters.set(name, Float64Array.from(options.parameters.get(name) ?? missing(name)))
      owners.set(name, layer)
    }
  }
  const packs = new Map(
    graph.layers.flatMap((layer) => {
      const shape = convolutionOf(layer, images)
      const weight = parameters.get(`${layer.name}.weight`)
      return shape && weight ? [[layer.name, packWeights(weight, shape)] as const] : []
    }),
  )
  const around = (layer: Layer, read: (name: string) => Float64Array): Surroundings => ({
    images,
    inputs: layer.inputs.length === 0 ? [input] : layer.inputs.map(read),
    parameter: (name) => parameters.get(nameWithin(layer.name, name)),
    useBatch: batchStatistics.has(layer.name),
    packed: packs.get(layer.name),
    keys: options.keys,
  })

  const passes = new Map<string, LayerPass>()
  const read = (name: string) => passes.get(name)?.output ?? missing(name)
  for (const layer of graph.layers) {
    const pass = forward(layer, around(layer, read))
    passes.set(layer.name, { ...pass, output: stored(pass.output) })
  }
  const statistics = new Map<string, Float64Array>()
  for (const [name, { normalised }] of passes) {
    if (!normalised?.running) continue
    statistics.set(`${name}.running_mean`, normalised.running.mean)
    statistics.set(`${name}.running_var`, normalised.running.variance)
  }
  const classes = graph.layers.find(({ name }) => name === graph.output)?.shape.at(-1) ?? 1
  const lossFor = (outputs: Float64Array): LossValue => {
    if (!step) throw new Error('this reference was made without a loss')
    return lossOf(step.loss, outputs, step.targets, classes)
  }
  let known: LossValue | undefined
  const base = () => (known ??= lossFor(read(graph.output)))

  /** The layers that change with a layer, itself first. */
  const reached = new Map<string, readonly Layer[]>()
  const above = (name: string): readonly Layer[] => {
    const found = reached.get(name)
    if (found) return found
    const changed = new Set([name])
    const layers = graph.layers.filter((layer) => {
      if (layer.inputs.some((each) => changed.has(each))) changed.add(layer.name)
      return changed.has(layer.name)
    })
    reached.set(name, layers)
    return layers
  }

  const passAbove = (changedLayer: string): MovedLoss => {
    const moved = new Map<string, LayerPass>()
    const movedValue = (name: string) => moved.get(name)?.output ?? read(name)
    for (const layer of above(changedLayer)) {
      const pass = forward(layer, around(layer, movedValue))
      if (differ(pass.sides, passes.get(layer.name)?.sides)) return { loss: Number.NaN, crossed: true }
      moved.set(layer.name, pass)
    }
    const { value, sides } = lossFor(movedValue(graph.output))
    return differ(sides, base().sides) ? { loss: Number.NaN, crossed: true } : { loss: value, crossed: false }
  }

  return {
    output: read,
    statistics,
    loss: () => base().value,
    lossWith(parameter, at, value) {
      const layer = owners.get(parameter)
      const values = parameters.get(parameter)
      if (!layer || !values) return missing(parameter)
      const pack = parameter === `${layer.name}.weight` ? packs.get(layer.name) : undefined
      const shape = convolutionOf(layer, images)
      const put = (number: number) => {
        values[at] = number
        if (pack && shape) pack[packedIndex(at, shape)] = number
      }
      const before = values[at] ?? missing(`value ${at} of ${parameter}`)
      put(value)
      try {
        return passAbove(layer.name)
      } finally {
        put(before)
      }
    },
    sidesApart(given, layers) {
      let apart = 0
      for (const layer of graph.layers) {
        const { sides } = passes.get(layer.name) ?? missing(layer.name)
        if (!sides || !layers.has(layer.name)) continue
        const other = sidesOf(layer, given) ?? forward(layer, around(layer, given)).sides
        for (const [at, side] of sides.entries()) if (side !== other?.[at]) apart++
      }
      return apart
    },
    gradients() {
      const dParameters = new Map<string, Float64Array>()
      const dValues = new Map<string, Float64Array>([[graph.output, base().dOutputs]])
      for (const layer of [...graph.layers].reverse()) {
        const dOutput = dValues.get(layer.name)
        if (!dOutput) continue
        const pass = passes.get(layer.name) ?? missing(layer.name)
        const gradients = backward(layer, around(layer, read), pass, dOutput)
        for (const [name, gradient] of Object.entries(gradients.dParameters)) {
          const full = nameWithin(layer.name, name)
          if (parameters.has(full)) dParameters.set(full, stored(gradient))
        }
        for (const [at, name] of layer.inputs.entries()) {
          const gradient = gradients.dInputs[at] ?? missing(`gradient of '${name}'`)
          const sum = dValues.get(name)
          const total = sum ? sum.map((value, index) => value + (gradient[index] ?? Number.NaN)) : gradient
          dValues.set(name, stored(total))
        }
        dValues.delete(layer.name)
      }
      return dParameters
    },
  }
}

/** The layers that have kinks, and those whose outputs tell on which side of them a value is. */
export function kinkedLayers(graph: Graph): {
  readonly layers: ReadonlySet<string>
  readonly seen: ReadonlySet<string>
} {
  const layers = new Set<string>()
  const seen = new Set<string>()
  for (const layer of graph.layers) {
    if (!hasKinks(layer)) continue
    layers.add(layer.name)
    for (const name of fusesActivation(layer) ? [layer.name] : layer.inputs) seen.add(name)
  }
  return { layers, seen }
}

function hasKinks(layer: Layer): boolean {
  switch (layer.op) {
    case 'batchNorm':
    case 'add':
      return (layer.attrs.activation ?? 'none') !== 'none'
    case 'activation':
      return kinksOf(layer.attrs).length > 0
    default:
      return layer.op === 'prelu' || layer.op === 'maxout' || layer.op === 'maxPool'
  }
}

function fusesActivation(layer: Layer): layer is Extract<Layer, { op: 'batchNorm' | 'add' }> {
  return layer.op === 'batchNorm' || layer.op === 'add'
}

/** The sides of a fused activation, as its output shows them. */
function sidesOf(layer: Layer, given: (layer: string) => Float64Array): Uint8Array | undefined {
  if (!fusesActivation(layer)) return undefined
  const { activation } = layer.attrs
  return Uint8Array.from(given(layer.name), (value) => (activation === 'relu6' && value >= 6 ? 2 : value > 0 ? 1 : 0))
}

type Sides = Uint8Array | Int32Array | undefined

function differ(one: Sides, other: Sides): boolean {
  if (!one || !other) return one !== other
  for (let at = 0; at < one.length; at++) if (one[at] !== other[at]) return true
  return false
}
