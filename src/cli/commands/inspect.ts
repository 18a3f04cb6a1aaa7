import { RegraftError } from '../../errors.ts'
import { formatBytes } from '../../format-bytes.ts'
import { inertName } from '../../inert-text.ts'
import type { InspectedNetwork, InspectedTensor, Inspection } from '../../transfer/inspect.ts'
import type { ModelCost, Speed } from '../../transfer/inspect-cost.ts'
import { grouped, trainingTable } from '../../transfer/outlook/what-trains.ts'
import { defineCommand } from '../command.ts'
import { jsonText, significant } from '../format.ts'
import { json } from '../shared-settings.ts'
import { textTable } from '../table.ts'
import { onOff, text, wholeNumber } from '../values.ts'

/** `inspect FILE`: what a weight file or a model holds. */
export const inspect = defineCommand({
  name: 'inspect',
  summary: 'look into a weight file or a model',
  description:
    'Prints format, network, layers with shapes, parameters and multiply-adds, which of them would train, and what is odd.\n' +
    'Where the network is not known, or with --digests, the tensors as they are stored.\n' +
    'With --cost also, measured here in some seconds: what would train, and the speed, memory and disk that it takes.',
  arguments: [{ name: 'file', help: 'a weight file, a model folder, a run folder, the name of a model' }],
  examples: [
    'regraft inspect model.safetensors',
    'regraft inspect checkpoint.pth --digests --json',
    'regraft inspect runs/flowers-1 --cost --unfreeze stage:3+ --batch-size 16',
  ],
  settings: {
    json,
    digests: onOff({ group: 'Output', help: 'SHA-256 of the values of every tensor, as they are stored' }),
    unfreeze: text('<layers>', {
      group: 'Model',
      help: 'layers that would train: last:N, stage:NAME+, all, or a pattern',
      fallback: 'last:3',
    }),
    cost: onOff({ group: 'Machine', help: 'measure what predicting and training cost on this machine' }),
    batchSize: wholeNumber(
      { from: 1, to: 65_536 },
      { group: 'Machine', help: 'pictures of a step of training, for --cost', fallback: '32' },
    ),
  },

  async run({ json, digests, unfreeze, cost, batchSize }, [file = ''], work) {
    if (batchSize !== undefined && !cost)
      throw new RegraftError('usage', '--batch-size belongs to --cost. Add --cost, or leave it out.')
    const inspection = await work.verbs.inspect(file, { digests, unfreeze, ...work.access() })
    const measured = cost ? await work.verbs.modelCost(file, { unfreeze, batchSize, ...work.options() }) : undefined
    const words = digests ? tensorTable(inspection) : summary(inspection)
    const told = measured === undefined ? '' : costTable(measured)
    await work.output.write(json ? `${jsonText(document(inspection, measured), 2)}\n` : words + told)
    return 0
  },
})

function costTable({ threads, unfreeze, trains, prediction, training, diskBytes }: ModelCost): string {
  const speed = ({ batch, imagesPerSecond, memoryBytes }: Speed) =>
    `${significant(imagesPerSecond, 3)} pictures a second in batches of ${batch}, ${formatBytes(memoryBytes)} for the kernels`
  const computing = `${threads} ${threads === 1 ? 'thread' : 'threads'}, without decoding`
  return `${[
    '',
    `cost (${computing})`,
    `predict: ${speed(prediction)}`,
    `train:   ${speed(training)}, with --unfreeze ${inertName(unfreeze)}`,
    `disk:    ${formatBytes(diskBytes)} for the folder of a run`,
    ...trainingTable(trains),
  ].join('\n')}\n`
}

function document(
  { file, format, bytes, network, tensors, remarks }: Inspection,
  cost: ModelCost | undefined,
): unknown {
  const speed = ({ batch, imagesPerSecond, memoryBytes }: Speed) => ({
    batch,
    images_per_second: imagesPerSecond,
    memory_bytes: memoryBytes,
  })
  return {
    file,
    format,
    bytes,
    network: network && {
      architecture: network.architecture,
      classes: network.classes,
      width: network.width,
      height: network.height,
      parameters: network.parameters,
      multiply_adds: network.multiplyAdds,
      trainable: network.trainable,
      unfreeze: network.unfreeze,
      layers: network.layers.map(({ multiplyAdds, ...layer }) => ({ ...layer, multiply_adds: multiplyAdds })),
    },
    tensors,
    remarks,
    ...(cost === undefined
      ? {}
      : {
          cost: {
            threads: cost.threads,
            unfreeze: cost.unfreeze,
            trains: cost.trains,
            predict: speed(cost.prediction),
            train: speed(cost.training),
            disk_bytes: cost.diskBytes,
          },
        }),
  }
}

function summary(inspection: Inspection): string {
  const { network } = inspection
  return network === undefined
    ? tensorTable(inspection)
    : `${head(inspection)}${layerTable(network)}${tail(inspection)}`
}

function tensorTable(inspection: Inspection): string {
  const rows = inspection.tensors.map(({ name, dtype, shape, sha256 }: InspectedTensor) => [
    inertName(name, 200),
    dtype,
    `[${shape.join(', ')}]`,
    ...(sha256 === undefined ? [] : [sha256]),
  ])
  const titles = ['tensor', 'type', 'shape', ...(rows[0]?.length === 4 ? ['sha-256'] : [])]
  return `${head(inspection)}${textTable([titles, ...rows], [])}${tail(inspection)}`
}

function head({ file, format, bytes, network, tensors }: Inspection): string {
  const lines = [`${inertName(file)}: ${format}, ${formatBytes(bytes)}, ${tensors.length} tensors`]
  if (network !== undefined) {
    const { architecture, classes, width, height, parameters, multiplyAdds, trainable, unfreeze } = network
    const outputs = classes === 0 ? 'features only' : `${classes} classes`
    lines.push(
      `${inertName(architecture)}, ${outputs}, pictures of ${width}x${height}`,
      `${grouped(parameters)} parameters, ${grouped(multiplyAdds)} multiply-adds a picture`,
      `${grouped(trainable)} parameters would train with --unfreeze ${inertName(unfreeze)}`,
    )
  }
  return `${lines.join('\n')}\n\n`
}

function layerTable({ layers }: InspectedNetwork): string {
  const rows = layers.map(({ name, op, shape, parameters, multiplyAdds, trains }) => [
    inertName(name, 100),
    op,
    shape.join('x'),
    parameters === 0 ? '' : grouped(parameters),
    multiplyAdds === 0 ? '' : grouped(multiplyAdds),
    trains ? 'yes' : '',
  ])
  return textTable([['layer', 'kind', 'output', 'parameters', 'multiply-adds', 'trains'], ...rows], [3, 4])
}

function tail({ remarks }: Inspection): string {
  return remarks.length === 0 ? '' : `\n${remarks.map((remark) => `note: ${remark}\n`).join('')}`
}
