// The whole program of a worker that resizes and changes pictures, kept as a string so that it starts the same way under tsx, vitest, npm and
// bundlers; `eval` workers run CommonJS. Rows come through memory that it shares with the main thread, strip by strip.

export const pixelWorkerSource = `'use strict'
const { workerData } = require('node:worker_threads')
const { module, memory, port, strip } = workerData
const kernels = new WebAssembly.Instance(module, {
  env: { memory, abort() { throw new Error('kernel aborted') } },
}).exports
const PAGE = 65536
let place = 0
let placeBytes = 0
let job

// Memory only grows, and what grow gives is this worker's alone.
function reserve(bytes) {
  if (bytes <= placeBytes) return
  const pages = Math.ceil(Math.max(bytes, 2 * placeBytes) / PAGE)
  place = memory.grow(pages) * PAGE
  placeBytes = pages * PAGE
}

function begin({ picture, target, window, filter, mirrored }) {
  const { left, top, width, height } = window
  const sizes = [picture.width, picture.height, target.width, target.height]
  reserve(kernels.jobBytes(...sizes, width, height, filter))
  const output = kernels.prepare(place, ...sizes, left, top, width, height, filter, mirrored ? 1 : 0)
  job = { output, picture, width, height, next: kernels.firstRow(place), end: kernels.endRow(place) }
}

function take({ from, count }) {
  const first = Math.max(from, job.next)
  const behind = Math.min(from + count, job.end)
  if (first < behind) {
    const { channels, width } = job.picture
    const source = strip + (first - from) * width * channels
    if (channels === 4) kernels.inkToRgb(source, (behind - first) * width)
    kernels.takeRows(place, source, first, behind - first)
    job.next = behind
  }
  if (job.next < job.end) port.postMessage({ next: job.next })
  else finish()
}

function finish() {
  const { output, width, height } = job
  const rowBytes = (width * 3 + 16) & ~15
  const rows = new Uint8Array(memory.buffer, output, rowBytes * height)
  const bytes = new Uint8Array(width * height * 3)
  for (let y = 0; y < height; y++) bytes.set(rows.subarray(y * rowBytes, y * rowBytes + width * 3), y * width * 3)
  port.postMessage({ bytes }, [bytes.buffer])
}

function change({ bytes, width, height, changes }) {
  let radius = 0
  for (const [name, , sigma] of changes) if (name === 'elastic') radius = Math.max(radius, kernels.radiusOf(sigma))
  reserve(kernels.changeBytes(width, height, radius))
  new Uint8Array(memory.buffer, place, bytes.length).set(bytes)
  for (const [name, ...numbers] of changes) kernels[name](place, width, height, ...numbers)
  const changed = new Uint8Array(memory.buffer, place, bytes.length).slice()
  port.postMessage({ bytes: changed }, [changed.buffer])
}

port.on('message', (message) => {
  try {
    if (message.change) {
      change(message.change)
      return
    }
    if (message.begin) begin(message.begin)
    take(message.rows)
  } catch (problem) {
    port.postMessage({ error: String((problem && problem.message) || problem) })
  }
})
`
