/** The bytes of numbers as files have them, whatever the machine's own order is; a copy. */
export function littleEndian(data: Float32Array): Uint8Array {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice()
  if (new Uint8Array(Uint16Array.of(1).buffer)[0] === 1) return bytes
  const view = new DataView(bytes.buffer)
  for (const [at, value] of data.entries()) view.setFloat32(4 * at, value, true)
  return bytes
}
