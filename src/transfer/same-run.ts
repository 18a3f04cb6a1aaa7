// A run goes on only under the conditions that it began with: otherwise its result would be neither the one nor the other.
import type { DataSplit } from '../data/sample.ts'
import { RegraftError } from '../errors.ts'
import { isJsonObject, type JsonObject, type JsonValue } from '../files/strict-json.ts'
import { inertName } from '../inert-text.ts'
import { type DataRecord, dataDifferences } from './data-record.ts'
import type { RunManifest } from './run-folder.ts'
import type { TrainConfig } from './train-defaults.ts'

/**
 * Options that may differ: paths, because contents are compared; how often is saved, and what is kept in caches; and which unreadable pictures are put up with,
 * because the pictures are the same.
 */
const free: ReadonlySet<string> = new Set<keyof TrainConfig>([
  'data',
  'model',
  'val',
  'trainList',
  'test',
  'classWeights',
  'saveEvery',
  'cache',
  'cacheSize',
  'keepCheckpoints',
  'monitor',
  'tensorboard',
  'onError',
  'maxBad',
])

/** What a checkpoint says of where it comes from. */
export function originOf(manifest: RunManifest, config: TrainConfig): JsonObject {
  const decisive = Object.entries(config).filter(([name]) => !free.has(name))
  return {
    kernels: manifest.kernels.digest,
    model: manifest.model.sha256,
    data: manifest.data.fingerprint,
    classWeights: manifest.classWeights === null ? null : manifest.classWeights.join(' '),
    config: Object.fromEntries<JsonValue>(decisive),
  }
}

export interface Conditions {
  readonly manifest: RunManifest
  readonly config: TrainConfig
  readonly data: DataSplit
  readonly record: DataRecord
}

/**
 * @param before    the manifest of the run
 * @param origin    of the checkpoint to go on from, if there are any
 * @throws RegraftError 'usage' naming everything that differs
 */
export async function checkSameRun(
  run: string,
  before: RunManifest,
  origin: JsonObject | undefined,
  { manifest, config, data, record }: Conditions,
  allowBuildChange: boolean,
): Promise<void> {
  const now = originOf(manifest, config)
  const differences: string[] = []
  if (before.data.fingerprint !== now['data'] || (origin && origin['data'] !== now['data']))
    differences.push(`the pictures are not the same (${await dataDifferences(run, before.data, data, record)})`)
  if (before.model.sha256 !== now['model'] || (origin && origin['model'] !== now['model']))
    differences.push(`the weights of ${manifest.model.name} have changed`)
  if (
    !allowBuildChange &&
    (before.kernels.digest !== now['kernels'] || (origin && origin['kernels'] !== now['kernels']))
  ) {
    const { kernels } = manifest
    differences.push(
      `the kernels are another build (${before.kernels.build} ${before.kernels.digest}, now ${kernels.build} ${kernels.digest}; --allow-build-change accepts it)`,
    )
  }
  if (origin && origin['classWeights'] !== now['classWeights'])
    differences.push(`the weights of the classes are ${now['classWeights']}, not ${origin['classWeights']}`)
  if (origin) differences.push(...configDifferences(origin['config'], now['config']))
  if (differences.length > 0)
    throw new RegraftError('usage', `${run} cannot be gone on with: ${differences.join('; ')}.`, { file: run })
}

function configDifferences(before: JsonValue | undefined, now: JsonValue | undefined): string[] {
  const old = isJsonObject(before) ? before : {}
  const present = Object.entries(isJsonObject(now) ? now : {})
  return present
    .filter(([name, value]) => JSON.stringify(old[name]) !== JSON.stringify(value))
    .map(([name, value]) => {
      const former = Object.hasOwn(old, name) ? JSON.stringify(old[name]) : 'nothing'
      return `config.yaml says ${name}: ${inertName(JSON.stringify(value))}, but the checkpoint was made with ${inertName(former)}`
    })
}
