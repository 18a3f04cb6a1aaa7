// Networks of other families, from the command line: trained in part, saved with the tensors that timm has, used and looked at.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { keysOf } from '../model/safetensors-keys.ts'
import { regraft } from './command-line.ts'
import { drawFolder } from './drawn-pictures.ts'
import { savedModel } from './random-model.ts'

const folder = temporaryFolder()
const data = join(folder, 'data')
beforeAll(async () => {
  await drawFolder(data, 3)
})

/** The tensors that the network has with three classes; without its classifier where the head stands apart. */
function expectedKeys(architecture: string, apart: boolean): Record<string, readonly (string | number)[]> {
  const file = join(import.meta.dirname, '../parity/fixtures', `${architecture}.json`)
  const recorded: { tensors: Record<string, readonly number[]> } = JSON.parse(readFileSync(file, 'utf8'))
  const keys: Record<string, readonly (string | number)[]> = {}
  for (const [name, [first = 0, ...rest]] of Object.entries(recorded.tensors)) {
    const classifier = /^(classifier|head\.fc|fc)(\.1)?\.(weight|bias)$/.test(name) && first === 7
    if (classifier && apart) continue
    const counter = name.endsWith('.num_batches_tracked')
    keys[name] = counter ? ['I64'] : ['F32', classifier ? 3 : first, ...rest]
  }
  return keys
}

const finetune = ['--mode', 'finetune', '--unfreeze', 'last:1', '--epochs', '1']

describe.each([
  { architecture: 'mobilenetv3_small_100', words: [...finetune, '--bn', 'train-unfrozen'], block: 'blocks.5.0' },
  { architecture: 'convnext_atto', words: finetune, block: 'stages.3.blocks.1' },
  { architecture: 'convnext_atto', words: [...finetune, '--head', 'mlp:8'], block: 'stages.3.blocks.1', apart: true },
  { architecture: 'regnety_002', words: ['--mode', 'features'], block: 's4.b7' },
  { architecture: 'squeezenet1_0', words: finetune, block: 'features.12', apart: true },
  { architecture: 'squeezenet1_0', words: ['--mode', 'features'], block: 'features.12', apart: true },
])('$architecture, trained with $words', ({ architecture, words, block, apart = false }) => {
  const name = `${architecture}-${words.length}-${apart}`
  const out = join(folder, name)

  test('is saved with the tensors that others have, and used', async () => {
    const model = await savedModel(join(folder, `${name}-trunk`), architecture)
    const ran = await regraft(['train', data, '--model', model, '--out', out, ...words])
    expect(ran.exitCode, ran.stderr).toBe(0)
    expect(keysOf(join(out, 'best', 'model.safetensors'))).toEqual(expectedKeys(architecture, apart))
    const predicted = await regraft(['predict', out, data])
    expect(predicted.exitCode, predicted.stderr).toBe(0)
    expect(predicted.stdout).toMatch(/,(bars|disc|stairs),/)
  })

  test('is looked at, and what would train is its last block', async () => {
    const looked = await regraft(['inspect', out, '--unfreeze', 'last:1', '--json'])
    expect(looked.exitCode, looked.stderr).toBe(0)
    const { network, remarks } = JSON.parse(looked.stdout)
    expect(remarks).toEqual([])
    const layers: { name: string; trains: boolean; stage: string; parameters: number }[] = network.layers
    const trains = layers.filter((layer) => layer.trains)
    expect(trains[0]?.name.startsWith(block), trains[0]?.name).toBe(true)
    expect(
      layers.filter((layer) => layer.stage === 'head' && layer.parameters > 0).every((layer) => layer.trains),
    ).toBe(true)
  })
})
