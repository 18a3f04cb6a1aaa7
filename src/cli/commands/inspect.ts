import { formatBytes } from '../../format-bytes.ts'
import { inertName } from '../../inert-text.ts'
import type { InspectedNetwork, InspectedTensor, Inspection } from '../../transfer/inspect.ts'
import { defineCommand } from '../command.ts'
import { jsonText } from '../format.ts'
import { json } from '../shared-settings.ts'
import { textTable } from '../table.ts'
import { onOff, text } from '../values.ts'

/** `inspect FILE`: what a weight file or a model holds. */
export const inspect = defineCommand({
  name: 'inspect',
  summary: 'look into a weight file or a model',
  description:
    'Prints format, network, layers with shapes, parameters and multiply-adds, which of them would train, and what is odd.\n' +
    'Where the network is not known, or with --digests, the tensors as they are stored.',
  arguments: [{ name: 'file', help: 'a weight file, a model folder, a run folder, the name of a model' }],
  examples: ['regraft inspect model.safetensors', 'regraft inspect checkpoint.pth --digests --json'],
  settings: {
    json,
    digests: onOff({ group: 'Output', help: 'SHA-256 of the values of every tensor, as they are stored' }),
    unfreeze: text('<layers>', {
      group: 'Model',
      help: 'layers that would train: last:N, stage:NAME+, all, or a pattern',
      fallback: 'last:3',
    }),
  },

  async run({ json, digests, unfreeze }, [file = ''], work) {
    const inspection = await work.verbs.inspect(file, { digests, unfreeze, ...work.access() })
    const words = digests ? tensorTable(inspection) : summary(inspection)
    await work.output.write(json ? `${jsonText(document(inspection), 2)}\n` : words)
    return 0
  },
})

function document({ file, format, bytes, network, tensors, remarks }: Inspection): unknown {
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

/** `3504872` as `3,504,872`. */
function grouped(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',')
}
