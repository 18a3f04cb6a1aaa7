// The corpus' configurations have fields of an imaginary tool. Here they become what this one reads: a timm config.json beside weights, and
// a file of options for `train`.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { architectureNamed } from '../../src/architectures/index.ts'
import { trainSettings } from '../../src/cli/commands/train-settings.ts'
import { gather, readValues } from '../../src/cli/settings.ts'
import { generalSettings } from '../../src/cli/shared-settings.ts'
import { checkKnownClasses } from '../../src/data/class-names.ts'
import { isJsonObject, type JsonObject, type JsonValue, readJson } from '../../src/files/strict-json.ts'
import { followingFrom } from '../../src/model/read-description.ts'
import { readTimmConfig } from '../../src/model/timm-config.ts'

const settings = { ...trainSettings, config: generalSettings.config }
/** Names of the same things. */
const architectures: ReadonlyMap<JsonValue, string> = new Map([['mobilenet_v2', 'mobilenetv2_100']])

/** @returns the configuration as it was read, its classes as the model has them */
export async function readConfig(file: string): Promise<{ readonly value: JsonValue }> {
  const root = await readJson(file)
  if (!isJsonObject(root)) throw new Error('the corpus has tables alone')
  const { schema: _, arch, classes, numClasses, id2label, input, ...others } = root
  const names = classes ?? id2label ?? null
  const folder = mkdtempSync(join(tmpdir(), 'regraft-config-'))
  const write = (name: string, content: unknown) => {
    writeFileSync(join(folder, name), JSON.stringify(content))
    return join(folder, name)
  }
  try {
    const { size, mean, std } = isJsonObject(input) ? input : ({} as JsonObject)
    const configuration = write('config.json', {
      architecture: arch === undefined ? 'mobilenetv2_100' : (architectures.get(arch) ?? arch),
      num_classes: numClasses ?? (Array.isArray(names) ? names.length : largestKey(names) + 1),
      label_names: names,
      pretrained_cfg: { mean, std, ...(size === undefined ? {} : { input_size: [3, size, size] }) },
    })
    const config = await readTimmConfig(configuration)
    followingFrom(configuration, () => architectureNamed(config.architecture))
    // What an evaluation asks, whose folders are the classes.
    checkKnownClasses(config.labels ?? [], config.labels ?? [], file)
    readValues(settings, await gather(settings, { config: write('train.json', others) }, {}))
    return { value: { ...root, ...(classes === undefined ? {} : { classes: [...(config.labels ?? [])] }) } }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Of a table by numbers; those of a table by names count its entries. */
function largestKey(names: JsonValue): number {
  if (!isJsonObject(names)) return -1
  const keys = Object.keys(names).map(Number)
  return keys.every(Number.isInteger) ? Math.max(...keys) : keys.length - 1
}
