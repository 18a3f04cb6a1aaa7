// The whole program of a worker that writes Parquet, kept as a string as the other workers' are: turning rows into columns and the
// columns into bytes would hold up the main thread for a tenth of a second at a time.

export const parquetWorkerSource = `'use strict'
const { workerData } = require('node:worker_threads')
const { port, library, schema } = workerData
const names = schema.slice(1).map(({ name }) => name)

async function open() {
  const { ByteWriter, ParquetWriter } = await import(library)
  const writer = new ByteWriter(1 << 20)
  // Vectors do not compress, and nobody looks for one by its smallest value.
  const parquet = new ParquetWriter({ writer, schema, codec: 'UNCOMPRESSED', statistics: false, createdBy: 'regraft' })
  return { writer, parquet }
}

/** The columns that values stand for: one, or as many as a matrix has. */
function columnsOf({ text, numbers, matrix, width }) {
  if (text) return [text]
  if (numbers) return [numbers]
  const rows = matrix.length / width
  const columns = Array.from({ length: width }, () => new Float32Array(rows))
  // A few rows at a time, so that both sides stay in the cache.
  for (let first = 0; first < rows; first += 16) {
    const end = Math.min(rows, first + 16)
    for (let at = 0; at < width; at++) {
      const column = columns[at]
      for (let row = first; row < end; row++) column[row] = matrix[row * width + at]
    }
  }
  return columns
}

/** What was written since the last time. */
function taken(writer) {
  const bytes = writer.getBytes().slice()
  writer.index = 0
  return bytes
}

const opened = open()
opened.catch(() => undefined)
port.on('message', async ({ values }) => {
  try {
    const { writer, parquet } = await opened
    if (values) {
      const columnData = values
        .flatMap(columnsOf)
        .map((data, at) => ({ name: names[at], data, encoding: 'PLAIN', offsetIndex: false }))
      await parquet.write({ columnData, rowGroupSize: Number.MAX_SAFE_INTEGER, pageSize: Number.MAX_SAFE_INTEGER })
    } else await parquet.finish()
    const bytes = taken(writer)
    port.postMessage({ bytes }, [bytes.buffer])
  } catch (problem) {
    port.postMessage({ error: String((problem && problem.stack) || problem) })
  }
})
`
