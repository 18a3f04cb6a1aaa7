// Which of the tables in a checkpoint holds the weights.
import { inertName } from '../inert-text.ts'
import type { PickleDict, PickleValue, PytorchTensor } from './pickle-values.ts'
import { describe, isKind } from './pickle-values.ts'

export interface StateDict {
  readonly tensors: ReadonlyMap<string, PytorchTensor>
  /** What was chosen and what was left out, in sentences. */
  readonly remarks: readonly string[]
}

/** Where training scripts keep the weights, the first that is there; averaged ones only where there are no others. */
const usualKeys = [
  'state_dict',
  'model_state_dict',
  'model_state',
  'model',
  'net',
  'network',
  'module',
  'weights',
  'params',
  'state_dict_ema',
  'model_state_dict_ema',
  'model_ema',
  'ema_state_dict',
  'ema',
  'params_ema',
]

const maxDepth = 4
const maxNamed = 8

/**
 * The weights among what a PyTorch file holds: the outermost table (dict) with tensors as values. Where a table has
 * none, the usual keys are looked under in a fixed order, then a single other table with tensors. A bare tensor is called
 * `tensor`, tensors in a list are called by their place.
 * @param fail  words the error of a problem
 */
export function stateDictOf(root: PickleValue, fail: (problem: string) => Error): StateDict {
  if (isKind(root, 'tensor')) return { tensors: new Map([['tensor', root]]), remarks: [] }
  if (isKind(root, 'list') || isKind(root, 'tuple')) return fromList(root.items, fail)
  if (!isKind(root, 'dict')) {
    throw fail(`its root is ${describe(root)}; a state dict, a table of names and tensors, is expected.`)
  }
  const remarks: string[] = []
  let dict = root
  const path: string[] = []
  while (path.length < maxDepth) {
    const entries = entriesOf(dict, path, fail)
    if (entries.size === 0) return { tensors: new Map(), remarks }
    const tensors = new Map<string, PytorchTensor>()
    const others: string[] = []
    for (const [name, value] of entries) {
      if (isKind(value, 'tensor')) tensors.set(name, value)
      else others.push(name)
    }
    const known = usualKeys.find((key) => isKind(entries.get(key), 'dict'))
    if (tensors.size > 0 && !(known !== undefined && holdsTensors(entries.get(known)))) {
      if (path.length > 0) remarks.unshift(`The weights are those under '${shown(path.join('.'))}'.`)
      if (others.length > 0) remarks.push(`Left out, since they are no tensors: ${list(others)}.`)
      return { tensors, remarks }
    }
    const next = known ?? onlyTable(entries, path, fail)
    const chosen = entries.get(next)
    if (!isKind(chosen, 'dict')) break
    const beside = [...entries.keys()].filter((name) => name !== next)
    if (beside.length > 0) remarks.push(`Left out, beside the weights: ${list(beside)}.`)
    path.push(next)
    dict = chosen
  }
  throw fail('it holds no state dict: there is no table of names and tensors near its root.')
}

function fromList(items: readonly PickleValue[], fail: (problem: string) => Error): StateDict {
  const tensors = new Map<string, PytorchTensor>()
  for (const [at, item] of items.entries()) {
    if (!isKind(item, 'tensor'))
      throw fail(`its root is a list with ${describe(item)}; a state dict or tensors are expected.`)
    tensors.set(String(at), item)
  }
  if (tensors.size === 0) throw fail('its root is an empty list; a state dict is expected.')
  return { tensors, remarks: ['The tensors have no names; they are called by their place in the list.'] }
}

/** The entries of a table by name. A name that comes twice is refused: readers differ in which one they take. */
function entriesOf(
  dict: PickleDict,
  path: readonly string[],
  fail: (problem: string) => Error,
): ReadonlyMap<string, PickleValue> {
  const entries = new Map<string, PickleValue>()
  for (const [key, value] of dict.entries) {
    if (typeof key !== 'string') {
      if (!isKind(value, 'tensor') && !isKind(value, 'dict')) continue
      throw fail(`a tensor or table has ${describe(key)} as its name (key), where a text (string) is expected.`)
    }
    if (entries.has(key)) throw fail(`the name '${shown([...path, key].join('.'))}' is there twice (a duplicate).`)
    entries.set(key, value)
  }
  return entries
}

function onlyTable(
  entries: ReadonlyMap<string, PickleValue>,
  path: readonly string[],
  fail: (problem: string) => Error,
): string {
  const tables = [...entries].filter(([, value]) => holdsTensors(value)).map(([name]) => name)
  const [only] = tables
  if (only !== undefined && tables.length === 1) return only
  const where = path.length === 0 ? 'at its root' : `under '${shown(path.join('.'))}'`
  if (tables.length > 1) {
    throw fail(
      `several tables ${where} hold tensors, and none has a usual name: ${list(tables)}.\nSave the one you want alone in Python: torch.save(checkpoint['${shown(only ?? '')}'], 'weights.pth').`,
    )
  }
  const [inner] = [...entries].filter(([, value]) => isKind(value, 'dict')).map(([name]) => name)
  if (inner !== undefined && entries.size === 1) return inner
  throw fail(`it holds no state dict: no tensors are ${where}, which has ${list([...entries.keys()])}.`)
}

function holdsTensors(value: PickleValue | undefined): boolean {
  return isKind(value, 'dict') && value.entries.some(([, item]) => isKind(item, 'tensor'))
}

function list(names: readonly string[]): string {
  const more = names.length > maxNamed ? ` and ${names.length - maxNamed} more` : ''
  return (
    names
      .slice(0, maxNamed)
      .map((name) => `'${shown(name)}'`)
      .join(', ') + more
  )
}

function shown(name: string): string {
  return inertName(name, 100)
}
