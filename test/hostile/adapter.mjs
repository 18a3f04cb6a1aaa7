// Our readers for the runner of the corpus: node runner.mjs --corpus DIR --adapter test/hostile/adapter.mjs
import { register } from 'tsx/esm/api'

register()
const { openCheckpoint } = await import('../../src/formats/index.ts')

const weightKinds = new Set(['safetensors', 'safetensors-index', 'pth', 'npy'])

/** @param {string} kind @param {string} file */
export async function load(kind, file) {
  if (!weightKinds.has(kind)) throw Object.assign(new Error(`${kind} is not read`), { skip: true })
  const checkpoint = await openCheckpoint(file)
  const tensors = new Map()
  for (const name of checkpoint.names()) {
    const bytes = await checkpoint.readBytes(name)
    tensors.set(name, { dtype: checkpoint.dtype(name), shape: checkpoint.shape(name), bytes })
  }
  return { tensors }
}
