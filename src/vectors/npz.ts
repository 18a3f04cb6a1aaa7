// NumPy's `.npz`: a zip archive of `.npy` members, stored, as numpy.savez writes it.
// https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
import { crc32 } from 'node:zlib'

/** A member whose bytes can be made as often as they are wanted, the same each time. */
export interface ZipMember {
  readonly name: string
  readonly sizeBytes: number
  pieces(): AsyncIterable<Uint8Array>
}

const largest32 = 0xffffffff
/** 1 January 1980, where the time of zip begins: files do not depend on when they were made. */
const date = 0x21
const version = 45
/** Names are UTF-8. */
const flags = 0x0800

/** A stored zip archive; each member is made twice, first for its checksum, which stands before its bytes. */
export async function* zipPieces(members: readonly ZipMember[]): AsyncGenerator<Uint8Array, void, undefined> {
  const directory: Uint8Array[] = []
  let offset = 0
  for (const member of members) {
    let checksum = 0
    for await (const piece of member.pieces()) checksum = crc32(piece, checksum)
    const local = header(member, checksum, undefined)
    directory.push(header(member, checksum, offset))
    yield local
    offset += local.length
    for await (const piece of member.pieces()) yield piece
    offset += member.sizeBytes
  }
  const directoryBytes = directory.reduce((sum, entry) => sum + entry.length, 0)
  yield* directory
  yield end(members.length, directoryBytes, offset)
}

/** Local header, or with an offset the entry of the directory. */
function header({ name, sizeBytes }: ZipMember, checksum: number, offset: number | undefined): Uint8Array {
  const central = offset !== undefined
  const large = sizeBytes >= largest32
  const far = central && offset >= largest32
  const longs = [...(large ? [sizeBytes, sizeBytes] : []), ...(far ? [offset] : [])]
  const extra = Buffer.alloc(longs.length > 0 ? 4 + longs.length * 8 : 0)
  if (longs.length > 0) {
    extra.writeUInt16LE(1, 0)
    extra.writeUInt16LE(longs.length * 8, 2)
    for (const [at, value] of longs.entries()) extra.writeBigUInt64LE(BigInt(value), 4 + at * 8)
  }
  const text = Buffer.from(name)
  const fixed = Buffer.alloc(central ? 46 : 30)
  let at = fixed.writeUInt32LE(central ? 0x02014b50 : 0x04034b50, 0)
  if (central) at = fixed.writeUInt16LE(version, at)
  for (const field of [version, flags, 0, 0, date]) at = fixed.writeUInt16LE(field, at)
  at = fixed.writeUInt32LE(checksum, at)
  at = fixed.writeUInt32LE(large ? largest32 : sizeBytes, at)
  at = fixed.writeUInt32LE(large ? largest32 : sizeBytes, at)
  at = fixed.writeUInt16LE(text.length, at)
  at = fixed.writeUInt16LE(extra.length, at)
  // No comment, first disk, no attributes; these are zero already.
  if (central) fixed.writeUInt32LE(far ? largest32 : offset, 42)
  return Buffer.concat([fixed, text, extra])
}

function end(count: number, directoryBytes: number, offset: number): Uint8Array {
  const large = offset >= largest32 || directoryBytes >= largest32 || count >= 0xffff
  const record = Buffer.alloc(22)
  record.writeUInt32LE(0x06054b50, 0)
  record.writeUInt16LE(large ? 0xffff : count, 8)
  record.writeUInt16LE(large ? 0xffff : count, 10)
  record.writeUInt32LE(large ? largest32 : directoryBytes, 12)
  record.writeUInt32LE(large ? largest32 : offset, 16)
  if (!large) return record
  const record64 = Buffer.alloc(56 + 20)
  record64.writeUInt32LE(0x06064b50, 0)
  record64.writeBigUInt64LE(44n, 4)
  record64.writeUInt16LE(version, 12)
  record64.writeUInt16LE(version, 14)
  record64.writeBigUInt64LE(BigInt(count), 24)
  record64.writeBigUInt64LE(BigInt(count), 32)
  record64.writeBigUInt64LE(BigInt(directoryBytes), 40)
  record64.writeBigUInt64LE(BigInt(offset), 48)
  record64.writeUInt32LE(0x07064b50, 56)
  record64.writeBigUInt64LE(BigInt(offset + directoryBytes), 64)
  record64.writeUInt32LE(1, 72)
  return Buffer.concat([record64, record])
}
