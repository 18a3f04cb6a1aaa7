// The verb `export`: a model for elsewhere, read back and compared before it counts as written.
import * as path from 'node:path'
import type { Preprocessing } from '../data/preprocessing.ts'
import { RegraftError } from '../errors.ts'
import { writeFolderAtomic } from '../files/atomic-folder.ts'
import { writeFileAtomic } from '../files/atomic-write.ts'
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
const files: Readonly<Record<ExportFormat, readonly string[]>> = {
  onnx: ['model.onnx', 'config.json', 'golden.safetensors'],
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
  const content = format === 'onnx' ? await onnxFile(model) : undefined
  let difference = Number.NaN
  await createFolder(path.dirname(path.resolve(out)))
  await writeFolderAtomic(out, async (folder) => {
    const file = path.join(folder, content ? 'model.onnx' : 'model.safetensors')
    if (content) {
      await writeFileAtomic(file, content, { signal, inFreshFolder: true })
      await writeJson(path.join(folder, 'config.json'), configOf(model), { inFreshFolder: true })
      await writeGolden(path.join(folder, 'golden.safetensors'), model.preprocessing, pictures, expected)
    } else await saveModel(model, folder, { dtype: options.dtype === 'float16' ? 'F16' : 'F32' })
    const { model: read } = await loadModel(content ? file : folder)
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

async function onnxFile(model: Model): Promise<Uint8Array> {
  if (model.head.kind === 'knn') {
    throw new RegraftError(
      'usage',
      'A head of neighbours has no layers that ONNX could hold. Export it as safetensors, or solve a linear head.',
    )
  }
  const { onnxModel } = await import('../formats/write-onnx.ts')
  const metadata = new Map([
    ['preprocessing', JSON.stringify(model.preprocessing)],
    ['output', model.head.kind === 'none' ? 'features' : 'logits'],
    ['scores', outputOf(model)],
    ['labels', JSON.stringify(model.labels)],
  ])
  return onnxModel(graphOf(model), model.tensors, { producerVersion: version, metadata })
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

/** Inputs and outputs as another runtime takes and gives them: [N, 3, H, W], normalised, and [N, classes]. */
async function writeGolden(
  file: string,
  { height, width, mean, std }: Preprocessing,
  pictures: Uint8Array,
  outputs: Float32Array,
): Promise<void> {
  const plane = height * width
  const input = new Float32Array(PICTURES * 3 * plane)
  for (let picture = 0; picture < PICTURES; picture++) {
    for (let channel = 0; channel < 3; channel++) {
      for (let pixel = 0; pixel < plane; pixel++) {
        const byte = pictures[(picture * plane + pixel) * 3 + channel] ?? 0
        input[(picture * 3 + channel) * plane + pixel] = (byte / 255 - (mean[channel] ?? 0)) / (std[channel] ?? 1)
      }
    }
  }
  await writeSafetensors(file, [
    { name: 'input', dtype: 'F32', shape: [PICTURES, 3, height, width], data: input },
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
  const foreign = (_: string, names: readonly string[]) => names.filter((name) => !files[format].includes(name))
  return { overwrite, whose: "an export's", foreign, instead: 'or replace the export in it' }
}
