import { RegraftError } from '../errors.ts'
import { inertName } from '../inert-text.ts'
import type { Checkpoint } from '../tensor/checkpoint.ts'
import { throwNoTensor } from './stored-tensors.ts'

/** Modules, or single tensors, as others name them, and their names in timm. */
export type ForeignModules = ReadonlyMap<string, string>

/**
 * The same tensors under timm's names: prefixes that wrappers add (`module.`, `_orig_mod.`) are dropped, and
 * torchvision's names translated. Names that no rule knows stay, for the loader of the model to judge; a checkpoint
 * that has timm's names already comes back as it is.
 * @throws RegraftError `weights` when two tensors would get one name
 */
export function renameTensors(checkpoint: Checkpoint, foreign: ForeignModules): Checkpoint {
  const storedNames = new Map<string, string>()
  const { source } = checkpoint
  for (const [stored, name] of timmNames(checkpoint.names(), foreign)) {
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
  foreign: ForeignModules,
): readonly (readonly [stored: string, timm: string])[] {
  const prefix = wrapperPrefix(names)
  return names.map((name) => [name, renamed(name.slice(prefix.length), foreign)])
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

function renamed(name: string, foreign: ForeignModules): string {
  const dot = name.lastIndexOf('.')
  const module = foreign.get(name.slice(0, dot))
  return foreign.get(name) ?? (module === undefined ? name : module + name.slice(dot))
}
