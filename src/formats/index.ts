import * as path from 'node:path'
import type { RegraftError } from '../errors.ts'
import { pathFacts } from '../files/folder.ts'
import { readRange, withOpenFile } from '../files/read-file.ts'
import { recogniseContent } from '../files/recognise.ts'
import type { Checkpoint } from '../tensor/checkpoint.ts'
import type { ForeignNetwork } from './foreign-network.ts'
import { looksLikeNpz, openNpy, openNpz } from './npy.ts'
import { looksLikeOnnx, readOnnxFile } from './onnx-file.ts'
import { type OnnxInputOptions, openOnnxNetwork } from './onnx-network.ts'
import { looksLikePytorch, openPytorchLegacy, openPytorchZip } from './pytorch.ts'
import { looksLikeSafetensors, openSafetensors } from './safetensors.ts'
import { openShardedSafetensors } from './sharded-safetensors.ts'
import { checkpointOf, weightsError } from './stored-tensors.ts'
import { readZipDirectory } from './zip.ts'

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
    throw weightsError(file, 'this folder holds no model.safetensors.\nName the weight file itself.')
  }
  if (file.endsWith('.index.json')) return openShardedSafetensors(file, options)
  return readers[await recogniseFormat(file)](file)
}

/**
 * Opens a file that holds a network beside its weights; undefined for files that hold weights alone.
 * @throws RegraftError `weights`
 */
export async function openNetwork(file: string, options: OnnxInputOptions): Promise<ForeignNetwork | undefined> {
  const facts = await pathFacts(file)
  if (facts?.kind !== 'file' || file.endsWith('.index.json')) return undefined
  return (await recogniseFormat(file)) === 'onnx' ? openOnnxNetwork(file, options) : undefined
}

/** Formats that are read, told by content. */
export type WeightFormat = 'safetensors' | 'pytorch' | 'pytorch-legacy' | 'npy' | 'npz' | 'onnx'

const readers: Readonly<Record<WeightFormat, (file: string) => Promise<Checkpoint>>> = {
  safetensors: openSafetensors,
  pytorch: openPytorchZip,
  'pytorch-legacy': openPytorchLegacy,
  npy: openNpy,
  npz: openNpz,
  onnx: openOnnxWeights,
}

/** What a weight file is. @throws RegraftError `weights` for known formats that are not read, and for what is no weight file */
export function recogniseFormat(file: string): Promise<WeightFormat> {
  return withOpenFile(file, { code: 'weights' }, async (handle, facts) => {
    const start = await readRange(handle, 0, Math.min(512, facts.sizeBytes))
    if (looksLikeSafetensors(start, facts.sizeBytes)) return 'safetensors'
    const content = recogniseContent(start)
    switch (content) {
      case 'numpy':
        return 'npy'
      case 'pickle':
        return 'pytorch-legacy'
      case 'zip': {
        const names = [...(await readZipDirectory(handle, { path: file, facts })).keys()]
        if (looksLikePytorch(names)) return 'pytorch'
        if (looksLikeNpz(names)) return 'npz'
        if (names.includes('model.weights.h5')) throw unread(file, 'Keras (.keras)')
        throw weightsError(
          file,
          'this zip archive is neither a PyTorch file (it has no data.pkl) nor a NumPy archive (.npz).',
        )
      }
      case 'hdf5':
        throw unread(file, 'HDF5 (Keras .h5)')
      case 'tflite':
        throw unread(file, 'TensorFlow Lite')
      case 'tar':
        throw weightsError(
          file,
          "this is a tar archive; PyTorch's oldest format (before 0.2) is one, and is not supported.\nIn Python, load it and save it again: torch.save(torch.load(file), 'weights.pth').",
        )
      case undefined: {
        const ending = path.extname(file).toLowerCase()
        if (looksLikeOnnx(start) || ending === '.onnx') return 'onnx'
        const foreign = byExtension.get(ending)
        if (foreign !== undefined && facts.sizeBytes > 0) throw unread(file, foreign)
        if (pytorchEndings.includes(ending) && facts.sizeBytes > 0) {
          throw weightsError(
            file,
            `this is not a PyTorch file (${ending}): it is neither a zip archive nor a pickle.\nDownload or copy it again.`,
          )
        }
        return 'safetensors'
      }
      default:
        // It words what the file is instead.
        return 'safetensors'
    }
  })
}

async function openOnnxWeights(file: string): Promise<Checkpoint> {
  return checkpointOf(file, (await readOnnxFile(file)).initialisers)
}

function unread(file: string, format: string): RegraftError {
  const advice = 'Convert it to safetensors first, for example in Python with safetensors.torch.save_file.'
  return weightsError(file, `${format} is not supported yet.\n${advice}`)
}

const pytorchEndings: readonly string[] = ['.pth', '.pt', '.bin', '.ckpt']

/** Formats that their first bytes do not tell. */
const byExtension: ReadonlyMap<string, string> = new Map([
  ['.h5', 'Keras HDF5 (.h5)'],
  ['.hdf5', 'Keras HDF5 (.hdf5)'],
  ['.keras', 'a Keras archive (.keras)'],
  ['.tflite', 'TensorFlow Lite'],
  ['.pb', 'a TensorFlow graph (.pb)'],
])
