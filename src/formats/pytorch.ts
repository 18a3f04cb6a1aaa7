// Checkpoints of PyTorch: the zip archive since 1.6, and the stream of pickles before it.
import type { FileFacts, OpenFile } from '../files/file-system.ts'
import { readRange, withOpenFile } from '../files/read-file.ts'
import { formatBytes } from '../format-bytes.ts'
import { inertName } from '../inert-text.ts'
import type { Checkpoint } from '../tensor/checkpoint.ts'
import { bytesPerElement } from '../tensor/dtype.ts'
import { elementCount } from '../tensor/shape.ts'
import { PickleEnd, readPickle } from './pickle.ts'
import { isKind, type PickleValue, type PytorchStorage, type PytorchTensor } from './pickle-values.ts'
import { type KnownFile, readKnown, withSameFile } from './same-file.ts'
import { stateDictOf } from './state-dict.ts'
import { checkpointOf, type StoredTensor, tensorError, weightsError } from './stored-tensors.ts'
import { copyStrided, extentOf, isContiguous } from './strided.ts'
import { readZipDirectory, readZipEntry, verifyZipEntry, type ZipEntry } from './zip.ts'

/** The first pickle of the old container. */
const legacyMagic = 0x1950a86a20f9469cfc6cn
const legacyProtocol = 1001

const maxPickleBytes = 128 * 2 ** 20
const knownVersions = { from: 1, to: 10 }
/** What all tensors together may take beyond this many times their storages, as copies of shared or repeated values. */
const sharing = { times: 4, spareBytes: 64 * 2 ** 20 }

/** Where the values of a storage lie, and what has to be done before they are used. */
interface StoragePlace {
  readonly offset: number
  check(handle: OpenFile): Promise<void>
}

/** Whether the names in an archive are those of a PyTorch file. */
export function looksLikePytorch(entries: Iterable<string>): boolean {
  return [...entries].some((name) => name === 'data.pkl' || name.endsWith('/data.pkl'))
}

/**
 * Opens a zip archive as torch.save writes it. Nothing in it is run: its pickle may name a closed list of constructors
 * of plain data. Values are read when asked for, and the checksum of their record is verified before the first use.
 * @throws RegraftError `weights`
 */
export function openPytorchZip(file: string): Promise<Checkpoint> {
  return withOpenFile(file, { code: 'weights' }, async (handle, facts) => {
    const known: KnownFile = { path: file, facts }
    const entries = await readZipDirectory(handle, known)
    const folder = folderOf([...entries.keys()], file)
    const record = (name: string) => recordOf(entries, `${folder}/${name}`, file)
    const textOf = async (name: string) =>
      Buffer.from(await readZipEntry(handle, known, record(name)))
        .toString('latin1')
        .trim()

    const version = await textOf('version')
    if (!/^\d{1,3}$/.test(version) || Number(version) < knownVersions.from || Number(version) > knownVersions.to) {
      throw weightsError(file, `the PyTorch file is of version '${inertName(version, 20)}', which is not known.`)
    }
    if (entries.has(`${folder}/byteorder`) && (await textOf('byteorder')) !== 'little') {
      throw weightsError(file, 'the PyTorch file is big-endian, which is not supported.')
    }
    const pickle = record('data.pkl')
    if (pickle.sizeBytes > maxPickleBytes) throw pickleTooLarge(file, pickle.sizeBytes)
    const bytes = await readZipEntry(handle, known, pickle)
    const { value, end } = wholePickle(file, () => readPickle(bytes, 0, { file, part: 'data.pkl' }))
    if (end < bytes.length) {
      throw weightsError(file, `data.pkl has ${bytes.length - end} bytes of trailing data after the end of the pickle.`)
    }

    const places = new Map<string, StoragePlace>()
    for (const storage of storagesOf(value, file).values()) {
      const entry = record(`data/${storage.key}`)
      const expected = bytesOf(storage)
      if (entry.sizeBytes !== expected) throw wrongStorageSize(file, storage, expected, entry.sizeBytes)
      let verified: Promise<void> | undefined
      places.set(storage.key, {
        offset: entry.dataOffset,
        check: (again) => {
          verified ??= verifyZipEntry(again, known, entry)
          return verified
        },
      })
    }
    return checkpointFrom(value, places, known)
  })
}

/** The only folder of the archive that holds a data.pkl. */
function folderOf(names: readonly string[], file: string): string {
  const folders = names
    .filter((name) => /^[^/]+\/data\.pkl$/.test(name))
    .map((name) => name.slice(0, -'/data.pkl'.length))
  const [folder] = folders
  if (folder === undefined || folders.length > 1) {
    const problem = folder === undefined ? 'it has no data.pkl in a folder' : 'it has more than one data.pkl'
    throw weightsError(file, `this is not a PyTorch file: ${problem}.`)
  }
  if (names.some((name) => name === `${folder}/constants.pkl` || name.startsWith(`${folder}/code/`))) {
    throw weightsError(
      file,
      "this is a TorchScript program, not a file of weights.\nSave its weights in Python: torch.save(torch.jit.load(file).state_dict(), 'weights.pth').",
    )
  }
  return folder
}

function recordOf(entries: ReadonlyMap<string, ZipEntry>, name: string, file: string): ZipEntry {
  const entry = entries.get(name)
  if (entry === undefined) throw weightsError(file, `the record '${inertName(name, 200)}' is missing in the archive.`)
  if (!entry.compressed) return entry
  throw weightsError(
    file,
    `the record '${inertName(name, 200)}' is compressed, which PyTorch never does and which is not supported.\nUnpack the archive and pack it again without compression (zip -0 -r).`,
  )
}

/**
 * Opens the container of PyTorch before 1.6: five pickles (magic number, version, system, root, keys of the storages),
 * then the storages. It has no checksums.
 * @throws RegraftError `weights`
 */
export function openPytorchLegacy(file: string): Promise<Checkpoint> {
  return withOpenFile(file, { code: 'weights' }, async (handle, facts) => {
    const known: KnownFile = { path: file, facts }
    const { root, keys, end } = await readLegacyPickles(handle, facts, file)
    const storages = storagesOf(root, file)
    const places = new Map<string, StoragePlace>()
    let at = end
    for (const key of keys) {
      const shown = inertName(key, 100)
      const storage = storages.get(key)
      if (storage === undefined) throw weightsError(file, `the storage key '${shown}' is not used by any tensor.`)
      if (places.has(key)) throw weightsError(file, `the storage key '${shown}' is listed twice (a duplicate).`)
      const head = await readRange(handle, at, 8)
      if (head.length < 8) throw legacyTruncated(file, storage)
      const elements = new DataView(head.buffer, head.byteOffset).getBigInt64(0, true)
      if (elements !== BigInt(storage.elements)) {
        throw weightsError(
          file,
          `the storage '${shown}' has a size of ${elements} elements, its tensors expect ${storage.elements} (mismatch).`,
        )
      }
      places.set(key, { offset: at + 8, check: async () => {} })
      at += 8 + bytesOf(storage)
      if (at > facts.sizeBytes) throw legacyTruncated(file, storage)
    }
    const missing = [...storages.keys()].find((key) => !places.has(key))
    if (missing !== undefined)
      throw weightsError(file, `the storage '${inertName(missing, 100)}' is missing in the file.`)
    if (at < facts.sizeBytes) {
      throw weightsError(file, `${facts.sizeBytes - at} bytes of trailing data follow the last storage.`)
    }
    return checkpointFrom(root, places, known)
  })
}

async function readLegacyPickles(
  handle: OpenFile,
  facts: FileFacts,
  file: string,
): Promise<{ root: PickleValue; keys: readonly string[]; end: number }> {
  // How long the pickles are stands nowhere; large files are mostly storages, so begin small.
  for (let length = 2 ** 20; ; length *= 4) {
    const whole = length >= Math.min(facts.sizeBytes, maxPickleBytes)
    const bytes = await readRange(handle, 0, Math.min(length, facts.sizeBytes, maxPickleBytes))
    try {
      return parseLegacyPickles(bytes, file)
    } catch (error) {
      if (!(error instanceof PickleEnd)) throw error
      if (whole && facts.sizeBytes > maxPickleBytes) throw pickleTooLarge(file, maxPickleBytes)
      if (whole)
        throw weightsError(file, 'the file is truncated: it ends inside its pickles.\nDownload or copy it again.')
    }
  }
}

function parseLegacyPickles(
  bytes: Uint8Array,
  file: string,
): { root: PickleValue; keys: readonly string[]; end: number } {
  const magic = readPickle(bytes, 0, { file, part: 'magic number' })
  if (magic.value !== legacyMagic) {
    throw weightsError(file, 'this is a Python pickle, but not a PyTorch file: its magic number is missing.')
  }
  const version = readPickle(bytes, magic.end, { file, part: 'version' })
  if (version.value !== legacyProtocol) {
    throw weightsError(file, `the PyTorch file is not of protocol version ${legacyProtocol}, the only one known.`)
  }
  const system = readPickle(bytes, version.end, { file, part: 'system' })
  const little = isKind(system.value, 'dict')
    ? system.value.entries.find(([key]) => key === 'little_endian')?.[1]
    : null
  if (little !== true) throw weightsError(file, 'the PyTorch file is not marked as little-endian.')
  const root = readPickle(bytes, system.end, { file, part: 'root' })
  const keys = readPickle(bytes, root.end, { file, part: 'storage keys' })
  if (!isKind(keys.value, 'list')) throw weightsError(file, 'the storage keys are not a list.')
  const names = keys.value.items.map((key) => {
    if (typeof key === 'string') return key
    throw weightsError(file, 'a storage key is not a text.')
  })
  return { root: root.value, keys: names, end: keys.end }
}

function wholePickle<T>(file: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof PickleEnd) throw weightsError(file, 'data.pkl is truncated: it ends before its pickle does.')
    throw error
  }
}

/** Every storage that a tensor in the pickle lies in. */
function storagesOf(root: PickleValue, file: string): ReadonlyMap<string, PytorchStorage> {
  const storages = new Map<string, PytorchStorage>()
  const seen = new Set<PickleValue>()
  const waiting: PickleValue[] = [root]
  for (let value = waiting.pop(); value !== undefined; value = waiting.pop()) {
    if (typeof value !== 'object' || value === null || value instanceof Uint8Array || seen.has(value)) continue
    seen.add(value)
    if (value.kind === 'tensor') waiting.push(value.storage)
    else if (value.kind === 'storage') {
      const { key } = value
      const other = storages.get(key) ?? value
      if (bytesOf(other) !== bytesOf(value)) {
        throw weightsError(file, `the storage '${inertName(key, 100)}' is given with two sizes (mismatch).`)
      }
      storages.set(key, value)
    } else if (value.kind === 'dict') for (const pair of value.entries) waiting.push(...pair)
    else if (value.kind === 'list' || value.kind === 'tuple') for (const item of value.items) waiting.push(item)
  }
  return storages
}

function bytesOf(storage: PytorchStorage): number {
  return storage.elements * bytesPerElement(storage.dtype)
}

function checkpointFrom(root: PickleValue, places: ReadonlyMap<string, StoragePlace>, file: KnownFile): Checkpoint {
  const fail = (problem: string) => weightsError(file.path, problem)
  const { tensors, remarks } = stateDictOf(root, fail)
  checkTotal(tensors, file.path)
  const stored: StoredTensor[] = []
  for (const [name, tensor] of tensors) {
    const place = places.get(tensor.storage.key)
    if (place === undefined) throw tensorError(file.path, name, 'its storage is missing.')
    const { dtype, shape } = tensor
    stored.push({ name, dtype, shape, readBytes: () => readTensor(tensor, place, file) })
  }
  return checkpointOf(file.path, stored, { remarks })
}

/** A few bytes can be repeated into any number of tensors of any size; so all of them together have a limit. */
function checkTotal(tensors: ReadonlyMap<string, PytorchTensor>, file: string): void {
  const sizes = new Map<string, number>()
  let total = 0
  for (const { storage, shape, dtype } of tensors.values()) {
    sizes.set(storage.key, bytesOf(storage))
    total += elementCount(shape) * bytesPerElement(dtype)
  }
  const stored = [...sizes.values()].reduce((sum, size) => sum + size, 0)
  if (total <= sharing.times * stored + sharing.spareBytes) return
  throw weightsError(
    file,
    `its tensors would take ${formatBytes(total)} out of ${formatBytes(stored)} that are stored (repeated values); this is too large, beyond the limit.`,
  )
}

async function readTensor(tensor: PytorchTensor, place: StoragePlace, file: KnownFile): Promise<Uint8Array> {
  const size = bytesPerElement(tensor.dtype)
  const { first, end } = extentOf(tensor)
  const bytes = await withSameFile(file, async (handle) => {
    await place.check(handle)
    return readKnown(handle, file, place.offset + first * size, (end - first) * size)
  })
  if (isContiguous(tensor)) return bytes
  return copyStrided(bytes, size, { ...tensor, offset: 0 })
}

function wrongStorageSize(file: string, storage: PytorchStorage, expected: number, found: number) {
  const what = `${storage.elements} elements of ${storage.dtype}, ${expected} bytes`
  return weightsError(
    file,
    `the storage '${inertName(storage.key, 100)}' should have ${what}; its record has a size of ${found} (mismatch).`,
  )
}

function legacyTruncated(file: string, storage: PytorchStorage) {
  const problem = `the file is truncated: it ends inside the storage '${inertName(storage.key, 100)}'.\nDownload or copy it again.`
  return weightsError(file, problem)
}

function pickleTooLarge(file: string, size: number) {
  return weightsError(
    file,
    `its pickle takes ${formatBytes(size)} and more, which is beyond the limit of ${formatBytes(maxPickleBytes)}.`,
  )
}
