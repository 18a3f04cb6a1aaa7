// Parquet by hyparquet-writer, which is loaded only here and only in a worker: https://github.com/hyparam/hyparquet-writer
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { MessageChannel, Worker } from 'node:worker_threads'
import { columnNames } from './column-names.ts'
import { parquetWorkerSource } from './parquet-worker-source.ts'
import type { VectorBlock, VectorTable } from './vector-table.ts'

/** A column of a Parquet file. Text and number may be absent in a row; float is NaN there. */
export interface ParquetColumn {
  readonly name: string
  readonly kind: 'text' | 'number' | 'float'
}

/** Values of some rows: of one column, or of as many columns of floats as a row of the matrix has. */
export type ParquetValues =
  | { readonly text: readonly (string | null)[] }
  | { readonly numbers: readonly (number | null)[] }
  | { readonly matrix: Float32Array<ArrayBuffer>; readonly width: number }

/**
 * A Parquet file, row group by row group; the memory it takes is that of one.
 * @param groups  values of all columns, in their order
 */
export async function* parquetPieces(
  columns: readonly ParquetColumn[],
  groups: AsyncIterable<readonly ParquetValues[]>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const worker = startWorker(columns)
  try {
    for await (const group of groups) yield await worker.write(group)
    yield await worker.finish()
  } finally {
    await worker.close()
  }
}

/** Bytes of vectors in a row group; smaller ones would be many to list, larger ones much to hold. */
const groupBytes = 16 * 2 ** 20

/** A table of vectors: path, label, error, and a column of floats for each feature, NaN where there is none. */
export function parquetTable(table: VectorTable): AsyncGenerator<Uint8Array, void, undefined> {
  const columns: ParquetColumn[] = [
    { name: 'path', kind: 'text' },
    { name: 'label', kind: 'text' },
    { name: 'error', kind: 'text' },
    ...columnNames(table.arrays).map((name): ParquetColumn => ({ name, kind: 'float' })),
  ]
  return parquetPieces(columns, groupsOf(table))
}

async function* groupsOf({ arrays, blocks }: VectorTable): AsyncGenerator<readonly ParquetValues[]> {
  let waiting: VectorBlock[] = []
  let bytes = 0
  const group = (): ParquetValues[] => {
    const rows = waiting.flatMap((block) => block.rows)
    const matrices = arrays.map(({ columns }, at) => {
      const matrix = new Float32Array(rows.length * columns)
      let offset = 0
      for (const block of waiting) {
        const values = block.values[at] ?? new Float32Array()
        matrix.set(values, offset)
        offset += values.length
      }
      return { matrix, width: columns }
    })
    waiting = []
    bytes = 0
    return [
      { text: rows.map(({ path }) => path) },
      { text: rows.map(({ label }) => label) },
      { text: rows.map(({ error }) => error) },
      ...matrices,
    ]
  }
  for await (const block of blocks()) {
    waiting.push(block)
    bytes += block.values.reduce((sum, values) => sum + values.byteLength, 0)
    if (bytes >= groupBytes) yield group()
  }
  if (waiting.length > 0) yield group()
}

const types = {
  text: { type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'OPTIONAL' },
  number: { type: 'DOUBLE', repetition_type: 'OPTIONAL' },
  float: { type: 'FLOAT', repetition_type: 'REQUIRED' },
}

interface ParquetWorker {
  write(values: readonly ParquetValues[]): Promise<Uint8Array>
  finish(): Promise<Uint8Array>
  close(): Promise<void>
}

function startWorker(columns: readonly ParquetColumn[]): ParquetWorker {
  const library = pathToFileURL(createRequire(import.meta.url).resolve('hyparquet-writer')).href
  const schema = [
    { name: 'root', num_children: columns.length },
    ...columns.map(({ name, kind }) => ({ name, ...types[kind] })),
  ]
  const { port1: port, port2 } = new MessageChannel()
  const worker = new Worker(parquetWorkerSource, {
    eval: true,
    execArgv: [],
    env: {},
    workerData: { port: port2, library, schema },
    transferList: [port2],
  })
  let failure: Error | undefined
  let pending: { resolve(bytes: Uint8Array): void; reject(error: Error): void } | undefined
  const fail = (error: Error) => {
    failure ??= error
    pending?.reject(error)
  }
  worker.on('error', fail)
  worker.on('exit', () => fail(new Error('The worker that writes Parquet ended unexpectedly.')))
  port.on('message', ({ bytes, error }: { readonly bytes?: Uint8Array; readonly error?: string }) => {
    if (bytes === undefined) pending?.reject(new Error(`Parquet could not be written: ${error}`))
    else pending?.resolve(bytes)
  })
  const ask = (message: object, moved: readonly ArrayBuffer[]): Promise<Uint8Array> => {
    if (failure) return Promise.reject(failure)
    return new Promise((resolve, reject) => {
      pending = { resolve, reject }
      port.postMessage(message, [...moved])
    })
  }
  return {
    write: (values) =>
      ask(
        { values },
        values.flatMap((each) => ('matrix' in each ? [each.matrix.buffer] : [])),
      ),
    finish: () => ask({}, []),
    async close() {
      port.close()
      await worker.terminate()
    },
  }
}
