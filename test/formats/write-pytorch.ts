// PyTorch files for tests, in the form that torch.save gives them.
import { zipOf } from './write-zip.ts'

/** A tensor of float32. */
export class TestTensor {
  readonly shape: readonly number[]
  readonly values: readonly number[]
  constructor(shape: readonly number[], values: readonly number[]) {
    this.shape = shape
    this.values = values
  }
}

/** What the writer knows: a Map is a dict, an array a list. */
export type TestValue = null | boolean | number | string | TestTensor | TestValue[] | Map<string, TestValue>

/** The bytes of a .pth file whose root is `root`. */
export function pytorchFile(root: TestValue, pickle = pickleOf(root)): Buffer {
  return zipOf([
    { name: 'archive/data.pkl', bytes: pickle.bytes },
    ...pickle.storages.map((bytes, key) => ({ name: `archive/data/${key}`, bytes })),
    { name: 'archive/version', bytes: Buffer.from('3\n') },
  ])
}

/** The pickle of a value in protocol 2, and the storages it refers to. */
export function pickleOf(root: TestValue): { bytes: Buffer; storages: Buffer[] } {
  const out: Buffer[] = [Buffer.of(0x80, 2)]
  const storages: Buffer[] = []
  const text = (value: string) => {
    const bytes = Buffer.from(value)
    const head = Buffer.of(0x58, 0, 0, 0, 0)
    head.writeUInt32LE(bytes.length, 1)
    out.push(head, bytes)
  }
  const integer = (value: number) => {
    const bytes = Buffer.of(0x4a, 0, 0, 0, 0)
    bytes.writeInt32LE(value, 1)
    out.push(bytes)
  }
  const code = (opcodes: string) => out.push(Buffer.from(opcodes, 'latin1'))
  const integers = (values: readonly number[]) => {
    code('(')
    for (const value of values) integer(value)
    code('t')
  }
  const write = (value: TestValue): void => {
    if (value === null) code('N')
    else if (typeof value === 'boolean') code(value ? '\u0088' : '\u0089')
    else if (typeof value === 'number') integer(value)
    else if (typeof value === 'string') text(value)
    else if (Array.isArray(value)) {
      code('](')
      for (const item of value) write(item)
      code('e')
    } else if (value instanceof Map) {
      code('}(')
      for (const [key, item] of value) {
        text(key)
        write(item)
      }
      code('u')
    } else {
      const key = String(storages.length)
      storages.push(Buffer.from(Float32Array.from(value.values).buffer))
      code('ctorch._utils\n_rebuild_tensor_v2\n((')
      text('storage')
      code('ctorch\nFloatStorage\n')
      text(key)
      text('cpu')
      integer(value.values.length)
      code('tQ')
      integer(0)
      integers(value.shape)
      integers(value.shape.map((_, axis) => value.shape.slice(axis + 1).reduce((a, b) => a * b, 1)))
      code('\u0089ccollections\nOrderedDict\n)RtR')
    }
  }
  write(root)
  code('.')
  return { bytes: Buffer.concat(out), storages }
}
