import type { OnnxAttribute, OnnxNode } from './onnx-file.ts'
import type { StoredTensor } from './stored-tensors.ts'

/** The attributes of a node, with their types checked. All methods throw Error with a plain reason. */
export class Attributes {
  private readonly attributes: ReadonlyMap<string, OnnxAttribute>

  constructor(node: OnnxNode) {
    this.attributes = node.attributes
  }

  int(name: string, fallback: number): number {
    const found = this.attributes.get(name)
    if (found === undefined) return fallback
    return found.kind === 'int' ? found.value : throwWrongType(name, found, 'int')
  }

  float(name: string, fallback: number): number {
    const found = this.attributes.get(name)
    if (found === undefined) return fallback
    return found.kind === 'float' ? found.value : throwWrongType(name, found, 'float')
  }

  text(name: string, fallback: string): string {
    const found = this.attributes.get(name)
    if (found === undefined) return fallback
    return found.kind === 'text' ? found.value : throwWrongType(name, found, 'text')
  }

  ints(name: string): readonly number[] | undefined {
    const found = this.attributes.get(name)
    if (found === undefined) return undefined
    return found.kind === 'ints' ? found.value : throwWrongType(name, found, 'ints')
  }

  floats(name: string): readonly number[] | undefined {
    const found = this.attributes.get(name)
    if (found === undefined) return undefined
    return found.kind === 'floats' ? found.value : throwWrongType(name, found, 'floats')
  }

  tensor(name: string): StoredTensor | undefined {
    const found = this.attributes.get(name)
    if (found === undefined) return undefined
    return found.kind === 'tensor' ? found.value : throwWrongType(name, found, 'tensor')
  }

  has(name: string): boolean {
    return this.attributes.has(name)
  }
}

function throwWrongType(name: string, found: OnnxAttribute, expected: OnnxAttribute['kind']): never {
  throw new Error(`its attribute '${name}' is of the wrong type: ${found.kind}, ${expected} is expected`)
}
