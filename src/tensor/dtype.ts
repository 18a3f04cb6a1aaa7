/** Element types of stored tensors, named as in safetensors. */
export type DType =
  | 'F64'
  | 'F32'
  | 'F16'
  | 'BF16'
  | 'I64'
  | 'I32'
  | 'I16'
  | 'I8'
  | 'U64'
  | 'U32'
  | 'U16'
  | 'U8'
  | 'BOOL'

// A Map, not an object: a name from a file must not find `constructor`.
const sizes: ReadonlyMap<string, number> = new Map<DType, number>([
  ['F64', 8],
  ['F32', 4],
  ['F16', 2],
  ['BF16', 2],
  ['I64', 8],
  ['I32', 4],
  ['I16', 2],
  ['I8', 1],
  ['U64', 8],
  ['U32', 4],
  ['U16', 2],
  ['U8', 1],
  ['BOOL', 1],
])

/** All names, for messages. */
export const dtypeNames: readonly string[] = [...sizes.keys()]

/** Whether a word read from a file names an element type. */
export function isDType(name: unknown): name is DType {
  return typeof name === 'string' && sizes.has(name)
}

/** Size of one element in bytes. */
export function bytesPerElement(dtype: DType): number {
  return sizes.get(dtype) ?? 0
}

/**
 * Values of any element type as 32-bit floats: wider types round to nearest even, a BOOL other than 0 is 1.
 * @param bytes  little-endian, at any alignment, a whole number of elements
 * @returns      a new array that shares nothing with `bytes`
 */
export function toFloat32(bytes: Uint8Array, dtype: DType): Float32Array {
  const size = bytesPerElement(dtype)
  if (bytes.byteLength % size !== 0) throw new RangeError(`${bytes.byteLength} bytes are no whole number of ${dtype}.`)
  if (dtype === 'U8') return Float32Array.from(bytes)
  if (dtype === 'BOOL') return Float32Array.from(bytes, (byte) => (byte === 0 ? 0 : 1))
  const buffer = alignedCopy(bytes, size)
  switch (dtype) {
    case 'F32':
      return new Float32Array(buffer)
    case 'F16':
      return float16ToFloat32(new Uint16Array(buffer))
    case 'BF16':
      return bfloat16ToFloat32(new Uint16Array(buffer))
    case 'F64':
      return Float32Array.from(new Float64Array(buffer))
    case 'I64':
      return Float32Array.from(new BigInt64Array(buffer), bigToFloat32)
    case 'U64':
      return Float32Array.from(new BigUint64Array(buffer), bigToFloat32)
    case 'I32':
      return Float32Array.from(new Int32Array(buffer))
    case 'U32':
      return Float32Array.from(new Uint32Array(buffer))
    case 'I16':
      return Float32Array.from(new Int16Array(buffer))
    case 'U16':
      return Float32Array.from(new Uint16Array(buffer))
    case 'I8':
      return Float32Array.from(new Int8Array(buffer))
  }
}

/** As `toFloat32`, of bytes that nobody else holds: those of 32-bit floats become the array, without a copy. */
export function takeAsFloat32(bytes: Uint8Array, dtype: DType): Float32Array {
  const { buffer, byteLength } = bytes
  const isAllOfIt = buffer instanceof ArrayBuffer && buffer.byteLength === byteLength && byteLength % 4 === 0
  return dtype === 'F32' && littleEndian && isAllOfIt ? new Float32Array(buffer) : toFloat32(bytes, dtype)
}

/** IEEE half precision to 32-bit floats; exact. */
export function float16ToFloat32(halves: Uint16Array): Float32Array {
  const result = new Float32Array(halves.length)
  const words = new Uint32Array(result.buffer)
  for (let i = 0; i < halves.length; i++) {
    const half = halves[i] ?? 0
    const sign = (half & 0x8000) << 16
    const exponent = (half >>> 10) & 31
    const fraction = half & 0x3ff
    if (exponent === 0) {
      result[i] = (sign === 0 ? fraction : -fraction) / 16777216 // subnormal: fraction · 2^-24
    } else {
      words[i] = sign | ((exponent === 31 ? 255 : exponent + 112) << 23) | (fraction << 13)
    }
  }
  return result
}

/** 32-bit floats to IEEE half precision: to nearest, ties to even; too large becomes infinite; NaN stays NaN. */
export function float32ToFloat16(values: Float32Array): Uint16Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length)
  const result = new Uint16Array(values.length)
  for (let i = 0; i < values.length; i++) {
    const word = words[i] ?? 0
    const sign = (word >>> 16) & 0x8000
    const magnitude = word & 0x7fffffff
    result[i] = sign | halfMagnitude(magnitude)
  }
  return result
}

function halfMagnitude(magnitude: number): number {
  if (magnitude > 0x7f800000) return 0x7e00 | ((magnitude >>> 13) & 0x1ff)
  if (magnitude >= 0x477ff000) return 0x7c00 // 65520 and above round to infinity
  const exponent = magnitude >>> 23
  if (exponent >= 113) return roundShift(magnitude - (112 << 23), 13)
  if (exponent < 102) return 0 // below 2^-25, half the smallest subnormal
  return roundShift((magnitude & 0x7fffff) | 0x800000, 126 - exponent)
}

/** value / 2^shift, to nearest, ties to even. A carry out of the fraction rightly raises the exponent. */
function roundShift(value: number, shift: number): number {
  const half = 1 << (shift - 1)
  const kept = value >>> shift
  const rest = value & ((1 << shift) - 1)
  return rest > half || (rest === half && (kept & 1) === 1) ? kept + 1 : kept
}

function bfloat16ToFloat32(values: Uint16Array): Float32Array {
  const words = Uint32Array.from(values, (value) => (value << 16) >>> 0)
  return new Float32Array(words.buffer)
}

/** Via 64 bits the rounding would happen twice; odd rounding in the first step makes the second one right. */
function bigToFloat32(value: bigint): number {
  const near = Number(value)
  if (Number.isSafeInteger(near)) return near
  const size = value < 0n ? -value : value
  const shift = BigInt(Math.max(0, size.toString(2).length - 50))
  const kept = size >> shift
  const odd = size & ((1n << shift) - 1n) ? kept | 1n : kept
  return Number(odd << shift) * (value < 0n ? -1 : 1)
}

/** Offsets in files are arbitrary, typed arrays are not: copy. Files are little-endian, and so must the machine be. */
function alignedCopy(bytes: Uint8Array, size: number): ArrayBuffer {
  if (size > 1 && !littleEndian) throw new Error('regraft needs a little-endian machine.')
  const copy = new Uint8Array(bytes.byteLength)
  copy.set(bytes)
  return copy.buffer
}

const littleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1
