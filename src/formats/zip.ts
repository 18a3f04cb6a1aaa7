// Zip archives, read strictly: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
import { promisify } from 'node:util'
import { constants, crc32, inflateRaw } from 'node:zlib'
import type { RegraftError } from '../errors.ts'
import type { OpenFile } from '../files/file-system.ts'
import { formatBytes } from '../format-bytes.ts'
import { inertName } from '../inert-text.ts'
import { type KnownFile, readKnown } from './same-file.ts'
import { weightsError } from './stored-tensors.ts'

/** A file inside an archive. */
export interface ZipEntry {
  readonly name: string
  readonly sizeBytes: number
  readonly crc32: number
  readonly compressed: boolean
  /** Where its bytes lie in the archive. */
  readonly dataOffset: number
  readonly storedBytes: number
}

const endSignature = 0x06054b50
const end64Signature = 0x06064b50
const locatorSignature = 0x07064b50
const centralSignature = 0x02014b50
const localSignature = 0x04034b50
const descriptorSignature = 0x08074b50

const endBytes = 22
const locatorBytes = 20
const end64Bytes = 56
const centralBytes = 46
const localBytes = 30

const streamed = 0x0008
const knownFlags = streamed | 0x0800 | 0x0006 // sizes after the data, names in UTF-8, speed of the compressor

const maxEntries = 100_000
const maxDirectoryBytes = 64 * 2 ** 20
/** Deflate gives at most about 1030 to 1; arrays of weights hardly ever 2 to 1. */
const maxRatio = 200
const ratioMattersFromBytes = 16 * 2 ** 20

/**
 * The directory of an archive. Directory and local headers have to agree, records must not overlap, and nothing may
 * lie before the first or after the end: what one reader takes for the file, every reader does.
 * @throws RegraftError `weights`
 */
export async function readZipDirectory(handle: OpenFile, file: KnownFile): Promise<ReadonlyMap<string, ZipEntry>> {
  const { offset, sizeBytes, count } = await findDirectory(handle, file)
  const fail = failure(file)
  if (count > maxEntries || count * centralBytes > sizeBytes) {
    throw fail(`claims ${count} entries, which its directory of ${formatBytes(sizeBytes)} does not hold.`)
  }
  if (sizeBytes > maxDirectoryBytes)
    throw fail(`has a central directory of ${formatBytes(sizeBytes)}, beyond the limit.`)
  const central = readCentralEntries(await readKnown(handle, file, offset, sizeBytes), count, fail)
  central.sort((a, b) => a.localOffset - b.localOffset)
  const first = central[0]?.localOffset ?? offset
  if (first > 0) throw fail(`begins with ${first} bytes that belong to no record.`)

  const entries = new Map<string, ZipEntry>()
  for (const [at, entry] of central.entries()) {
    const limit = central[at + 1]?.localOffset ?? offset
    // Before anything is read: an entry whose bytes reach into the next one, or beyond the directory.
    if (entry.localOffset + localBytes + entry.nameBytes.length + entry.storedBytes > limit) throw overlap(entry, fail)
    const { dataOffset, endOffset } = await checkLocalHeader(handle, file, entry, fail)
    if (endOffset > limit) throw overlap(entry, fail)
    if (entries.has(entry.name)) throw fail(`has two records named '${shown(entry)}' (a duplicate).`)
    const { name, sizeBytes, storedBytes, crc32 } = entry
    entries.set(name, { name, sizeBytes, storedBytes, crc32, compressed: entry.method === 8, dataOffset })
  }
  return entries
}

/**
 * A whole record, its checksum verified.
 * @throws RegraftError `weights` also for what unpacks to more than it says, or to unlikely much
 */
export async function readZipEntry(handle: OpenFile, file: KnownFile, entry: ZipEntry): Promise<Uint8Array> {
  const stored = await readKnown(handle, file, entry.dataOffset, entry.storedBytes)
  const bytes = entry.compressed ? await unpacked(stored, entry, file) : stored
  if (crc32(bytes) !== entry.crc32) throw wrongChecksum(file, entry)
  return bytes
}

/**
 * The first bytes of a record, at most `length`; their checksum is not verified.
 * @throws RegraftError `weights`
 */
export async function readZipEntryStart(
  handle: OpenFile,
  file: KnownFile,
  entry: ZipEntry,
  length: number,
): Promise<Uint8Array> {
  if (!entry.compressed) return readKnown(handle, file, entry.dataOffset, Math.min(length, entry.sizeBytes))
  // Deflate needs at most a little more than what it packs, and gives at most about 1030 times as much.
  const stored = await readKnown(handle, file, entry.dataOffset, Math.min(length + 64, entry.storedBytes))
  const bytes = await inflated(stored, length * 1040 + 65536, entry, file, constants.Z_SYNC_FLUSH)
  return bytes.subarray(0, length)
}

/** Reads a record that is not compressed through once and compares its checksum. @throws RegraftError `weights` */
export async function verifyZipEntry(handle: OpenFile, file: KnownFile, entry: ZipEntry): Promise<void> {
  const pieceBytes = 4 * 2 ** 20
  let sum = 0
  for (let done = 0; done < entry.storedBytes; done += pieceBytes) {
    const length = Math.min(pieceBytes, entry.storedBytes - done)
    sum = crc32(await readKnown(handle, file, entry.dataOffset + done, length), sum)
  }
  if (sum !== entry.crc32) throw wrongChecksum(file, entry)
}

function wrongChecksum(file: KnownFile, entry: ZipEntry): RegraftError {
  const problem = `the checksum (CRC-32) of the record '${inertName(entry.name, 200)}' is wrong: the file is damaged.\nDownload or copy it again.`
  return weightsError(file.path, problem, entry.name)
}

async function unpacked(stored: Uint8Array, entry: ZipEntry, file: KnownFile): Promise<Uint8Array> {
  if (entry.sizeBytes > ratioMattersFromBytes && entry.sizeBytes > maxRatio * entry.storedBytes) {
    const sizes = `${formatBytes(entry.storedBytes)} into ${formatBytes(entry.sizeBytes)}`
    throw failure(file)(`would unpack ${sizes} ('${shown(entry)}'), beyond the limit of ${maxRatio} to 1.`)
  }
  const bytes = await inflated(stored, Math.max(1, entry.sizeBytes), entry, file)
  if (bytes.length === entry.sizeBytes) return bytes
  throw failure(file)(
    `gives ${bytes.length} bytes for the record '${shown(entry)}', its directory says ${entry.sizeBytes}.`,
  )
}

const inflate = promisify(
  (bytes: Uint8Array, options: object, done: (error: Error | null, result: Uint8Array) => void) =>
    inflateRaw(bytes, options, done),
)

async function inflated(
  stored: Uint8Array,
  maxOutputLength: number,
  entry: ZipEntry,
  file: KnownFile,
  finishFlush: number = constants.Z_FINISH,
): Promise<Uint8Array> {
  try {
    return await inflate(stored, { maxOutputLength, finishFlush })
  } catch (cause) {
    const tooMuch = cause instanceof Error && 'code' in cause && cause.code === 'ERR_BUFFER_TOO_LARGE'
    const problem = tooMuch ? 'unpacks to more than its size in the directory' : 'cannot be unpacked (deflate)'
    throw failure(file)(`is damaged: the record '${shown(entry)}' ${problem}.`)
  }
}

interface Directory {
  readonly offset: number
  readonly sizeBytes: number
  readonly count: number
}

async function findDirectory(handle: OpenFile, file: KnownFile): Promise<Directory> {
  const fail = failure(file)
  const total = file.facts.sizeBytes
  if (total < endBytes) throw fail('is truncated: its end record is missing.\nDownload or copy it again.')
  const tailBytes = Math.min(total, end64Bytes + locatorBytes + endBytes)
  const tail = await readKnown(handle, file, total - tailBytes, tailBytes)
  const view = viewOf(tail)
  const end = tailBytes - endBytes
  if (view.getUint32(end, true) !== endSignature) throw await noEndRecord(handle, file)
  if (view.getUint16(end + 4, true) !== 0 || view.getUint16(end + 6, true) !== 0)
    throw fail('is cut into several files.')
  if (view.getUint16(end + 20, true) !== 0)
    throw fail('ends with a comment that the file does not hold; it is damaged.')
  const small = {
    count: view.getUint16(end + 10, true),
    sizeBytes: view.getUint32(end + 12, true),
    offset: view.getUint32(end + 16, true),
  }
  let directory: Directory = small
  let endOffset = total - endBytes
  const locator = end - locatorBytes
  if (locator >= 0 && view.getUint32(locator, true) === locatorSignature) {
    const end64 = locator - end64Bytes
    endOffset = total - tailBytes + end64
    const where = wide(view, locator + 8)
    if (end64 < 0 || where !== endOffset || view.getUint32(end64, true) !== end64Signature) {
      throw fail('has a zip64 end record that is not where it should be; it is damaged.')
    }
    directory = { count: wide(view, end64 + 32), sizeBytes: wide(view, end64 + 40), offset: wide(view, end64 + 48) }
    const agree = (narrow: number, full: number, unknown: number) => narrow === full || narrow === unknown
    if (
      wide(view, end64 + 24) !== directory.count ||
      !agree(small.count, directory.count, 0xffff) ||
      !agree(small.sizeBytes, directory.sizeBytes, 0xffffffff) ||
      !agree(small.offset, directory.offset, 0xffffffff)
    ) {
      throw fail('has two end records that differ in the size of the central directory or the number of entries.')
    }
  }
  if (directory.offset + directory.sizeBytes !== endOffset) {
    throw fail('has a central directory whose offset and size do not fit its end; it is damaged.')
  }
  return directory
}

async function noEndRecord(handle: OpenFile, file: KnownFile): Promise<RegraftError> {
  const fail = failure(file)
  const total = file.facts.sizeBytes
  const tailBytes = Math.min(total, 65536 + endBytes)
  const tail = Buffer.from(await readKnown(handle, file, total - tailBytes, tailBytes))
  const found = tail.lastIndexOf(Buffer.from('PK\u0005\u0006', 'latin1'))
  if (found < 0)
    return fail('is truncated: its end, with the central directory, is missing.\nDownload or copy it again.')
  return fail(`has ${tailBytes - found - endBytes} bytes of trailing data after its end record.`)
}

/** A record as the central directory tells it. */
interface CentralEntry {
  readonly name: string
  readonly nameBytes: Uint8Array
  readonly flags: number
  readonly method: number
  readonly crc32: number
  readonly storedBytes: number
  readonly sizeBytes: number
  readonly localOffset: number
}

function readCentralEntries(bytes: Uint8Array, count: number, fail: Fail): CentralEntry[] {
  const view = viewOf(bytes)
  const entries: CentralEntry[] = []
  let at = 0
  for (let index = 0; index < count; index++) {
    if (at + centralBytes > bytes.length || view.getUint32(at, true) !== centralSignature) {
      throw fail(`has a damaged central directory: its entry ${index + 1} of ${count} is missing.`)
    }
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((field) => view.getUint16(at + field, true))
    const nameEnd = at + centralBytes + (nameLength ?? 0)
    const extraEnd = nameEnd + (extraLength ?? 0)
    const next = extraEnd + (commentLength ?? 0)
    if (next > bytes.length) throw fail('has a damaged central directory: an entry reaches beyond its end.')
    const nameBytes = bytes.subarray(at + centralBytes, nameEnd)
    const name = decodeName(nameBytes, fail)
    const narrow = [view.getUint32(at + 24, true), view.getUint32(at + 20, true), view.getUint32(at + 42, true)]
    const [sizeBytes = 0, storedBytes = 0, localOffset = 0] = widened(
      narrow,
      bytes.subarray(nameEnd, extraEnd),
      name,
      fail,
    )
    const flags = view.getUint16(at + 8, true)
    const method = view.getUint16(at + 10, true)
    const entry = {
      name,
      nameBytes,
      flags,
      method,
      crc32: view.getUint32(at + 16, true),
      storedBytes,
      sizeBytes,
      localOffset,
    }
    if ((flags & 1) !== 0) throw fail(`is encrypted ('${shown(entry)}'), which is not supported.`)
    if ((flags & ~knownFlags) !== 0)
      throw fail(`uses features that are not supported (flags ${flags}, '${shown(entry)}').`)
    if (method !== 0 && method !== 8)
      throw fail(`uses the unsupported compression method ${method} ('${shown(entry)}').`)
    if (method === 0 && storedBytes !== sizeBytes)
      throw fail(`gives two sizes for the stored record '${shown(entry)}'.`)
    if (view.getUint16(at + 34, true) !== 0) throw fail('is cut into several files.')
    entries.push(entry)
    at = next
  }
  if (at !== bytes.length)
    throw fail(`has ${bytes.length - at} bytes in its central directory that belong to no entry.`)
  return entries
}

/** Compares the header in front of a record with the directory; gives where its data begin and where all of it ends. */
async function checkLocalHeader(
  handle: OpenFile,
  file: KnownFile,
  entry: CentralEntry,
  fail: Fail,
): Promise<{ dataOffset: number; endOffset: number }> {
  const { localOffset, nameBytes } = entry
  const header = await readKnown(handle, file, localOffset, localBytes + nameBytes.length)
  const view = viewOf(header)
  const differ = (what: string) =>
    fail(`is inconsistent: header and directory disagree about the ${what} of '${shown(entry)}'.`)
  if (view.getUint32(0, true) !== localSignature) throw fail(`has no header at the offset of '${shown(entry)}'.`)
  if (view.getUint16(6, true) !== entry.flags) throw differ('flags')
  if (view.getUint16(8, true) !== entry.method) throw differ('compression method')
  if (view.getUint16(26, true) !== nameBytes.length || Buffer.compare(header.subarray(localBytes), nameBytes) !== 0) {
    throw differ('name')
  }
  const extraOffset = localOffset + localBytes + nameBytes.length
  const extraLength = view.getUint16(28, true)
  const dataOffset = extraOffset + extraLength
  if (dataOffset + entry.storedBytes > file.facts.sizeBytes) throw overlap(entry, fail)
  const narrow = [view.getUint32(22, true), view.getUint32(18, true)]
  const extra = narrow.includes(0xffffffff) ? await readKnown(handle, file, extraOffset, extraLength) : new Uint8Array()
  const [sizeBytes, storedBytes] = widened(narrow, extra, entry.name, fail)
  const crc = view.getUint32(14, true)
  const later = (entry.flags & streamed) !== 0
  const agrees = (value: number | undefined, expected: number) => value === expected || (later && value === 0)
  if (!agrees(sizeBytes, entry.sizeBytes) || !agrees(storedBytes, entry.storedBytes)) throw differ('size')
  if (!agrees(crc, entry.crc32)) throw differ('checksum (CRC-32)')
  const dataEnd = dataOffset + entry.storedBytes
  if (!later) return { dataOffset, endOffset: dataEnd }
  const trailer = await readKnown(handle, file, dataEnd, Math.min(24, file.facts.sizeBytes - dataEnd))
  const length = descriptorBytes(trailer, entry)
  if (length === undefined) throw differ('size or checksum (CRC-32) after the data')
  return { dataOffset, endOffset: dataEnd + length }
}

/** Length of the descriptor after a streamed record: with or without its signature, sizes of 4 or 8 bytes. */
function descriptorBytes(bytes: Uint8Array, entry: CentralEntry): number | undefined {
  const view = viewOf(bytes)
  const { crc32, storedBytes, sizeBytes } = entry
  for (const [start, width] of [
    [4, 4],
    [4, 8],
    [0, 4],
    [0, 8],
  ] as const) {
    const length = start + 4 + 2 * width
    if (bytes.length < length || (start > 0 && view.getUint32(0, true) !== descriptorSignature)) continue
    const size = (at: number) => (width === 4 ? view.getUint32(at, true) : wide(view, at))
    if (view.getUint32(start, true) !== crc32) continue
    if (size(start + 4) === storedBytes && size(start + 4 + width) === sizeBytes) return length
  }
  return undefined
}

/** Sizes of 32 bits, with those that are all ones replaced by the ones of 64 bits in the zip64 field. */
function widened(narrow: readonly number[], extra: Uint8Array, name: string, fail: Fail): number[] {
  if (!narrow.includes(0xffffffff)) return [...narrow]
  const view = viewOf(extra)
  for (let at = 0; at + 4 <= extra.length; ) {
    const length = view.getUint16(at + 2, true)
    const end = at + 4 + length
    if (end > extra.length) break
    if (view.getUint16(at, true) === 1) {
      let from = at + 4
      return narrow.map((size) => {
        if (size !== 0xffffffff) return size
        if (from + 8 > end) throw fail(`lacks a zip64 size of '${inertName(name, 200)}'; it is damaged.`)
        from += 8
        return wide(view, from - 8)
      })
    }
    at = end
  }
  throw fail(`lacks the zip64 sizes of '${inertName(name, 200)}'; it is damaged.`)
}

/** 64 bits as a number; what a double cannot hold becomes infinite, and fits nowhere. */
function wide(view: DataView, at: number): number {
  const value = view.getBigUint64(at, true)
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : Number.POSITIVE_INFINITY
}

function decodeName(bytes: Uint8Array, fail: Fail): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw fail('has a record whose name is not encoded in UTF-8.')
  }
}

function overlap(entry: CentralEntry, fail: Fail): RegraftError {
  return fail(
    `is inconsistent: the record '${shown(entry)}' reaches beyond its place, into another one or beyond the end.`,
  )
}

function shown(entry: { readonly name: string }): string {
  return inertName(entry.name, 200)
}

type Fail = (problem: string) => RegraftError

function failure(file: KnownFile): Fail {
  return (problem) => weightsError(file.path, `the zip archive ${problem}`)
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
