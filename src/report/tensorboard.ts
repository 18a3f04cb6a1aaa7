// TensorBoard's event files: records of TensorFlow's framing, each an Event of Protocol Buffers.
// https://github.com/tensorflow/tensorboard/blob/master/tensorboard/compat/proto/event.proto and summary.proto

export interface ScalarValue {
  readonly tag: string
  readonly value: number
}

export interface HistogramValue {
  readonly tag: string
  readonly min: number
  readonly max: number
  readonly count: number
  readonly mean: number
  readonly deviation: number
  /** Counts in bins of equal width. */
  readonly bins: readonly number[]
}

/** The record that begins a file. @param seconds  since 1970 */
export function fileBeginning(seconds: number): Uint8Array {
  return record([double(1, seconds), bytes(3, new TextEncoder().encode('brain.Event:2'))])
}

/** A record of values at a step. */
export function summaryRecord(
  seconds: number,
  step: number,
  values: readonly (ScalarValue | HistogramValue)[],
): Uint8Array {
  const summary = values.map((value) => {
    const tag = bytes(1, new TextEncoder().encode(value.tag))
    return bytes(1, joined('value' in value ? [tag, float(2, value.value)] : [tag, bytes(5, histogram(value))]))
  })
  return record([double(1, seconds), integer(2, step), bytes(5, joined(summary))])
}

function histogram({ min, max, count, mean, deviation, bins }: HistogramValue): Uint8Array {
  const limits = bins.map((_, index) => min + ((max - min) * (index + 1)) / bins.length)
  return joined([
    double(1, min),
    double(2, max),
    double(3, count),
    double(4, mean * count),
    double(5, (deviation * deviation + mean * mean) * count),
    bytes(6, joined(limits.map(fixed64))),
    bytes(7, joined(bins.map(fixed64))),
  ])
}

/** Length, its checksum, the data, their checksum. */
function record(parts: readonly Uint8Array[]): Uint8Array {
  const data = joined(parts)
  const length = new Uint8Array(8)
  new DataView(length.buffer).setBigUint64(0, BigInt(data.length), true)
  return joined([length, masked(length), data, masked(data)])
}

function masked(data: Uint8Array): Uint8Array {
  const crc = crc32c(data)
  const result = new Uint8Array(4)
  new DataView(result.buffer).setUint32(0, (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0, true)
  return result
}

const table = Uint32Array.from({ length: 256 }, (_, index) => {
  let crc = index
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  return crc
})

/** Castagnoli's checksum, reflected. */
export function crc32c(data: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of data) crc = (crc >>> 8) ^ (table[(crc ^ byte) & 0xff] ?? 0)
  return (crc ^ 0xffffffff) >>> 0
}

// Wire types: 0 varint, 1 eight bytes, 2 with a length, 5 four bytes.
function integer(field: number, value: number): Uint8Array {
  return joined([varint(field << 3), varint(value)])
}

function double(field: number, value: number): Uint8Array {
  return joined([varint((field << 3) | 1), fixed64(value)])
}

function float(field: number, value: number): Uint8Array {
  const four = new Uint8Array(4)
  new DataView(four.buffer).setFloat32(0, value, true)
  return joined([varint((field << 3) | 5), four])
}

function bytes(field: number, content: Uint8Array): Uint8Array {
  return joined([varint((field << 3) | 2), varint(content.length), content])
}

function fixed64(value: number): Uint8Array {
  const eight = new Uint8Array(8)
  new DataView(eight.buffer).setFloat64(0, value, true)
  return eight
}

function varint(value: number): Uint8Array {
  const digits: number[] = []
  let left = value
  do {
    digits.push((left % 128) + (left >= 128 ? 128 : 0))
    left = Math.floor(left / 128)
  } while (left > 0)
  return Uint8Array.from(digits)
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}
