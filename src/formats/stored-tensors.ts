import { RegraftError } from '../errors.ts'
import { inertName } from '../inert-text.ts'
import { nearestName } from '../nearest-name.ts'
import type { Checkpoint } from '../tensor/checkpoint.ts'
import { type DType, takeAsFloat32 } from '../tensor/dtype.ts'
import type { Shape } from '../tensor/shape.ts'

/** One tensor of a file that was looked through: what is known at once, and the way to its values. */
export interface StoredTensor {
  readonly name: string
  readonly dtype: DType
  readonly shape: Shape
  /** Little-endian, row-major, in new memory. */
  readBytes(): Promise<Uint8Array>
}

/**
 * The tensors of a file as a checkpoint.
 * @throws RegraftError `weights` when two tensors have one name
 */
export function checkpointOf(
  source: string,
  tensors: readonly StoredTensor[],
  more: Partial<Pick<Checkpoint, 'metadata' | 'remarks'>> = {},
): Checkpoint {
  const byName = new Map<string, StoredTensor>()
  for (const tensor of tensors) {
    if (byName.has(tensor.name)) throw tensorError(source, tensor.name, 'the name is there twice (a duplicate).')
    byName.set(tensor.name, tensor)
  }
  const names = [...byName.keys()]
  const tensorOf = (name: string): StoredTensor => byName.get(name) ?? throwNoTensor(source, name, names)
  return {
    names: () => names,
    shape: (name) => tensorOf(name).shape,
    dtype: (name) => tensorOf(name).dtype,
    readBytes: async (name) => tensorOf(name).readBytes(),
    async read(name) {
      const { shape, dtype, readBytes } = tensorOf(name)
      return { shape, data: takeAsFloat32(await readBytes(), dtype) }
    },
    metadata: more.metadata ?? new Map(),
    remarks: more.remarks ?? [],
    source,
  }
}

/** @throws RegraftError `weights`, always, with the nearest name */
export function throwNoTensor(source: string, name: string, names: readonly string[]): never {
  const near = nearestName(name, names)
  const advice = near === undefined ? '' : `\nDid you mean '${inertName(near, 200)}'?`
  const message = `${inertName(source)}: there is no tensor '${inertName(name, 200)}' among ${names.length}.${advice}`
  throw new RegraftError('weights', message, { file: source, where: name })
}

/** An error about one tensor of a file. */
export function tensorError(file: string, name: string, problem: string): RegraftError {
  const message = `${inertName(file)}: tensor '${inertName(name, 200)}': ${problem}`
  return new RegraftError('weights', message, { file, where: name })
}

/** An error about a weight file. */
export function weightsError(file: string, problem: string, where?: string): RegraftError {
  return new RegraftError('weights', `${inertName(file)}: ${problem}`, { file, where })
}
