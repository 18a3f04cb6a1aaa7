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
import { isLayersModel, openTfjsWeights } from './tfjs.ts'
import { openLayersModel } from './tfjs-network.ts'
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
  const format = await recogniseFormat(file)
  if (format === 'onnx') return openOnnxNetwork(file, options)
  return format === 'tfjs' && (await isLayersModel(file)) ? openLayersModel(file, options.size) : undefined
}

/** Formats that are read, told by content. */
export type WeightFormat = 'safetensors' | 'pytorch' | 'pytorch-legacy' | 'npy' | 'npz' | 'onnx' | 'tfjs'

const readers: Readonly<Record<WeightFormat, (file: string) => Promise<Checkpoint>>> = {
  safetensors: openSafetensors,
  pytorch: openPytorchZip,
  'pytorch-legacy': openPytorchLegacy,
  npy: openNpy,
  npz: openNpz,
  onnx: openOnnxWeights,
  tfjs: openTfjsWeights,
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
        if (names.includes('model.weights.h5')) throw unread(file, keras)
        throw weightsError(
          file,
          'this zip archive is neither a PyTorch file (it has no data.pkl) nor a NumPy archive (.npz).',
        )
      }
      case 'hdf5':
        throw unread(file, hdf5)
      case 'tflite':
        throw unread(file, tensorflowLite)
      case 'tar':
        throw weightsError(
          file,
          "this is a tar archive; PyTorch's oldest format (before 0.2) is one, and is not supported.\nIn Python, load it and save it again: torch.save(torch.load(file), 'weights.pth').",
        )
      case undefined: {
        const ending = path.extname(file).toLowerCase()
        if (looksLikeOnnx(start) || ending === '.onnx') return 'onnx'
        if (/^\s*[{[]/.test(Buffer.from(start).toString('latin1'))) return 'tfjs'
        const foreign = byExtension.get(ending)
        if (foreign !== undefined && facts.sizeBytes > 0) throw unread(file, foreign)
        if (pytorchEndings.includes(ending) && facts.sizeBytes > 0) {
          throw weightsError(
            file,
            `this is not a PyTorch file (${ending}): it is neither a zip archive nor a pickle.\nDownload or copy it again; of a TensorFlow.js model name the model.json.`,
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

function unread(file: string, { name, way }: UnreadFormat): RegraftError {
  return weightsError(file, `this is ${name}, which is not supported.\n${way}`)
}

/** A format that is known by name only, and how its models get here. */
interface UnreadFormat {
  readonly name: string
  readonly way: string
}

const keras: UnreadFormat = {
  name: 'a Keras archive (.keras)',
  way: 'Convert it to ONNX in Python: model.export("model.onnx", format="onnx"), from Keras 3.7 on.',
}
const hdf5: UnreadFormat = {
  name: 'HDF5 (Keras .h5)',
  way: 'Convert it: tensorflowjs_converter --input_format keras FILE FOLDER (then use FOLDER/model.json), or to ONNX with tf2onnx.',
}
const tensorflowLite: UnreadFormat = {
  name: 'a TensorFlow Lite model (.tflite)',
  way: 'Convert it to ONNX: python -m tf2onnx.convert --tflite FILE --output model.onnx.',
}
const tensorflowGraph: UnreadFormat = {
  name: 'a TensorFlow graph (.pb)',
  way: 'Convert it to ONNX: python -m tf2onnx.convert --saved-model FOLDER --output model.onnx, or --graphdef FILE for a frozen graph.',
}

const pytorchEndings: readonly string[] = ['.pth', '.pt', '.bin', '.ckpt']

/** Formats that their first bytes do not tell. */
const byExtension: ReadonlyMap<string, UnreadFormat> = new Map([
  ['.h5', hdf5],
  ['.hdf5', hdf5],
  ['.keras', keras],
  ['.tflite', tensorflowLite],
  ['.pb', tensorflowGraph],
])
