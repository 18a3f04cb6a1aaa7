import * as path from 'node:path'
import { RegraftError } from '../errors.ts'
import { pathFacts } from '../files/folder.ts'
import { readRange, withOpenFile } from '../files/read-file.ts'
import { recogniseContent } from '../files/recognise.ts'
import { inertName } from '../inert-text.ts'
import type { Checkpoint } from '../tensor/checkpoint.ts'
import { looksLikeSafetensors, openSafetensors } from './safetensors.ts'
import { openShardedSafetensors } from './sharded-safetensors.ts'

/**
 * Opens a weight file, recognised by its content; the name only helps to word the refusal. The index of a file in
 * shards opens them all, and a folder opens its `model.safetensors`.
 * @param options.cacheRoot  a folder that shards may be links into, for caches made of links
 * @throws RegraftError `weights`, for known formats that are not read with the way to convert them
 */
export async function openCheckpoint(
  file: string,
  options: { readonly cacheRoot?: string | undefined } = {},
): Promise<Checkpoint> {
  const facts = await pathFacts(file)
  if (facts?.kind === 'folder') {
    for (const name of ['model.safetensors', 'model.safetensors.index.json']) {
      const inside = path.join(file, name)
      if ((await pathFacts(inside))?.kind === 'file') return openCheckpoint(inside, options)
    }
    const message = `${inertName(file)}: this folder holds no model.safetensors.\nName the weight file itself.`
    throw new RegraftError('weights', message, { file })
  }
  if (file.endsWith('.index.json')) return openShardedSafetensors(file, options)
  const foreign = await withOpenFile(file, { code: 'weights' }, async (handle, { sizeBytes }) => {
    const start = await readRange(handle, 0, Math.min(512, sizeBytes))
    if (looksLikeSafetensors(start, sizeBytes)) return undefined
    const content = recogniseContent(start)
    // These say more than any name could; the reader words them.
    if (content === 'git-lfs-pointer' || content === 'html' || content === 'zeros') return undefined
    return byContent.get(content ?? '') ?? byExtension.get(path.extname(file).toLowerCase())
  })
  if (foreign === undefined) return openSafetensors(file)
  const message = `${inertName(file)}: ${foreign} is not supported yet.\nConvert it to safetensors first, for example in Python with safetensors.torch.save_file.`
  throw new RegraftError('weights', message, { file })
}

const byContent: ReadonlyMap<string, string> = new Map([
  ['zip', 'a zip archive (PyTorch .pth, .keras or .npz)'],
  ['pickle', 'a Python pickle (old PyTorch .pth)'],
  ['hdf5', 'HDF5 (Keras .h5)'],
  ['tflite', 'TensorFlow Lite'],
  ['numpy', 'a NumPy array'],
])

const byExtension: ReadonlyMap<string, string> = new Map([
  ['.pth', 'a PyTorch file (.pth)'],
  ['.pt', 'a PyTorch file (.pt)'],
  ['.bin', 'a PyTorch file (.bin)'],
  ['.ckpt', 'a checkpoint of PyTorch or TensorFlow (.ckpt)'],
  ['.onnx', 'ONNX'],
  ['.h5', 'Keras HDF5 (.h5)'],
  ['.hdf5', 'Keras HDF5 (.hdf5)'],
  ['.keras', 'a Keras archive (.keras)'],
  ['.tflite', 'TensorFlow Lite'],
  ['.pb', 'a TensorFlow graph (.pb)'],
  ['.npz', 'a NumPy archive (.npz)'],
])
