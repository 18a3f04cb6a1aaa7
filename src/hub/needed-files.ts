// Which files of a repository make a model: its configuration and its weights, and nothing else.
import { RegraftError } from '../errors.ts'
import { isJsonObject, type JsonValue } from '../files/strict-json.ts'
import { inertName } from '../inert-text.ts'

export const CONFIG_FILE = 'config.json'
/** What regraft itself writes beside it: preprocessing and labels, and a head that timm does not have. */
export const SAVED_FILE = 'regraft.json'
export const HEAD_FILE = 'head.safetensors'
/** The first of these that a repository has. */
export const WEIGHT_FILES: readonly string[] = [
  'model.safetensors',
  'model.safetensors.index.json',
  'pytorch_model.bin',
]

export function isIndex(file: string): boolean {
  return file.endsWith('.index.json')
}

/**
 * The files that an index of shards names, each once.
 * @throws RegraftError 'weights' for names that are no plain names of files
 */
export function shardsOf(index: JsonValue, shown: string): readonly string[] {
  const map = isJsonObject(index) ? index['weight_map'] : undefined
  if (!isJsonObject(map)) throw new RegraftError('weights', `${shown}: the index has no weight_map.`)
  const shards = new Set<string>()
  for (const shard of Object.values(map)) {
    if (typeof shard !== 'string' || !/^[\w][\w.-]*\.safetensors$/.test(shard) || shard.includes('..')) {
      const name = typeof shard === 'string' ? inertName(shard, 200) : 'something that is no text'
      throw new RegraftError('weights', `${shown}: the index names '${name}', which is no safetensors file beside it.`)
    }
    shards.add(shard)
  }
  return [...shards].sort()
}
