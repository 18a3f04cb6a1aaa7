import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const folder = join(dirname(fileURLToPath(import.meta.url)), '../../../shared/oracle')

/** Whether the recorded results of PyTorch lie beside the repository. */
export const oracleExists = existsSync(join(folder, 'index.json'))

export interface OracleTensor {
  readonly shape: readonly number[]
  readonly values: Float32Array
  /** |value - expected| <= absolute + relative·|expected|; only results have one. */
  readonly tolerance: { readonly absolute: number; readonly relative: number } | undefined
}

export interface OracleCase {
  readonly name: string
  readonly config: Readonly<Record<string, unknown>>
  /** The tensor of that name; an error where the case has none. */
  tensor(name: string): OracleTensor
  has(name: string): boolean
}

interface IndexEntry {
  readonly name: string
  readonly op: string
  readonly file: string
  readonly config: Readonly<Record<string, unknown>>
  readonly tensors: readonly {
    readonly name: string
    readonly shape: readonly number[]
    readonly tolerance?: { readonly rtol: number; readonly atol: number }
  }[]
}

/** All recorded cases of one operation; none where the recordings are absent. */
export function readOracle(op: string): OracleCase[] {
  if (!oracleExists) return []
  // The recordings are ours and their index says its own format.
  const index = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')) as { cases: IndexEntry[] }
  return index.cases.filter((entry) => entry.op === op).map(readCase)
}

function readCase(entry: IndexEntry): OracleCase {
  const bytes = readFileSync(join(folder, entry.file))
  const headerLength = Number(bytes.readBigUInt64LE(0))
  // The header of a safetensors file is JSON by definition.
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + headerLength)) as Record<
    string,
    { dtype: string; data_offsets: [number, number] }
  >
  return {
    name: entry.name,
    config: entry.config,
    has: (name) => entry.tensors.some((tensor) => tensor.name === name),
    tensor(name) {
      const described = entry.tensors.find((tensor) => tensor.name === name)
      const stored = header[name]
      if (!described || !stored) throw new Error(`${entry.name} has no tensor '${name}'`)
      if (stored.dtype !== 'F32') throw new Error(`${entry.name}: '${name}' is ${stored.dtype}, not F32`)
      const [begin, end] = stored.data_offsets
      const data = bytes.subarray(8 + headerLength + begin, 8 + headerLength + end)
      const { tolerance } = described
      return {
        shape: described.shape,
        values: new Float32Array(new Uint8Array(data).buffer),
        tolerance: tolerance && { absolute: tolerance.atol, relative: tolerance.rtol },
      }
    },
  }
}
