// Activations of pictures at the boundary of the frozen part, by keys that say all that they depend on. Kept in memory, and in a folder
// where one is given. Whatever is missing is computed, so nothing here changes a result.
import { type BlobShelf, openShelf } from '../files/blob-cache.ts'

export interface ActivationStore {
  /** Whether `get` will probably find it. */
  has(key: string): boolean
  get(key: string): Promise<Float32Array | undefined>
  /** Keeps it if there is room. */
  put(key: string, values: Float32Array): Promise<void>
}

export interface StoreOptions {
  /** Values of each entry. */
  readonly floats: number
  readonly memoryBytes: number
  readonly folder?: { readonly path: string; readonly maxBytes: number; readonly shelf: string } | undefined
  readonly onProblem: (message: string) => void
}

/** @throws RegraftError of the disk when the folder cannot be used at all */
export async function openActivationStore(options: StoreOptions): Promise<ActivationStore> {
  const { floats, memoryBytes, folder, onProblem } = options
  const entryBytes = floats * 4
  const inMemory = new Map<string, Float32Array>()
  const remember = (key: string, values: Float32Array): void => {
    if ((inMemory.size + 1) * entryBytes <= memoryBytes) inMemory.set(key, values)
  }
  const shelf: BlobShelf | undefined = folder && (await openShelf(folder.path, { ...folder, entryBytes, onProblem }))
  return {
    has: (key) => inMemory.has(key) || (shelf?.has(key) ?? false),
    async get(key) {
      const known = inMemory.get(key)
      if (known || !shelf?.has(key)) return known
      const bytes = await shelf.read(key)
      if (bytes === undefined) return undefined
      // A copy, because floats begin at multiples of four.
      const values = new Float32Array(bytes.slice().buffer)
      remember(key, values)
      return values
    },
    async put(key, values) {
      remember(key, values)
      await shelf?.write(key, new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
    },
  }
}
