import * as path from 'node:path'
import { RegraftError } from '../errors.ts'
import { pathInside } from '../files/inside-folder.ts'
import { type JsonObject, type JsonValue, readJson } from '../files/strict-json.ts'
import { inertName } from '../inert-text.ts'
import type { Checkpoint } from '../tensor/checkpoint.ts'
import { openSafetensors } from './safetensors.ts'
import { throwNoTensor } from './stored-tensors.ts'

/**
 * Opens weights that are cut into several safetensors files, by their index (`model.safetensors.index.json`).
 * The index has to name every tensor in the shards, in the right one, and no file outside its folder.
 * @param options.cacheRoot  a folder that shards may be links into, for caches made of links
 * @throws RegraftError `weights`
 */
export async function openShardedSafetensors(
  index: string,
  options: { readonly cacheRoot?: string | undefined } = {},
): Promise<Checkpoint> {
  const fail = (problem: string, where?: string) =>
    new RegraftError('weights', `${inertName(index)}: ${problem}`, { file: index, where })
  const content = await readJson(index, { code: 'weights', allowProtoKey: true })
  const weightMap = isObject(content) ? content['weight_map'] : undefined
  if (!isObject(weightMap)) throw fail('the index has no weight_map, an object of tensor names and file names.')

  const shards = new Map<string, Checkpoint>()
  const home = new Map<string, Checkpoint>()
  for (const [name, shardName] of Object.entries(weightMap)) {
    const shown = inertName(name, 200)
    if (typeof shardName !== 'string') throw fail(`the index names no file for the tensor '${shown}'.`, name)
    let shard = shards.get(shardName)
    if (shard === undefined) {
      const file = await pathInside(path.dirname(index), shardName, { code: 'weights', ...options })
      shard = await openSafetensors(file)
      shards.set(shardName, shard)
    }
    home.set(name, shard)
  }
  for (const [shardName, shard] of shards) {
    const there = new Set(shard.names())
    const promised = [...home].filter(([, checkpoint]) => checkpoint === shard).map(([name]) => name)
    const missing = promised.find((name) => !there.has(name))
    if (missing !== undefined) {
      throw fail(`the tensor '${inertName(missing, 200)}' is missing in ${inertName(shardName)}.`, missing)
    }
    const extra = shard.names().find((name) => home.get(name) !== shard)
    if (extra !== undefined) {
      throw fail(`the tensor '${inertName(extra, 200)}' in ${inertName(shardName)} is not in the index there.`, extra)
    }
  }

  const names = [...shards.values()].flatMap((shard) => shard.names())
  const homeOf = (name: string): Checkpoint => {
    const shard = home.get(name)
    if (shard !== undefined) return shard
    return throwNoTensor(index, name, names)
  }
  return {
    names: () => names,
    shape: (name) => homeOf(name).shape(name),
    dtype: (name) => homeOf(name).dtype(name),
    read: async (name) => homeOf(name).read(name),
    readBytes: async (name) => homeOf(name).readBytes(name),
    metadata: new Map([...shards.values()].flatMap((shard) => [...shard.metadata])),
    remarks: [],
    source: index,
  }
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
