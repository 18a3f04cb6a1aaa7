import { RegraftError } from '../errors.ts'
import { inertName } from '../inert-text.ts'
import type { Checkpoint } from '../tensor/checkpoint.ts'
import { throwNoTensor } from './stored-tensors.ts'

/** Networks whose tensors torchvision and timm name in ways that are known here. */
export type ArchitectureFamily = 'mobilenetv2' | 'resnet'

/**
 * The same tensors under timm's names: prefixes that wrappers add (`module.`, `_orig_mod.`) are dropped, and
 * torchvision's names translated. Names that no rule knows stay, for the loader of the model to judge; a checkpoint
 * that has timm's names already comes back as it is.
 * @throws RegraftError `weights` when two tensors would get one name
 */
export function renameTensors(checkpoint: Checkpoint, family: ArchitectureFamily): Checkpoint {
  const storedNames = new Map<string, string>()
  const { source } = checkpoint
  for (const [stored, name] of timmNames(checkpoint.names(), family)) {
    const other = storedNames.get(name)
    if (other !== undefined) {
      const both = `'${inertName(other, 200)}' and '${inertName(stored, 200)}'`
      const message = `${inertName(source)}: the tensors ${both} are both '${inertName(name, 200)}' in the model.`
      throw new RegraftError('weights', message, { file: source, where: name })
    }
    storedNames.set(name, stored)
  }
  const names = [...storedNames.keys()]
  const storedName = (name: string): string => {
    const stored = storedNames.get(name)
    if (stored !== undefined) return stored
    return throwNoTensor(source, name, names)
  }
  return {
    names: () => names,
    shape: (name) => checkpoint.shape(storedName(name)),
    dtype: (name) => checkpoint.dtype(storedName(name)),
    read: async (name) => checkpoint.read(storedName(name)),
    readBytes: async (name) => checkpoint.readBytes(storedName(name)),
    metadata: checkpoint.metadata,
    remarks: checkpoint.remarks,
    source,
  }
}

/** Every name with what timm calls it, in the order given. */
export function timmNames(
  names: readonly string[],
  family: ArchitectureFamily,
): readonly (readonly [stored: string, timm: string])[] {
  const prefix = wrapperPrefix(names)
  const rename = fromTorchvision[family]
  return names.map((name) => [name, rename(name.slice(prefix.length))])
}

/** The prefix that DataParallel, torch.compile or both put before every name; empty when any name lacks it. */
function wrapperPrefix(names: readonly string[]): string {
  let prefix = ''
  for (;;) {
    const longer = ['module.', '_orig_mod.'].map((word) => prefix + word)
    const found = longer.find((candidate) => names.length > 0 && names.every((name) => name.startsWith(candidate)))
    if (found === undefined) return prefix
    prefix = found
  }
}

const fromTorchvision: Readonly<Record<ArchitectureFamily, (name: string) => string>> = {
  mobilenetv2: mobileNetV2Name,
  resnet: (name) => name, // torchvision and timm agree
}

// torchvision numbers the blocks 1 … 17 through all stages; timm counts them within each of these.
const blocksPerStage = [1, 2, 3, 4, 3, 3, 1]

const firstBlock: ReadonlyMap<string, string> = new Map([
  ['0.0', 'conv_dw'],
  ['0.1', 'bn1'],
  ['1', 'conv_pw'],
  ['2', 'bn2'],
])

const laterBlock: ReadonlyMap<string, string> = new Map([
  ['0.0', 'conv_pw'],
  ['0.1', 'bn1'],
  ['1.0', 'conv_dw'],
  ['1.1', 'bn2'],
  ['2', 'conv_pwl'],
  ['3', 'bn3'],
])

const outsideBlocks: ReadonlyMap<string, string> = new Map([
  ['features.0.0', 'conv_stem'],
  ['features.0.1', 'bn1'],
  ['features.18.0', 'conv_head'],
  ['features.18.1', 'bn2'],
  ['classifier.1', 'classifier'],
])

function mobileNetV2Name(name: string): string {
  const dot = name.lastIndexOf('.')
  const layer = name.slice(0, dot)
  const value = name.slice(dot + 1)
  const outside = outsideBlocks.get(layer)
  if (outside !== undefined) return `${outside}.${value}`
  const [, block, part] = /^features\.(\d+)\.conv\.(.+)$/.exec(layer) ?? []
  if (block === undefined || part === undefined) return name
  const timmPart = (block === '1' ? firstBlock : laterBlock).get(part)
  const place = stageAndBlock(Number(block))
  return timmPart === undefined || place === undefined ? name : `blocks.${place}.${timmPart}.${value}`
}

/** `S.B` of the block with this number in torchvision, counted from 1. */
function stageAndBlock(number: number): string | undefined {
  let before = 1
  for (const [stage, count] of blocksPerStage.entries()) {
    if (number >= before && number < before + count) return `${stage}.${number - before}`
    before += count
  }
  return undefined
}
