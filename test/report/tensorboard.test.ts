import { expect, test } from 'vitest'
import { crc32c, fileBeginning, summaryRecord } from '../../src/report/tensorboard.ts'

const ascii = (text: string) => new TextEncoder().encode(text)

test("Castagnoli's checksum of the known text", () => {
  // RFC 3720, B.4, and the check value of the catalogue of CRCs.
  expect(crc32c(ascii('123456789'))).toBe(0xe3069283)
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa)
})

/** Takes the framing apart, as TensorFlow's reader does. */
function contentOf(record: Uint8Array): Uint8Array {
  const view = new DataView(record.buffer)
  const unmask = (masked: number) => {
    const rotated = (masked - 0xa282ead8) >>> 0
    return ((rotated >>> 17) | (rotated << 15)) >>> 0
  }
  const length = Number(view.getBigUint64(0, true))
  expect(record.length).toBe(length + 16)
  expect(unmask(view.getUint32(8, true))).toBe(crc32c(record.subarray(0, 8)))
  const data = record.slice(12, 12 + length)
  expect(unmask(view.getUint32(12 + length, true))).toBe(crc32c(data))
  return data
}

test('a file begins with its version', () => {
  const data = contentOf(fileBeginning(1.5))
  // wall_time = 1.5 as a double, file_version = 'brain.Event:2'
  expect([...data]).toEqual([9, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f, 26, 13, ...ascii('brain.Event:2')])
})

test('a scalar is a tag and a float', () => {
  const data = contentOf(summaryRecord(0, 300, [{ tag: 'loss', value: 0.25 }]))
  const value = [10, 4, ...ascii('loss'), 21, 0, 0, 0x80, 0x3e]
  // step = 300 as a varint, summary { value { tag, simple_value } }
  expect([...data]).toEqual([9, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0xac, 2, 42, value.length + 2, 10, value.length, ...value])
})

test('a histogram has the ends of its bins and their counts', () => {
  const data = contentOf(
    summaryRecord(0, 1, [{ tag: 'w', min: -1, max: 1, count: 4, mean: 0.5, deviation: 1, bins: [1, 3] }]),
  )
  const doubles = (...values: number[]) => [...new Uint8Array(Float64Array.from(values).buffer)]
  const packed = (field: number, ...values: number[]) => [(field << 3) | 2, values.length * 8, ...doubles(...values)]
  const single = (field: number, value: number) => [(field << 3) | 1, ...doubles(value)]
  const histogram = [
    ...single(1, -1),
    ...single(2, 1),
    ...single(3, 4),
    ...single(4, 2),
    ...single(5, 5),
    ...packed(6, 0, 1),
    ...packed(7, 1, 3),
  ]
  const value = [10, 1, ...ascii('w'), 42, histogram.length, ...histogram]
  expect([...data.subarray(-value.length)]).toEqual(value)
})
