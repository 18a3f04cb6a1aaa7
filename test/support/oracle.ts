// The recorded PyTorch results beside the repository (../shared/oracle): index, tensors, tolerances.

import { existsSync, readFileSync } from 'node:fs'

const folder = new URL('../../../shared/oracle/', import.meta.url)

/** Whether the recorded results are there. */
export const hasOracle = existsSync(new URL('index.json', folder))

interface TensorEntry {
  readonly name: string
  readonly dtype: string
  readonly shape: readonly number[]
  readonly tolerance?: { readonly rtol: number; readonly atol: number }
}

interface CaseEntry {
  readonly name: string
  readonly file: string | null
  readonly op: string
  readonly config: Readonly<Record<string, unknown>>
  readonly tensors: readonly TensorEntry[]
}

export interface OracleTensor {
  readonly shape: readonly number[]
  readonly values: Float32Array | Float64Array | Int32Array
}

/** One recorded case. */
export class OracleCase {
  readonly name: string
  readonly config: Readonly<Record<string, unknown>>
  readonly #entry: CaseEntry
  #tensors: ReadonlyMap<string, OracleTensor> | undefined

  constructor(entry: CaseEntry) {
    this.name = entry.name
    this.config = entry.config
    this.#entry = entry
  }

  has(name: string): boolean {
    return this.#entry.tensors.some((tensor) => tensor.name === name)
  }

  tensor(name: string): OracleTensor {
    this.#tensors ??= readSafetensors(new URL(this.#entry.file ?? '', folder))
    const found = this.#tensors.get(name)
    if (!found) throw new Error(`${this.name} has no tensor '${name}'`)
    return found
  }

  number(key: string): number {
    return Number(this.config[key])
  }

  numbers(key: string): number[] {
    return [this.config[key]].flat().map(Number)
  }

  /** Largest excess of |actual - expected| over the advised tolerance; not positive when all is well. */
  excess(name: string, actual: ArrayLike<number>): number {
    const { values } = this.tensor(name)
    const tolerance = this.#entry.tensors.find((tensor) => tensor.name === name)?.tolerance ?? { rtol: 0, atol: 0 }
    if (values.length !== actual.length) throw new Error(`${name}: ${actual.length} values, expected ${values.length}`)
    let worst = Number.NEGATIVE_INFINITY
    for (const [i, expected] of values.entries()) {
      const value = actual[i] ?? Number.NaN
      if (Object.is(value, expected) || value === expected) continue
      const over = Math.abs(value - expected) - tolerance.atol - tolerance.rtol * Math.abs(expected)
      worst = Math.max(worst, Number.isNaN(over) ? Number.POSITIVE_INFINITY : over)
    }
    return worst
  }
}

/** The recorded cases whose names match; none where the results are absent. */
export function oracleCases(pattern: RegExp): OracleCase[] {
  if (!hasOracle) return []
  // The format of index.json is described in the README beside it.
  const index = JSON.parse(readFileSync(new URL('index.json', folder), 'utf8')) as { cases: CaseEntry[] }
  return index.cases.filter((entry) => pattern.test(entry.name)).map((entry) => new OracleCase(entry))
}

/** [N, C, H, W] to [N, H, W, C]; other ranks are read as [N, C, 1, 1]. */
export function channelsLast(tensor: OracleTensor): Float32Array {
  const [N = 1, C = 1, H = 1, W = 1] = tensor.shape
  const out = new Float32Array(N * H * W * C)
  permute(N, C, H * W, (first, last) => {
    out[last] = tensor.values[first] ?? Number.NaN
  })
  return out
}

/** The way back: rows [N·pixels, C] to [N, C, pixels]. */
export function channelsFirst(values: Float32Array, N: number, C: number, pixels: number): Float32Array {
  const out = new Float32Array(values.length)
  permute(N, C, pixels, (first, last) => {
    out[first] = values[last] ?? Number.NaN
  })
  return out
}

function permute(N: number, C: number, pixels: number, visit: (first: number, last: number) => void): void {
  for (let n = 0; n < N; n++) {
    for (let c = 0; c < C; c++) {
      for (let p = 0; p < pixels; p++) visit((n * C + c) * pixels + p, (n * pixels + p) * C + c)
    }
  }
}

function readSafetensors(file: URL): ReadonlyMap<string, OracleTensor> {
  const bytes = readFileSync(file)
  const data = 8 + Number(bytes.readBigUInt64LE(0))
  // safetensors: name -> { dtype, shape, data_offsets }, besides the strings of __metadata__.
  const header = JSON.parse(bytes.toString('utf8', 8, data)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >
  const tensors = new Map<string, OracleTensor>()
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') continue
    const [begin, end] = entry.data_offsets
    const content = bytes.buffer.slice(bytes.byteOffset + data + begin, bytes.byteOffset + data + end)
    tensors.set(name, {
      shape: entry.shape,
      values: arrayOf(entry.dtype, content),
    })
  }
  return tensors
}

function arrayOf(dtype: string, content: ArrayBuffer): OracleTensor['values'] {
  if (dtype === 'I32') return new Int32Array(content)
  return dtype === 'F64' ? new Float64Array(content) : new Float32Array(content)
}
