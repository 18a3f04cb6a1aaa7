// The verb `export`: a model for elsewhere, read back and compared before it counts as written.
import * as path from 'node:path'
import type { Preprocessing } from '../data/preprocessing.ts'
import { RegraftError } from '../errors.ts'
import { writeFolderAtomic } from '../files/atomic-folder.ts'
import { type FileContent, writeFileAtomic } from '../files/atomic-write.ts'
import { createFolder, listFolder } from '../files/folder.ts'
import { writeJson } from '../files/strict-json.ts'
import { writeSafetensors } from '../formats/safetensors.ts'
import { inertName } from '../inert-text.ts'
import { loadModel } from '../model/load.ts'
import { meanImageFile } from '../model/mean-image.ts'
import { architectureOf, graphOf, type Model, outputOf } from '../model/model.ts'
import { saveModel } from '../model/save.ts'
import { timmConfig } from '../model/timm-config.ts'
import { version } from '../version.ts'
import { goldenPictures, outputsOf } from './golden.ts'
import type { ExportFormat, ExportOptions, ExportResult } from './options.ts'
import { checkTaken, type FolderRules } from './taken-folder.ts'

const PICTURES = 4
/** Largest difference between the outputs, relative to the largest of them. Reading back folds batch norms in another order. */
const WITHIN = 1e-4

/** Files of an export, by format. */
const files: Readonly<Record<ExportFormat, readonly (string | RegExp)[]>> = {
  onnx: ['model.onnx', 'config.json', 'golden.safetensors'],
  tfjs: ['model.json', /^group1-shard\d+of\d+\.bin$/, 'config.json', 'golden.safetensors'],
  safetensors: ['model.safetensors', 'config.json', 'regraft.json', 'head.safetensors', meanImageFile],
}

/**
 * Writes a folder with the model in another format, and pictures with their outputs beside it.
 * @throws RegraftError 'usage' for layers that the format does not have, naming them; for a folder in the way; Error when what was
 *         written does not give the model's outputs
 */
export async function exportModel(name: string, options: ExportOptions): Promise<ExportResult> {
  const { engine, format, out, signal, listener, offline } = options
  const { model } = await loadModel(name, { signal, listener, offline })
  await checkTaken(out, rulesOf(format, options.overwrite ?? false))
  const pictures = goldenPictures(PICTURES, model.preprocessing.height, model.preprocessing.width)
  const expected = await outputsOf(engine, model, pictures, PICTURES, signal)
  if (format !== 'safetensors') refuseNeighbours(model, format)
  const content = format === 'safetensors' ? undefined : await (format === 'onnx' ? onnxFiles(model) : tfjsFiles(model))
  let difference = Number.NaN
  await createFolder(path.dirname(path.resolve(out)))
  await writeFolderAtomic(out, async (folder) => {
    if (content) {
      for (const [name, bytes] of content)
        await writeFileAtomic(path.join(folder, name), bytes, { signal, inFreshFolder: true })
      await writeJson(path.join(folder, 'config.json'), configOf(model), { inFreshFolder: true })
      const channelsLast = format === 'tfjs'
      await writeGolden(path.join(folder, 'golden.safetensors'), model.preprocessing, pictures, expected, channelsLast)
    } else await saveModel(model, folder, { dtype: options.dtype === 'float16' ? 'F16' : 'F32' })
    const [file] = content?.keys() ?? []
    const { model: read } = await loadModel(file === undefined ? folder : path.join(folder, file))
    const actual = await outputsOf(engine, { ...read, preprocessing: model.preprocessing }, pictures, PICTURES, signal)
    difference = relativeDifference(actual, expected)
    // Half the bits of the weights give a tenth of a percent at least.
    const within = options.dtype === 'float16' ? 0.05 : WITHIN
    if (!(difference <= within)) {
      throw new Error(
        `${inertName(name)} as ${format} gives other outputs than the model itself (${difference.toExponential(1)} apart); nothing was written.`,
      )
    }
  })
  return { out, format, files: (await listFolder(out)).map((entry) => entry.name), difference }
}

function refuseNeighbours({ head }: Model, format: ExportFormat): void {
  if (head.kind !== 'knn') return
  throw new RegraftError(
    'usage',
    `A head of neighbours has no layers that ${format === 'onnx' ? 'ONNX' : 'TensorFlow.js'} could hold. Export it as safetensors, or solve a linear head.`,
  )
}

/** The files of a format by name, the one to open first. */
type Files = ReadonlyMap<string, FileContent>

async function onnxFiles(model: Model): Promise<Files> {
  const { onnxModel } = await import('../formats/write-onnx.ts')
  const metadata = new Map(Object.entries(metadataOf(model)).map(([name, value]) => [name, textOf(value)]))
  return new Map([['model.onnx', onnxModel(graphOf(model), model.tensors, { producerVersion: version, metadata })]])
}

async function tfjsFiles(model: Model): Promise<Files> {
  const { tfjsModel } = await import('../formats/write-tfjs.ts')
  const options = { producerVersion: version, metadata: metadataOf(model) }
  const { json, shards } = tfjsModel(graphOf(model), model.tensors, options)
  return new Map<string, FileContent>([['model.json', `${JSON.stringify(json)}\n`], ...shards])
}

function metadataOf(model: Model) {
  const { preprocessing, head, labels } = model
  return { preprocessing, output: head.kind === 'none' ? 'features' : 'logits', scores: outputOf(model), labels }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function configOf(model: Model): unknown {
  const { features, firstConvolution, classifier } = architectureOf(model)
  return timmConfig({
    architecture: model.architecture,
    args: model.args,
    classes: model.labels.length,
    features,
    labels: model.labels,
    preprocessing: model.preprocessing,
    firstConvolution,
    classifier,
    tag: 'regraft',
    license: model.origin.license,
  })
}

/** Inputs and outputs as another runtime takes and gives them: [N, 3, H, W] or [N, H, W, 3], normalised, and [N, classes]. */
async function writeGolden(
  file: string,
  { height, width, mean, std }: Preprocessing,
  pictures: Uint8Array,
  outputs: Float32Array,
  channelsLast: boolean,
): Promise<void> {
  const plane = height * width
  const input = new Float32Array(PICTURES * 3 * plane)
  for (let picture = 0; picture < PICTURES; picture++) {
    for (let channel = 0; channel < 3; channel++) {
      for (let pixel = 0; pixel < plane; pixel++) {
        const byte = pictures[(picture * plane + pixel) * 3 + channel] ?? 0
        const at = channelsLast ? (picture * plane + pixel) * 3 + channel : (picture * 3 + channel) * plane + pixel
        input[at] = (byte / 255 - (mean[channel] ?? 0)) / (std[channel] ?? 1)
      }
    }
  }
  await writeSafetensors(file, [
    {
      name: 'input',
      dtype: 'F32',
      shape: [PICTURES, ...(channelsLast ? [height, width, 3] : [3, height, width])],
      data: input,
    },
    { name: 'output', dtype: 'F32', shape: [PICTURES, outputs.length / PICTURES], data: outputs },
  ])
}

function relativeDifference(actual: Float32Array, expected: Float32Array): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  const apart = expected.reduce((most, value, at) => Math.max(most, Math.abs(value - (actual[at] ?? Number.NaN))), 0)
  return apart / (largest || 1)
}

function rulesOf(format: ExportFormat, overwrite: boolean): FolderRules {
  const isOwn = (name: string) => files[format].some((own) => (typeof own === 'string' ? own === name : own.test(name)))
  const foreign = (_: string, names: readonly string[]) => names.filter((name) => !isOwn(name))
  return { overwrite, whose: "an export's", foreign, instead: 'or replace the export in it' }
}
