import { readFileSync } from 'node:fs'

/** Type and shape of every tensor in a safetensors file, by name, read without our own reader. */
export function keysOf(file: string): Readonly<Record<string, readonly (string | number)[]>> {
  const bytes = readFileSync(file)
  const { __metadata__: _, ...header }: Record<string, { dtype: string; shape: number[] }> = JSON.parse(
    bytes.toString('utf8', 8, 8 + Number(bytes.readBigUInt64LE())),
  )
  return Object.fromEntries(Object.entries(header).map(([name, { dtype, shape }]) => [name, [dtype, ...shape]]))
}
