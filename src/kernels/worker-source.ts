// The whole program of a computing worker. It is kept as a string so that it starts the same way under tsx, vitest, npm and
// bundlers, and it is plain CommonJS because that is what `eval` workers run. It knows programs, not networks.

/** Words of the control block, an Int32Array in shared memory. */
export const CONTROL = {
  bell: 0,
  images: 1,
  programs: 2,
  firstProgram: 3,
  maxPrograms: 8,
  arrived: 12,
  generation: 13,
  cancel: 14,
  stop: 15,
  failed: 16,
  quit: 17,
  words: 32,
} as const

export const workerSource = `'use strict'
const { receiveMessageOnPort, workerData } = require('node:worker_threads')
const { module, memory, control, port, index, count, scratch, spins, words: W } = workerData
const exports_ = new WebAssembly.Instance(module, {
  env: { memory, abort() { throw new Error('kernel aborted') } },
}).exports
// V8 tells a worker of a memory's growth once it knows the worker. What grew while this one was starting it may have missed, and
// then memory.fill fails in what is new: 2 of 1460 workers on Node 20 when the memory grew all the while. Growing by nothing looks again.
memory.grow(0)
const programs = new Map()

function accept(message) {
  if (message.forget) return void programs.delete(message.id)
  programs.set(message.id, message.steps.map((step) =>
    step.calls ? { ...step, calls: step.calls.map(accepted) } : { calls: [accepted(step)] }))
}

function accepted(call) {
  return {
    kernel: exports_[call.kernel],
    args: [...call.args.map((a) => (a === 'scratch' ? scratch : typeof a === 'number' ? a : 0)), 0, 0],
    counts: call.args.map((a, at) => ({ at, count: a })).filter((a) => typeof a.count === 'object'),
    strips: call.args.flatMap((a, at) => (a === 'strip' ? [at] : [])),
    units: call.units,
    grain: call.grain,
    total: 0,
  }
}

function value(count, images) {
  return typeof count === 'number' ? count : Math.ceil((count.perImage * images) / (count.blockRows || 1))
}

// The last to arrive copies the wish to cancel into the order to stop this run, so that all workers stop at the same call. The order
// names the run: one who comes late to read it may find the next run begun.
function barrier() {
  if (count === 1) {
    if (Atomics.load(control, W.cancel)) Atomics.store(control, W.stop, heard)
  } else {
    const generation = Atomics.load(control, W.generation)
    if (Atomics.add(control, W.arrived, 1) === count - 1) {
      if (Atomics.load(control, W.cancel)) Atomics.store(control, W.stop, heard)
      Atomics.store(control, W.arrived, 0)
      Atomics.add(control, W.generation, 1)
      Atomics.notify(control, W.generation)
    } else {
      let left = spins
      while (Atomics.load(control, W.generation) === generation) {
        if (left-- > 0) continue
        // One that failed before this one arrived raises no further generation.
        if (Atomics.load(control, W.failed)) break
        Atomics.wait(control, W.generation, generation)
      }
    }
  }
  return Atomics.load(control, W.stop) !== heard
}

function measure(call, images) {
  for (const { at, count: c } of call.counts) call.args[at] = value(c, images)
  call.total = value(call.units, images)
}

function invoke({ kernel, args }, from, to) {
  if (from >= to) return
  args[args.length - 2] = from
  args[args.length - 1] = to
  kernel.apply(undefined, args)
}

function spread(call) {
  const { total, grain } = call
  const grains = Math.ceil(total / grain)
  const from = Math.floor((grains * index) / count) * grain
  const to = Math.min(total, Math.floor((grains * (index + 1)) / count) * grain)
  invoke(call, from, to)
}

// Into how many parts the work can be divided.
function sharesOf(pieces, images) {
  const periods = Math.ceil(images / pieces.images)
  return pieces.joined ? periods : periods * pieces.ranges[0].from.length
}

// Whether some would wait for others for long.
function lopsided(shares) {
  return Math.ceil(shares / count) * count > shares * 1.25
}

function walkPieces(calls, pieces, strip, shares) {
  const { ranges, together, joined } = pieces
  const perPeriod = ranges[0].from.length
  const perShare = joined ? perPeriod : 1
  const end = Math.floor((shares * (index + 1)) / count) * perShare
  for (let piece = Math.floor((shares * index) / count) * perShare; piece < end; ) {
    const taken = perPeriod === 1 ? Math.min(together, end - piece) : 1
    const period = Math.floor(piece / perPeriod)
    const at = piece % perPeriod
    let start = 0
    for (let k = 0; k < calls.length; k++) {
      const { from, to } = ranges[k]
      const units = to[perPeriod - 1]
      const first = period * units + from[at]
      if (strip && k === 0) start = strip.place + index * strip.bytes - first * strip.unitBytes
      for (const place of calls[k].strips) calls[k].args[place] = start
      invoke(calls[k], first, Math.min(calls[k].total, (period + taken - 1) * units + to[at]))
    }
    piece += taken
  }
}

function walk(steps, images) {
  for (const { calls, pieces, strip } of steps) {
    for (const call of calls) measure(call, images)
    const shares = pieces ? sharesOf(pieces, images) : 0
    if (pieces && (strip || !lopsided(shares))) walkPieces(calls, pieces, strip, shares)
    else {
      for (let k = 0; k < calls.length; k++) {
        if (pieces && k > 0 && !barrier()) return false
        spread(calls[k])
      }
    }
    if (!barrier()) return false
  }
  return true
}

let heard = 0
for (;;) {
  // To be woken is not to be called: the waking may come when the run that it was for is done already.
  while (Atomics.load(control, W.bell) === heard) Atomics.wait(control, W.bell, heard)
  heard = Atomics.load(control, W.bell)
  if (Atomics.load(control, W.quit)) break
  let error
  try {
    for (let next; (next = receiveMessageOnPort(port)); ) accept(next.message)
    const images = Atomics.load(control, W.images)
    const total = Atomics.load(control, W.programs)
    for (let i = 0; i < total; i++) {
      if (!walk(programs.get(Atomics.load(control, W.firstProgram + i)), images)) break
    }
  } catch (problem) {
    error = String((problem && problem.stack) || problem)
    Atomics.store(control, W.failed, 1)
    Atomics.store(control, W.stop, heard)
    // Release whoever waits; the run is over for everybody.
    Atomics.add(control, W.generation, 1)
    Atomics.notify(control, W.generation)
    // It stays, so that its message is heard and not its end; it will not be called again.
    port.postMessage({ error })
  }
  if (index === 0 && error === undefined) port.postMessage({ done: heard })
}
`
