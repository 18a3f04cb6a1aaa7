// Collects the calls of a run in the order in which they depend on each other and groups them into steps.
import type { Call, Step } from '../kernels/program.ts'
import type { Block, Flow, Place } from '../ops/op.ts'
import { type FlowingCall, follows, piecesOf, stripBytes } from './pieces.ts'

export class Steps {
  private readonly steps: Step<Place>[] = []
  /** Calls that go through the batch together, still to be followed by more. */
  private open: FlowingCall[] = []
  /** Bytes of a unit of the strip that the first of them writes; 0 where it writes none. */
  private stripUnitBytes = 0
  /** Calls that nothing in the run waits for. */
  private asides: Call<Place>[] = []
  private readonly strip: Place
  private readonly passing: (block: Block) => boolean

  /**
   * @param strip    where strips lie
   * @param passing  whether a block is data of the batch, and not a constant or a parameter
   */
  constructor(strip: Place, passing: (block: Block) => boolean) {
    this.strip = strip
    this.passing = passing
  }

  /** A call that needs what was recorded before it. */
  add(call: Call<Place>): void {
    this.closeOpen()
    const free = this.asides.every((aside) => !this.meet(aside, call))
    const asides = this.takeAsides()
    if (free) this.steps.push({ calls: [call, ...asides] })
    else this.steps.push({ calls: asides }, { calls: [call] })
  }

  /** The same of one that goes through the pictures from top to bottom. */
  addFlowing(call: Call<Place>, flow: Flow): void {
    const before = this.open[this.open.length - 1]
    // Pieces with a strip of their own may lie with any worker: nothing in them may read beyond them.
    const free = this.stripUnitBytes === 0 || this.open.length === 1 || flow.reach === undefined
    if (before && free && follows(flow, before.flow)) {
      this.open.push({ call, flow })
    } else {
      this.flush()
      this.open = [{ call, flow }]
    }
  }

  /**
   * Ends the way of the calls that go together when `flow`, that of the last one, has no window and follows one that has: expand,
   * depthwise and project then make a step.
   */
  restBehindWindow(flow: Flow): void {
    if (flow.reach === undefined && this.open.some((each) => each.flow.reach !== undefined)) this.closeOpen()
  }

  /** A call that writes the strip, for the next one to read. */
  addStrip(call: Call<Place>, flow: Flow, unitBytes: number): void {
    this.flush()
    this.open = [{ call, flow }]
    this.stripUnitBytes = unitBytes
  }

  /** A call that needs parameters alone: it can be done beside an earlier step. */
  addAhead(call: Call<Place>): void {
    const last = this.steps[this.steps.length - 1]
    if (last && !last.pieces) this.steps[this.steps.length - 1] = { calls: [...last.calls, call] }
    else this.steps.push({ calls: [call] })
  }

  /**
   * A call that nothing in the run waits for: it can be done beside a later step. What it reads stays as it is until then,
   * for no layer overwrites the gradient that another layer was given.
   */
  addAside(call: Call<Place>): void {
    this.asides.push(call)
  }

  /** All steps. */
  finish(): readonly Step<Place>[] {
    this.flush()
    return this.steps
  }

  private flush(): void {
    this.closeOpen()
    const calls = this.takeAsides()
    if (calls.length > 0) this.steps.push({ calls })
  }

  private takeAsides(): Call<Place>[] {
    const { asides } = this
    this.asides = []
    return asides
  }

  private closeOpen(): void {
    const { open, stripUnitBytes: unitBytes } = this
    this.open = []
    this.stripUnitBytes = 0
    if (open.length === 0) return
    const calls = open.map(({ call }) => call)
    if (open.length === 1) {
      if (unitBytes > 0) throw new Error('nothing reads the strip')
      this.steps.push({ calls })
      return
    }
    const pieces = piecesOf(open, this.passing, unitBytes)
    const strip = { place: this.strip, bytes: Math.ceil(stripBytes(pieces, unitBytes) / 64) * 64, unitBytes }
    this.steps.push({ calls, pieces, ...(unitBytes > 0 ? { strip } : {}) })
  }

  /** Whether two calls touch the same data. */
  private meet(a: Call<Place>, b: Call<Place>): boolean {
    const blocks = new Set(blocksOf(a).filter(this.passing))
    return blocksOf(b).some((block) => blocks.has(block))
  }
}

/** The blocks that a call touches. */
export function blocksOf(call: Call<Place>): Block[] {
  return call.args.flatMap((argument) => (typeof argument === 'object' && 'block' in argument ? [argument.block] : []))
}
