// torchvision's names for the tensors of a network: test/parity/fixtures/record.py wrote them down.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { architectureNamed } from '../../src/architectures/index.ts'
import { timmNames } from '../../src/formats/rename.ts'
import { parameterName, parametersOf } from '../../src/graph/graph.ts'
import { counterNames, sameValues } from '../../src/model/fit-weights.ts'
import { pytorchConventions, recogniseNetwork } from '../../src/model/recognise-network.ts'
import type { Checkpoint } from '../../src/tensor/checkpoint.ts'

const folder = join(import.meta.dirname, '../parity/fixtures/torchvision')
const lists = readdirSync(folder).map((file) => {
  const { network, tensors }: { network: string; tensors: Record<string, readonly number[]> } = JSON.parse(
    readFileSync(join(folder, file), 'utf8'),
  )
  return { theirs: file.replace('.json', ''), network, tensors }
})

test.each(lists)('all tensors of $theirs are those of $network', ({ network, tensors }) => {
  const architecture = architectureNamed(network)
  const graph = architecture.build({ classes: 7, height: 224, width: 224, mean: [0, 0, 0], std: [1, 1, 1] })
  const shapes = new Map<string, readonly number[]>(
    graph.layers.flatMap((layer) =>
      parametersOf(layer).map((spec) => [parameterName(layer, spec), spec.shape] as const),
    ),
  )
  for (const counter of counterNames(graph)) shapes.set(counter, [])
  const names = timmNames(Object.keys(tensors), architecture.torchvision?.names ?? new Map())
  expect(names.map(([, ours]) => ours).sort()).toEqual([...shapes.keys()].sort())
  for (const [theirs, ours] of names) {
    expect(sameValues(tensors[theirs] ?? [Number.NaN], shapes.get(ours) ?? []), theirs).toBe(true)
  }
})

test.each(lists)('$theirs is recognised as $network', ({ network, tensors }) => {
  const unread = () => Promise.reject(new Error('shapes are enough'))
  const checkpoint: Checkpoint = {
    source: 'weights.pth',
    remarks: [],
    metadata: new Map(),
    names: () => Object.keys(tensors),
    shape: (name) => tensors[name] ?? [],
    dtype: () => 'F32',
    read: unread,
    readBytes: unread,
  }
  const { config, remark } = recogniseNetwork(checkpoint, pytorchConventions)
  expect(config).toMatchObject({ architecture: network, classes: 7 })
  expect(config.args).toEqual(architectureNamed(network).torchvision?.args ?? {})
  expect(remark).toContain(`it is ${network} with 7 classes`)
})
