// Regraft as a contestant:  main.ts --threads N --build NAME
import { parseArgs } from 'node:util'
import { createEngine, type Engine } from '../../src/kernels/engine.ts'
import type { KernelBuild } from '../../src/kernels/load.ts'
import { version } from '../../src/version.ts'
import type { Task } from '../protocol.ts'
import { serve, type Work } from '../serve.ts'
import { wideBuild } from './builds.ts'
import { forwardWork, trainingWork } from './networks.ts'
import { convolutionWork, matmulWork, opWork, peakWork } from './operators.ts'

const { values } = parseArgs({ options: { threads: { type: 'string' }, build: { type: 'string' } } })
const threads = Number(values.threads)

/** A new memory for each task, so that none profits from the pages of another. */
function engine(): Engine {
  // The name may be one that this version does not know; the engine says so.
  return createEngine({ simd: values.build as KernelBuild, threads, allowV8Flags: true })
}

async function load(task: Task): Promise<Work> {
  const own = engine()
  const work = await workOf(task, own)
  return {
    ...work,
    async close() {
      await work.close()
      await own.close()
    },
  }
}

function workOf(task: Task, own: Engine): Promise<Work> {
  switch (task.kind) {
    case 'peak':
      return peakWork(own)
    case 'matmul':
      return matmulWork(own, task)
    case 'convolution':
      return convolutionWork(own, task)
    case 'op':
      return opWork(own, task)
    case 'forward':
      return forwardWork(own, task)
    case 'training':
      return trainingWork(own, task)
  }
}

const probe = engine()
const { build, digest } = probe
await probe.close()
// An engine that cannot use wide registers here goes on with narrow ones; that is another line of the benchmark.
const { vectorBits = 128, simdNote } = probe as { vectorBits?: number; simdNote?: string }
if (values.build === wideBuild && vectorBits !== Number(wideBuild))
  throw new Error(`no registers of ${wideBuild} bits: ${simdNote ?? 'this version knows none'}`)
const details = `Node ${process.versions.node}, ${build} build ${digest}, ${vectorBits} bits`
await serve({ is: `regraft ${version}`, details }, load)
