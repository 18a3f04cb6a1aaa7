// Reads timm's config.json by timm's rules, and writes it back.
import {
  checkPreprocessing,
  cropModes,
  type Interpolation,
  interpolations,
  type Preprocessing,
} from '../data/preprocessing.ts'
import { RegraftError } from '../errors.ts'
import { type JsonObject, type JsonValue, readJson } from '../files/strict-json.ts'
import { inertName } from '../inert-text.ts'

export interface TimmConfig {
  readonly architecture: string
  readonly args: Readonly<Record<string, unknown>>
  readonly classes: number
  readonly labels: readonly string[] | undefined
  readonly preprocessing: Preprocessing
  /** Outputs before the first class, such as a background class, that timm cuts off. */
  readonly labelOffset: number
  readonly tag: string | undefined
  readonly license: string | undefined
}

/** @throws RegraftError 'weights' that names the file and the field */
export async function readTimmConfig(file: string): Promise<TimmConfig> {
  const root = await readJson(file, { code: 'weights' })
  const fail = (field: string, problem: string): never => {
    throw new RegraftError('weights', `${file}: '${field}' ${problem}. A timm config.json is expected.`, {
      file,
      where: field,
    })
  }
  if (!isObject(root)) return fail('config', 'is not an object')
  // The legacy form has the pretrained_cfg's fields at the root. Root fields win over those inside.
  const inner = root['pretrained_cfg']
  if (inner !== undefined && !isObject(inner)) return fail('pretrained_cfg', 'is not an object')
  const field = (name: string): JsonValue | undefined => (inner as JsonObject | undefined)?.[name] ?? root[name]
  const rootFirst = (name: string): JsonValue | undefined => root[name] ?? (inner as JsonObject | undefined)?.[name]

  const architecture = field('architecture') ?? root['architecture']
  if (typeof architecture !== 'string' || architecture === '') return fail('architecture', 'is missing')
  const args = root['model_args'] ?? {}
  if (!isObject(args)) return fail('model_args', 'is not an object')

  const classes = rootFirst('num_classes') ?? 1000
  if (typeof classes !== 'number' || !Number.isInteger(classes) || classes < 0 || classes > 1e6)
    return fail('num_classes', 'must be a whole number from 0 to 1000000')
  const labels = labelNames(rootFirst('label_names') ?? rootFirst('labels'), classes, fail)

  const [channels, height, width] =
    numbers(field('input_size') ?? [3, 224, 224], 3) ??
    fail('input_size', 'must be three numbers: channels, height, width')
  if (channels !== 3 || height === undefined || width === undefined) return fail('input_size', 'must have 3 channels')
  const preprocessing: Preprocessing = {
    height,
    width,
    cropPct: number(field('crop_pct') ?? 0.875) ?? fail('crop_pct', 'must be a number'),
    interpolation:
      interpolation(field('interpolation') ?? 'bilinear') ??
      fail('interpolation', `must be one of ${interpolations.join(', ')}`),
    cropMode:
      cropModes.find((mode) => mode === (field('crop_mode') ?? 'center')) ??
      fail('crop_mode', `must be one of ${cropModes.join(', ')}`),
    mean: triple(field('mean') ?? [0.485, 0.456, 0.406]) ?? fail('mean', 'must be three numbers'),
    std: triple(field('std') ?? [0.229, 0.224, 0.225]) ?? fail('std', 'must be three numbers'),
  }
  try {
    checkPreprocessing(preprocessing)
  } catch (cause) {
    throw new RegraftError('weights', `${file}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      file,
      cause,
    })
  }
  const labelOffset = field('label_offset') ?? 0
  if (typeof labelOffset !== 'number' || !Number.isInteger(labelOffset) || labelOffset < 0)
    return fail('label_offset', 'must be a whole number')
  const text = (name: string): string | undefined => {
    const value = field(name)
    return typeof value === 'string' ? value : undefined
  }
  return { architecture, args, classes, labels, preprocessing, labelOffset, tag: text('tag'), license: text('license') }
}

/** timm's config.json of a model. */
export function timmConfig(options: {
  architecture: string
  args: Readonly<Record<string, unknown>>
  classes: number
  features: number
  labels: readonly string[]
  preprocessing: Preprocessing
  firstConvolution: string
  classifier: string
  tag: string
  license?: string | undefined
}): unknown {
  const { preprocessing } = options
  return {
    architecture: options.architecture,
    num_classes: options.classes,
    num_features: options.features,
    ...(Object.keys(options.args).length > 0 ? { model_args: options.args } : {}),
    pretrained_cfg: {
      tag: options.tag,
      custom_load: false,
      input_size: [3, preprocessing.height, preprocessing.width],
      fixed_input_size: false,
      interpolation: preprocessing.interpolation,
      crop_pct: preprocessing.cropPct,
      crop_mode: preprocessing.cropMode,
      mean: preprocessing.mean,
      std: preprocessing.std,
      num_classes: options.classes,
      first_conv: options.firstConvolution,
      classifier: options.classifier,
      ...(options.license === undefined ? {} : { license: options.license }),
    },
    ...(options.labels.length > 0 ? { label_names: options.labels } : {}),
  }
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function number(value: JsonValue): number | undefined {
  return typeof value === 'number' ? value : undefined
}

function numbers(value: JsonValue, count: number): readonly number[] | undefined {
  return Array.isArray(value) && value.length === count && value.every((item) => typeof item === 'number')
    ? value.map(Number)
    : undefined
}

function triple(value: JsonValue): readonly [number, number, number] | undefined {
  const [a, b, c] = numbers(value, 3) ?? []
  return a === undefined || b === undefined || c === undefined ? undefined : [a, b, c]
}

function interpolation(value: JsonValue): Interpolation | undefined {
  // timm's 'random' concerns training alone; evaluation then takes bilinear.
  return interpolations.find((name) => name === (value === 'random' ? 'bilinear' : value))
}

/** A list, or a dictionary from index to name; a class that it lacks is called by its number, as all are without names. */
function labelNames(
  value: JsonValue | undefined,
  classes: number,
  fail: (field: string, problem: string) => never,
): readonly string[] | undefined {
  if (value === undefined || value === null) return undefined
  const list = Array.isArray(value)
    ? value
    : isObject(value)
      ? listOf(value, classes, fail)
      : fail('label_names', 'must be a list or a dictionary')
  if (list.length !== classes) fail('label_names', `has ${list.length} names for ${classes} classes`)
  return list.map((name, index) =>
    typeof name === 'string' ? name : fail('label_names', `has no text for class ${index}`),
  )
}

function listOf(
  names: JsonObject,
  classes: number,
  fail: (field: string, problem: string) => never,
): readonly JsonValue[] {
  const list: JsonValue[] = Array.from({ length: classes }, (_, index) => String(index))
  for (const [key, name] of Object.entries(names)) {
    const index = /^(0|[1-9]\d{0,6})$/.test(key) ? Number(key) : Number.NaN
    if (!(index < classes))
      fail('label_names', `has the key '${inertName(key, 100)}', which is no class from 0 to ${classes - 1}`)
    list[index] = name
  }
  return list
}
