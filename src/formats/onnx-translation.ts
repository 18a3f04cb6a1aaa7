// What the names of an ONNX graph stand for while it is walked through, beside the network in the making.
import type { RegraftError } from '../errors.ts'
import { inertName } from '../inert-text.ts'
import type { OpName } from '../ops/index.ts'
import { type Draft, NetworkDraft } from './network-draft.ts'
import type { OnnxNode } from './onnx-file.ts'
import type { OnnxValue } from './onnx-values.ts'
import { weightsError } from './stored-tensors.ts'

export class Translation extends NetworkDraft {
  readonly opset: number
  private readonly values = new Map<string, OnnxValue>()
  /** How often each name is read, by nodes and as an output. */
  private readonly uses: ReadonlyMap<string, number>
  /** How many names stand for each layer's output: views of it have names of their own. */
  private readonly namesOf = new Map<string, number>()

  constructor(file: string, opset: number, uses: ReadonlyMap<string, number>) {
    super(file)
    this.opset = opset
    this.uses = uses
  }

  valueNamed(name: string): OnnxValue | undefined {
    return this.values.get(name)
  }

  /** @throws RegraftError when the name has a value already */
  define(name: string, value: OnnxValue): void {
    if (this.values.has(name)) throw this.duplicate(name)
    this.values.set(name, value)
    if (value.kind === 'network') this.namesOf.set(value.layer, (this.namesOf.get(value.layer) ?? 0) + 1)
  }

  duplicate(name: string): RegraftError {
    return weightsError(
      this.file,
      `the name '${inertName(name, 200)}' is given twice (a duplicate) in the ONNX model.`,
      name,
    )
  }

  /** Whether nothing but one node reads what this name stands for. */
  isReadOnce(name: string | undefined): boolean {
    return this.uses.get(name ?? '') === 1
  }

  /** Whether anything reads what this name stands for. */
  isRead(name: string): boolean {
    return this.uses.has(name)
  }

  /** The layer of a value, if it is of one of these kinds and may be changed, because only one node reads it. */
  soleReadLayer<K extends OpName>(onnxName: string | undefined, ...ops: readonly K[]): Draft<K> | undefined {
    const value = this.values.get(onnxName ?? '')
    if (value?.kind !== 'network' || !this.isReadOnce(onnxName)) return undefined
    return this.namesOf.get(value.layer) === 1 ? this.draftOf(value.layer, ...ops) : undefined
  }

  nodeError(node: OnnxNode, problem: string): RegraftError {
    const name = node.name === '' ? (node.outputs[0] ?? '') : node.name
    return weightsError(this.file, `the ${inertName(node.op, 100)} node '${inertName(name, 200)}': ${problem}.`, name)
  }
}
