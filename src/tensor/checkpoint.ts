import type { DType } from './dtype.ts'
import type { HostTensor } from './host-tensor.ts'
import type { Shape } from './shape.ts'

/**
 * Named tensors in a file or elsewhere. Names, shapes and element types are known at once; values are read when asked
 * for. Asking for a name that does not exist is a `weights` error that offers the nearest one.
 */
export interface Checkpoint {
  /** All names, in the order of the stored data. */
  names(): readonly string[]
  shape(name: string): Shape
  dtype(name: string): DType
  /** Values as 32-bit floats, in new memory. */
  read(name: string): Promise<HostTensor>
  /** The stored bytes: little-endian, row-major, in new memory. */
  readBytes(name: string): Promise<Uint8Array>
  readonly metadata: ReadonlyMap<string, string>
  /** What the reader chose or left out, in sentences for people; empty where there was no choice. */
  readonly remarks: readonly string[]
  /** Where it comes from, for messages: the path of the file. */
  readonly source: string
}
