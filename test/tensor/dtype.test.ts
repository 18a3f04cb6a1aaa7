import { describe, expect, it } from 'vitest'
import {
  bytesPerElement,
  type DType,
  float16ToFloat32,
  float32ToFloat16,
  isDType,
  takeAsFloat32,
  toFloat32,
} from '../../src/tensor/dtype.ts'

describe('half precision', () => {
  it('survives the way to float and back, for all 65,536 patterns', () => {
    const all = Uint16Array.from({ length: 65536 }, (_, i) => i)
    const back = float32ToFloat16(float16ToFloat32(all))
    for (let i = 0; i < 65536; i++) {
      const notANumber = (i & 0x7c00) === 0x7c00 && (i & 0x3ff) !== 0
      if (notANumber) expect((back[i] ?? 0) & 0x7fff).toBeGreaterThan(0x7c00)
      else if (back[i] !== i) expect(back[i]).toBe(i)
    }
  })

  it('rounds to nearest, ties to even', () => {
    const cases: [number, number][] = [
      [1, 0x3c00],
      [1 + 2 ** -11, 0x3c00], // tie, down to even
      [1 + 3 * 2 ** -11, 0x3c02], // tie, up to even
      [1 + 2 ** -11 + 2 ** -20, 0x3c01],
      [65504, 0x7bff],
      [65519, 0x7bff],
      [65520, 0x7c00],
      [2 ** -24, 0x0001],
      [2 ** -25, 0x0000], // tie with zero
      [2 ** -25 * 1.5, 0x0001],
      [1.5 * 2 ** -24, 0x0002], // tie, up to even
      [2 ** -14 - 2 ** -26, 0x0400], // carry into the normal numbers
      [-0, 0x8000],
      [-2, 0xc000],
      [Infinity, 0x7c00],
      [-Infinity, 0xfc00],
      [1e-45, 0],
    ]
    for (const [value, half] of cases) expect(float32ToFloat16(Float32Array.of(value))[0], `${value}`).toBe(half)
  })
})

describe('toFloat32', () => {
  const bytesOf = (array: ArrayBufferView) => {
    // One byte in: never aligned.
    const bytes = new Uint8Array(array.byteLength + 1)
    bytes.set(new Uint8Array(array.buffer), 1)
    return bytes.subarray(1)
  }

  it.each<[DType, ArrayBufferView, number[]]>([
    ['F64', Float64Array.of(0.1, -2), [Math.fround(0.1), -2]],
    ['F32', Float32Array.of(0.1, NaN), [Math.fround(0.1), NaN]],
    ['F16', Uint16Array.of(0x3c00, 0x0001), [1, 2 ** -24]],
    ['BF16', Uint16Array.of(0x3f80, 0xc000), [1, -2]],
    ['I64', BigInt64Array.of(-3n, (1n << 53n) + 1n), [-3, 2 ** 53]],
    ['U64', BigUint64Array.of(7n, (1n << 60n) + (1n << 36n) + 1n), [7, 2 ** 60 + 2 ** 37]],
    ['I32', Int32Array.of(-5, 16777217), [-5, 16777216]],
    ['U32', Uint32Array.of(5, 4294967295), [5, 4294967296]],
    ['I16', Int16Array.of(-300), [-300]],
    ['U16', Uint16Array.of(65535), [65535]],
    ['I8', Int8Array.of(-128), [-128]],
    ['U8', Uint8Array.of(255), [255]],
    ['BOOL', Uint8Array.of(0, 1, 2), [0, 1, 1]],
  ])('reads %s at any alignment', (dtype, array, expected) => {
    expect([...toFloat32(bytesOf(array), dtype)]).toEqual(expected)
    expect(toFloat32(new Uint8Array(0), dtype).length).toBe(0)
  })

  it('refuses part of an element', () => {
    expect(() => toFloat32(new Uint8Array(3), 'F16')).toThrow(RangeError)
  })

  it('knows its names and no inherited ones', () => {
    expect(isDType('BF16')).toBe(true)
    expect(bytesPerElement('BF16')).toBe(2)
    for (const name of ['f32', 'constructor', '__proto__', 4, undefined]) expect(isDType(name)).toBe(false)
  })
})

it('bytes that nobody else holds become floats where they lie, others are copied', () => {
  const bytes = new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer)
  expect(takeAsFloat32(bytes, 'F32').buffer).toBe(bytes.buffer)
  const part = takeAsFloat32(bytes.subarray(4, 12), 'F32')
  expect([...part]).toEqual([2, 3])
  expect(part.buffer).not.toBe(bytes.buffer)
  expect([...takeAsFloat32(new Uint8Array(Int16Array.of(7, -8).buffer), 'I16')]).toEqual([7, -8])
})
