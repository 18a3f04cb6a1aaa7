// A model as a folder that opens here and in timm.
import * as path from 'node:path'
import type { Architecture } from '../architectures/architecture.ts'
import { sha256OfFile } from '../files/digest.ts'
import { createFolder } from '../files/folder.ts'
import { writeJson } from '../files/strict-json.ts'
import { writeSafetensors } from '../formats/safetensors.ts'
import { headParameters } from '../graph/edit.ts'
import { graphToJson } from '../graph/graph-json.ts'
import type { HostTensor } from '../tensor/host-tensor.ts'
import { standsApart } from './head.ts'
import { isMeanImage, meanImageFile } from './mean-image.ts'
import { architectureOf, graphOf, type Model, outputOf } from './model.ts'
import { FORMAT_VERSION } from './saved-model.ts'
import { timmConfig } from './timm-config.ts'

export interface SaveExtras {
  /** How the model came about; stands in regraft.json. */
  readonly training?: unknown
  /** Pictures (RGB bytes) and what the model gives for them, so that any reader can check itself. */
  readonly golden?: {
    readonly pictures: Uint8Array
    readonly count: number
    readonly outputs: HostTensor
    readonly kernels: string
  }
  /** Element type of the weights in the file. */
  readonly dtype?: 'F32' | 'F16'
}

/**
 * Writes `config.json`, `model.safetensors`, `regraft.json`, and where they apply `head.safetensors`, `mean-image.safetensors` and
 * `golden.safetensors`.
 * Nothing in the .safetensors files depends on time, threads or paths.
 */
export async function saveModel(model: Model, folder: string, extras: SaveExtras = {}): Promise<void> {
  const architecture = architectureOf(model)
  await createFolder(folder)
  const dtype = extras.dtype ?? 'F32'
  const own = standsApart(model.head, architecture)
  const above = own ? headParameters(graphOf(model)) : new Set<string>()
  // Neighbours have no layers: what they remember is known by its name alone.
  const inHead = (name: string) => above.has(name) || (model.head.kind === 'knn' && name.startsWith('head.'))
  const isMean = model.preprocessing.meanImage === undefined ? () => false : isMeanImage(graphOf(model))
  const inTrunk = (name: string) => !inHead(name) && !isMean(name)
  const weights = (keep: (name: string) => boolean, dtype: 'F32' | 'F16') =>
    [...model.tensors]
      .filter(([name]) => keep(name))
      .map(([name, tensor]) => ({ name, dtype, shape: tensor.shape, data: tensor.data }))
  const counters = [...model.counters].map(([name, count]) => ({
    name,
    dtype: 'I64' as const,
    shape: [],
    data: BigInt64Array.of(BigInt(count)),
  }))

  const file = (name: string) => path.join(folder, name)
  const digests: Record<string, string> = {}
  await writeSafetensors(file('model.safetensors'), [...weights(inTrunk, dtype), ...counters], { format: 'pt' })
  digests['model.safetensors'] = await sha256OfFile(file('model.safetensors'))
  const beside = [
    ...(own ? [{ name: 'head.safetensors', holds: inHead, dtype }] : []),
    // Halved, it would not be the image of its digest.
    ...(model.preprocessing.meanImage === undefined
      ? []
      : [{ name: meanImageFile, holds: isMean, dtype: 'F32' as const }]),
  ]
  for (const { name, holds, dtype: type } of beside) {
    await writeSafetensors(file(name), weights(holds, type), { format: 'pt' })
    digests[name] = await sha256OfFile(file(name))
  }
  if (extras.golden) {
    const { pictures, count, outputs, kernels } = extras.golden
    const { height, width } = model.preprocessing
    await writeSafetensors(
      file('golden.safetensors'),
      [
        { name: 'pictures', dtype: 'U8', shape: [count, height, width, 3], data: pictures },
        { name: 'outputs', dtype: 'F32', shape: outputs.shape, data: outputs.data },
      ],
      { kernels },
    )
    digests['golden.safetensors'] = await sha256OfFile(file('golden.safetensors'))
  }
  const classes = own || model.head.kind === 'none' ? 0 : model.labels.length
  await writeJson(
    file('config.json'),
    timmConfig({
      architecture: model.architecture,
      args: argumentsOf(model, architecture),
      classes,
      features: architecture.features,
      labels: classes > 0 ? model.labels : [],
      preprocessing: model.preprocessing,
      firstConvolution: architecture.firstConvolution,
      classifier: architecture.classifier,
      tag: 'regraft',
      license: model.origin.license,
    }),
  )
  await writeJson(file('regraft.json'), {
    format: FORMAT_VERSION,
    preprocessing: model.preprocessing,
    output: outputOf(model),
    ...(model.loss === undefined ? {} : { loss: model.loss }),
    head: model.head,
    labels: model.labels,
    ...(model.threshold === undefined ? {} : { threshold: model.threshold }),
    ...(model.graph === undefined ? {} : { graph: graphToJson(model.graph) }),
    training: extras.training ?? null,
    digests,
  })
}

/** timm's model_args, with the size of the pictures where weights depend on it. */
function argumentsOf(model: Model, { sizeArgument }: Architecture): Model['args'] {
  const { height, width } = model.preprocessing
  return sizeArgument === undefined ? model.args : { ...model.args, [sizeArgument]: [height, width] }
}
