// A graph compiled into a flat list of steps, kernel calls with symbolic places: planned from the wanted outputs backwards.
// A layer takes part in backward when it, or anything before it, has a trainable parameter; the border is the frontier. Below it
// nothing is kept, frozen batch norm is folded, and all runs exactly as in inference.
import { withoutDropping } from '../graph/dropping.ts'
import { upTo } from '../graph/edit.ts'
import {
  consumersOf,
  type Graph,
  type Layer,
  layerNamed,
  nameWithin,
  opOf,
  parameterName,
  parametersOf,
} from '../graph/graph.ts'
import {
  type Argument,
  type ArgumentsOf,
  type Call,
  type Count,
  call,
  type KernelName,
  STRIP,
  type Step,
} from '../kernels/program.ts'
import type { ConvolutionAlgorithm } from '../ops/convolution-algorithm.ts'
import {
  ACTIVATION_CODES,
  type BackwardRecorder,
  type Block,
  channelsOf,
  type Flow,
  type ForwardRecorder,
  type Normalisation,
  type Place,
  paddedChannels,
  pixelsOf,
  rowsOf,
  type Value,
} from '../ops/op.ts'
import { type Fusion, planFusions } from './fusion.ts'
import type { Lifetime } from './layout.ts'
import { type Loss, lossCall } from './loss.ts'
import type { PlannedParameters } from './parameters.ts'
import { blocksOf, Steps } from './steps.ts'

export interface TrainingMode {
  /** Full names of the parameters that are updated. */
  readonly trainable: ReadonlySet<string>
  /** Names of the batch norms that use the batch's statistics and update the running ones. */
  readonly batchStatistics: ReadonlySet<string>
  /** Cross-entropy when left out. */
  readonly loss?: Loss
}

export interface PlanOptions {
  /** Layers whose outputs are wanted besides the network's. */
  readonly outputs?: readonly string[]
  /** Pictures enter as RGB bytes, or as floats that are normalised already ([N, H, W, 4], the last lane 0). */
  readonly input: 'bytes' | 'floats'
  /** Absent in inference. */
  readonly training?: TrainingMode
  /** An algorithm that convolutions take wherever it can serve them, to test and compare it. */
  readonly convolution?: ConvolutionAlgorithm
}

export interface Plan {
  /** Calls that need repeating only when weights change that this plan regards as fixed: folding and packing. */
  readonly prepare: readonly Call<Place>[]
  readonly main: readonly Step<Place>[]
  readonly lifetimes: readonly Lifetime[]
  /** Contents of constant tables. */
  readonly tables: readonly { readonly block: Block; readonly values: Int32Array | Float32Array }[]
  /** Where the host writes pictures or vectors. */
  readonly input: Place
  readonly outputs: ReadonlyMap<string, Value>
  /** Soft targets [N, S], the weight of each picture [N] and losses [N], in training. */
  readonly loss?: {
    readonly loss: Loss
    readonly targets: Place
    readonly weights: Place
    readonly losses: Place
    readonly classes: number
  }
  /** Two integers for each picture, and two for the step, of what is left out at random; each absent where nothing needs it. */
  readonly keys: { readonly pictures?: Place; readonly step?: Place }
  /** Gradients by parameter name, in one stretch of `gradientFloats` values. */
  readonly gradients: ReadonlyMap<string, Place>
  readonly gradientBlock: Block
  readonly gradientFloats: number
}

/** Plans a run. @param store  gives the places of the parameters; they need no memory yet */
export function makePlan(whole: Graph, store: PlannedParameters, options: PlanOptions): Plan {
  return new Planner(whole, store, options).plan()
}

/** The one place that mutates while a plan is made. */
class Planner {
  private readonly prepare: Call<Place>[] = []
  /** One for all steps, as large as the largest needs it. */
  private readonly stripBlock = { name: 'strip', fixedBytes: 0, bytesPerImage: 0, bytesPerWorker: 0 }
  private readonly strip: Place = { block: this.stripBlock, offsetBytes: 0 }
  private readonly main = new Steps(
    this.strip,
    (block) => !this.parameterBlocks.has(block) && !this.pinned.has(block) && block !== this.stripBlock,
  )
  /** Blocks that live as long as the runner. */
  private readonly pinned = new Set<Block>()
  private readonly parameterBlocks = new Set<Block>()
  /** Blocks that the main thread writes before a run, and reads after it. */
  private readonly given = new Set<Block>()
  private readonly wanted = new Set<Block>()
  private readonly tables: { block: Block; values: Int32Array | Float32Array }[] = []
  private readonly values = new Map<string, Value>()
  private readonly blocksByKey = new Map<string, Place>()
  private readonly gradients = new Map<string, Place>()
  private readonly valueGradients = new Map<string, Place>()
  private readonly keys: { pictures?: Place; step?: Place } = {}
  private readonly graph: Graph
  private readonly store: PlannedParameters
  private readonly options: PlanOptions
  private readonly needsGradient = new Set<string>()
  /** Outputs that must exist by themselves. */
  private readonly visible: ReadonlySet<string>
  private gradientFloats = 0
  private gradientBlock: Block = { name: 'gradients', fixedBytes: 0, bytesPerImage: 0 }

  constructor(given: Graph, store: PlannedParameters, options: PlanOptions) {
    // Nothing is left out but in training.
    const whole = options.training ? given : withoutDropping(given)
    // Only what the wanted outputs need is planned.
    const wanted = [whole.output, ...(options.outputs ?? [])]
    const needed = new Set(wanted.flatMap((name) => upTo(whole, name).layers.map((layer) => layer.name)))
    this.graph = { ...whole, layers: whole.layers.filter((layer) => needed.has(layer.name)) }
    this.store = store
    this.options = options
    this.visible = new Set(wanted)
  }

  plan(): Plan {
    const { graph } = this
    const { training } = this.options
    if (training) this.markGradients(training)
    const { byTail, absorbed } = planFusions(graph, (layer) => this.runsAsInference(layer), this.visible)

    let input: Place | undefined
    for (const layer of graph.layers) {
      if (layer.op === 'imageInput' || layer.op === 'tensorInput') input = this.recordInput(layer)
      else if (!absorbed.has(layer.name)) this.recordForward(layer, byTail.get(layer.name))
    }
    if (!input) throw new Error('the graph has no input')

    const loss = training ? this.recordLoss(training.loss ?? { kind: 'ce' }) : undefined
    if (training) {
      for (const layer of [...graph.layers].reverse())
        if (this.needsGradient.has(layer.name)) this.recordBackward(layer)
    }
    const outputs = new Map([...this.visible].map((name) => [name, this.valueOf(name)]))
    for (const value of outputs.values()) this.wanted.add(value.place.block)
    if (loss) this.wanted.add(loss.losses.block)
    const main = this.main.finish()
    this.stripBlock.bytesPerWorker = Math.max(0, ...main.map((step) => step.strip?.bytes ?? 0))

    return {
      prepare: this.prepare,
      main,
      lifetimes: this.lifetimes(main),
      tables: this.tables,
      input,
      outputs,
      ...(loss ? { loss } : {}),
      keys: this.keys,
      gradients: this.gradients,
      gradientBlock: this.gradientBlock,
      gradientFloats: this.gradientFloats,
    }
  }

  /** Finds which layers take part in backward, and lays out the gradients of the trainable parameters. */
  private markGradients(training: TrainingMode): void {
    const offsets: { name: string; offsetBytes: number }[] = []
    for (const layer of this.graph.layers) {
      const trains = parametersOf(layer).some((spec) => training.trainable.has(parameterName(layer, spec)))
      if (trains || layer.inputs.some((name) => this.needsGradient.has(name))) this.needsGradient.add(layer.name)
      for (const spec of parametersOf(layer)) {
        const name = parameterName(layer, spec)
        if (!training.trainable.has(name)) continue
        offsets.push({ name, offsetBytes: this.gradientFloats * 4 })
        this.gradientFloats += Math.ceil(this.store.get(name).length / 16) * 16
      }
    }
    this.gradientBlock = { name: 'gradients', fixedBytes: Math.max(this.gradientFloats, 16) * 4, bytesPerImage: 0 }
    this.pin(this.gradientBlock)
    for (const { name, offsetBytes } of offsets) this.gradients.set(name, { block: this.gradientBlock, offsetBytes })
  }

  private isFixed(layer: Layer): boolean {
    const trainable = this.options.training?.trainable
    return !trainable || parametersOf(layer).every((spec) => !trainable.has(parameterName(layer, spec)))
  }

  private usesBatchStatistics(layer: Layer): boolean {
    return this.options.training?.batchStatistics.has(layer.name) ?? false
  }

  private runsAsInference(layer: Layer): boolean {
    return !this.needsGradient.has(layer.name) && this.isFixed(layer) && !this.usesBatchStatistics(layer)
  }

  private valueOf(name: string): Value {
    const value = this.values.get(name)
    if (!value) throw new Error(`the output of '${name}' was not planned`)
    return value
  }

  // ── memory ────────────────────────────────────────────────────────────────────────────────────

  private place(name: string, fixedBytes: number, bytesPerImage: number): Place {
    return { block: { name, fixedBytes, bytesPerImage }, offsetBytes: 0 }
  }

  private placeFor(key: string, fixedBytes: number, bytesPerImage: number): Place {
    let place = this.blocksByKey.get(key)
    if (!place) {
      place = this.place(key, fixedBytes, bytesPerImage)
      this.blocksByKey.set(key, place)
    }
    return place
  }

  /** Makes a block live as long as the runner. */
  private pin(block: Block): void {
    this.pinned.add(block)
  }

  private pinnedPlace(key: string, bytes: number): Place {
    const place = this.placeFor(key, bytes, 0)
    this.pin(place.block)
    return place
  }

  /** First and last use of every block that is not a parameter, in steps: those of `prepare`, then those of a run. */
  private lifetimes(main: readonly Step<Place>[]): Lifetime[] {
    const before = this.prepare.length
    const end = before + main.length
    const uses = new Map<Block, { first: number; last: number }>()
    const use = (block: Block, at: number): void => {
      if (this.pinned.has(block) || this.parameterBlocks.has(block)) return
      const known = uses.get(block)
      if (known && known.first < before !== at < before)
        throw new Error(`block '${block.name}' is used before and during runs; it must be constant`)
      if (known) known.last = Math.max(known.last, at)
      else uses.set(block, { first: at, last: at })
    }
    for (const block of this.given) use(block, before)
    for (const [at, recorded] of this.prepare.entries()) for (const block of blocksOf(recorded)) use(block, at)
    for (const [at, { calls, strip }] of main.entries()) {
      for (const recorded of calls) for (const block of blocksOf(recorded)) use(block, before + at)
      if (strip) use(strip.place.block, before + at)
    }
    for (const block of this.wanted) use(block, end)
    for (const block of this.pinned) uses.set(block, { first: 0, last: end })
    return [...uses].map(([block, { first, last }]) => ({ block, first, last }))
  }

  private table(values: Int32Array | Float32Array, key: string): Place {
    const known = this.blocksByKey.get(key)
    if (known) return known
    const place = this.pinnedPlace(key, values.byteLength)
    this.tables.push({ block: place.block, values })
    return place
  }

  private parameterPlace(name: string): Place {
    const { place } = this.store.get(name)
    this.parameterBlocks.add(place.block)
    return place
  }

  // ── forward ───────────────────────────────────────────────────────────────────────────────────

  private outputPlace(layer: Layer): Place {
    return this.place(`output of ${layer.name}`, 0, pixelsOf(layer.shape) * paddedChannels(channelsOf(layer.shape)) * 4)
  }

  private recordInput(layer: Layer): Place {
    const output = this.outputPlace(layer)
    this.values.set(layer.name, { place: output, shape: layer.shape })
    if (layer.op !== 'imageInput' || this.options.input === 'floats') {
      this.given.add(output.block)
      return output
    }
    const pixels = pixelsOf(layer.shape)
    const bytes = this.place('picture bytes', 0, pixels * 3)
    this.given.add(bytes.block)
    const meanStd = this.table(
      new Float32Array([...layer.attrs.mean, ...layer.attrs.std]),
      `mean and std of ${layer.name}`,
    )
    this.main.addFlowing(call('bytesToFloats', [bytes, output, meanStd], { perImage: pixels }), {
      rows: rowsOf(layer.shape),
    })
    return bytes
  }

  private recordForward(layer: Layer, fusion: Fusion | undefined): void {
    const head = fusion?.head ?? layer
    const output: Value = { place: this.outputPlace(layer), shape: layer.shape }
    this.values.set(layer.name, output)
    const folded = fusion?.norm ? this.recordFolding(head, fusion.norm) : undefined
    const bias =
      folded?.bias ??
      (parametersOf(head).some((spec) => spec.name === 'bias' && spec.kind === 'bias')
        ? this.parameterPlace(`${head.name}.bias`)
        : 0)
    const parameter = (name: string): Place =>
      folded && name === 'weight' ? folded.weight : this.parameterPlace(nameWithin(head.name, name))
    const fixed = this.isFixed(head)
    const recorder: ForwardRecorder = {
      ...this.shared(head, output, parameter),
      inputs: head.inputs.map((name) => this.normalised(name)),
      leave: (pending) => this.leave(layer, pending),
      packed: (name, rows, columns, source) => {
        const key = `${head.name}.${name} packed`
        const once = fixed && source === undefined
        const packed = once ? this.pinnedPlace(key, rows * columns * 4) : this.placeFor(key, rows * columns * 4, 0)
        const spec = parametersOf(head).find((candidate) => candidate.name === name)
        const outputs = spec?.shape[0] ?? columns
        const packing = call<'packB', Place>(
          'packB',
          [source ?? parameter(name), columns, packed, rows, outputs],
          Math.ceil(columns / 8),
        )
        if (once) this.prepare.push(packing)
        else if (source) this.main.add(packing)
        else this.main.addAhead(packing)
        return packed
      },
      bias,
      residual: fusion?.residual ? this.valueOf(fusion.residual.other).place : 0,
      activation: fusion?.activation ?? 'none',
      constantCall: (kernel, args, units, grain) =>
        this.prepare.push(call<typeof kernel, Place>(kernel, args, units, grain)),
    }
    opOf(head).forward(head.attrs, recorder)
  }

  /** Whether the one reader of a layer does the layer's last step, piece by piece, so that its output is never written down. */
  private leave(layer: Layer, pending: Normalisation): boolean {
    const readers = consumersOf(this.graph).get(layer.name) ?? []
    const [reader] = readers
    const [input] = layer.inputs
    if (this.runsAsInference(layer) || this.visible.has(layer.name)) return false
    if (!reader || readers.length > 1 || this.runsAsInference(reader) || input === undefined) return false
    if (!opOf(reader).normalises?.(reader.attrs, reader.inputShapes)) return false
    this.values.set(layer.name, { ...this.valueOf(input), pending })
    return true
  }

  /** A value as `forward` reads it. */
  private normalised(name: string): Value {
    const { place, shape, pending } = this.valueOf(name)
    if (!pending) return { place, shape }
    const stride = paddedChannels(channelsOf(shape))
    const { scaleShift, activation } = pending
    const applied = call<'scaleShift', Place>(
      'scaleShift',
      [place, STRIP, stride, scaleShift, ACTIVATION_CODES[activation]],
      { perImage: pixelsOf(shape) },
    )
    this.main.addStrip(applied, { rows: rowsOf(shape) }, stride * 4)
    return { place: this.strip, shape }
  }

  /** weight·scale and bias·scale + shift, from the running statistics of the batch norm behind a layer. */
  private recordFolding(head: Layer, norm: Layer): { weight: Place; bias: Place } {
    if (norm.op !== 'batchNorm') throw new Error(`'${norm.name}' is not a batch norm`)
    const weight = this.store.get(`${head.name}.weight`)
    const stride = paddedChannels(channelsOf(norm.shape))
    const scaleShift = this.pinnedPlace(`${norm.name} scale and shift`, stride * 8)
    const saved = this.pinnedPlace(`${norm.name} statistics`, stride * 16)
    const parameters = ['weight', 'bias', 'running_mean', 'running_var'].map((name) =>
      this.parameterPlace(`${norm.name}.${name}`),
    )
    const [gamma, beta, mean, variance] = parameters
    if (!gamma || !beta || !mean || !variance) throw new Error('a batch norm has four parameters')
    this.prepare.push(
      call('batchNormFixed', [gamma, beta, mean, variance, stride, norm.attrs.epsilon, scaleShift, saved], stride / 4),
    )

    // A depthwise convolution reads its weights as they lie; a packed one needs the folded matrix only until it is packed.
    const key = `${head.name}.weight folded`
    const foldedWeight =
      head.op === 'depthwiseConv2d'
        ? this.pinnedPlace(key, weight.length * 4)
        : this.placeFor(key, weight.length * 4, 0)
    this.prepare.push(
      call(
        'scaleChannels',
        [this.parameterPlace(weight.name), foldedWeight, stride, scaleShift],
        weight.length / stride,
      ),
    )

    const shift: Place = { block: scaleShift.block, offsetBytes: stride * 4 }
    if (!this.store.has(`${head.name}.bias`)) return { weight: foldedWeight, bias: shift }
    const bias = this.pinnedPlace(`${head.name}.bias folded`, stride * 4)
    this.prepare.push(call('scaleShift', [this.parameterPlace(`${head.name}.bias`), bias, stride, scaleShift, 0], 1))
    return { weight: foldedWeight, bias }
  }

  private shared(layer: Layer, output: Value, parameter: (name: string) => Place) {
    const key = (name: string) => `${layer.name}: ${name}`
    const fixed = this.isFixed(layer)
    return {
      inputs: layer.inputs.map((name) => this.valueOf(name)),
      output,
      parameter,
      parametersFixed: fixed,
      convolution: this.options.convolution,
      batchStatistics: this.usesBatchStatistics(layer),
      keys: (of: 'pictures' | 'step') => this.keysOf(of),
      table: (integers: readonly number[]) => this.table(new Int32Array(integers), `table ${integers.join(' ')}`),
      temporary: (name: string, bytes: number, fixed?: 'fixed') =>
        this.place(key(name), fixed ? bytes : 0, fixed ? 0 : bytes),
      kept: (name: string, bytes: number, fixed?: 'fixed') =>
        this.placeFor(key(name), fixed ? bytes : 0, fixed ? 0 : bytes),
      constant: (name: string, bytes: number) => this.pinnedPlace(key(name), bytes),
      derived: <K extends KernelName>(
        name: string,
        bytes: number,
        kernel: K,
        args: (made: Place) => ArgumentsOf<K, Place> & readonly Argument<Place>[],
        units: Count,
      ) => {
        const made = fixed ? this.pinnedPlace(key(name), bytes) : this.placeFor(key(name), bytes, 0)
        const making = call<K, Place>(kernel, args(made), units)
        if (fixed) this.prepare.push(making)
        else this.main.addAhead(making)
        return made
      },
      call: <K extends KernelName>(
        kernel: K,
        args: ArgumentsOf<K, Place> & readonly Argument<Place>[],
        units: Count,
        grain?: number,
      ) => this.main.add(call<K, Place>(kernel, args, units, grain)),
      flow: <K extends KernelName>(
        flow: Flow,
        kernel: K,
        args: ArgumentsOf<K, Place> & readonly Argument<Place>[],
        units: Count,
        grain?: number,
      ) => {
        const recorded = this.withStrip(call<K, Place>(kernel, args, units, grain))
        this.main.addFlowing(recorded, flow)
        // Here nothing waits for sums over the batch, and all would flow from end to end.
        if (this.runsAsInference(layer)) this.main.restBehindWindow(flow)
      },
    }
  }

  private keysOf(of: 'pictures' | 'step'): Place {
    const known = this.keys[of]
    if (known) return known
    const place = of === 'pictures' ? this.place('keys of the pictures', 0, 8) : this.place('key of the step', 8, 0)
    this.given.add(place.block)
    this.keys[of] = place
    return place
  }

  private withStrip(recorded: Call<Place>): Call<Place> {
    return { ...recorded, args: recorded.args.map((argument) => (argument === this.strip ? STRIP : argument)) }
  }

  // ── loss and backward ─────────────────────────────────────────────────────────────────────────

  private recordLoss(loss: Loss): NonNullable<Plan['loss']> {
    const { output } = this.graph
    const logits = this.valueOf(output)
    const classes = channelsOf(logits.shape)
    const stride = paddedChannels(classes)
    const targets = this.place('targets', 0, stride * 4)
    const weights = this.place('weights of the pictures', 0, 4)
    const losses = this.place('losses', 0, 4)
    for (const written of [targets, weights]) this.given.add(written.block)
    const dLogits = this.place(`gradient of ${output}`, 0, stride * 4)
    this.valueGradients.set(output, dLogits)
    const constant = (values: readonly number[]) => {
      const padded = new Float32Array(stride)
      padded.set(values)
      return this.table(padded, `table of the loss ${values.join(' ')}`)
    }
    const places = { logits: logits.place, targets, weights, losses, dLogits, constant, classes, stride }
    this.main.add(lossCall(loss, places))
    return { loss, targets, weights, losses, classes }
  }

  private recordBackward(layer: Layer): void {
    const dOutput = this.valueGradients.get(layer.name)
    // A layer whose output reaches the loss on no path gets no gradient.
    if (!dOutput) return
    const output = this.valueOf(layer.name)
    const fixed = this.isFixed(layer)
    const parameter = (name: string): Place => this.parameterPlace(nameWithin(layer.name, name))
    const dInput = (index: number, mayReuse: boolean) => {
      const name = layer.inputs[index]
      if (name === undefined || !this.needsGradient.has(name)) return undefined
      const known = this.valueGradients.get(name)
      if (known) return { place: known, accumulate: 1 } as const
      const shape = layerNamed(this.graph, name).shape
      const bytes = pixelsOf(shape) * paddedChannels(channelsOf(shape)) * 4
      const place =
        mayReuse && dOutput.block.bytesPerImage === bytes ? dOutput : this.place(`gradient of ${name}`, 0, bytes)
      this.valueGradients.set(name, place)
      return { place, accumulate: 0 } as const
    }
    const recorder: BackwardRecorder = {
      ...this.shared(layer, output, parameter),
      dOutput,
      packedTransposed: (name, rows, columns, source) => {
        const key = `${layer.name}.${name} transposed, packed`
        const once = fixed && source === undefined
        const packed = once ? this.pinnedPlace(key, rows * columns * 4) : this.placeFor(key, rows * columns * 4, 0)
        const spec = this.store.get(`${layer.name}.${name}`).spec
        const inner = spec.shape.slice(1).reduce((product, size) => product * size, 1)
        const packing = call<'packBTransposed', Place>(
          'packBTransposed',
          [source ?? parameter(name), paddedChannels(rows), packed, rows, inner],
          Math.ceil(columns / 8),
        )
        if (once) this.prepare.push(packing)
        else if (source) this.main.add(packing)
        else this.main.addAhead(packing)
        return packed
      },
      aside: (kernel, args, units, grain) => this.main.addAside(call<typeof kernel, Place>(kernel, args, units, grain)),
      gradient: (name) => this.gradients.get(nameWithin(layer.name, name)),
      dInput: (index) => dInput(index, false),
      dInputInPlace: (index) => dInput(index, true),
    }
    opOf(layer).backward(layer.attrs, recorder)
  }
}
