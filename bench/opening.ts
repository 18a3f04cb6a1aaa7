// What opening a large safetensors costs beside reading the file: the time of all its tensors in a network, and the most memory of a process
// that loads the model into the arena, beyond one that has the arena alone.
//   npx tsx bench/opening.ts [--repeats N] [--network NAME]
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { architectureNamed } from '../src/architectures/index.ts'
import { openCheckpoint } from '../src/formats/index.ts'
import type { Graph } from '../src/graph/graph.ts'
import { createEngine } from '../src/kernels/engine.ts'
import { fitWeights } from '../src/model/fit-weights.ts'
import { freshModel, loadModel } from '../src/model/load.ts'
import { saveModel } from '../src/model/save.ts'
import { createParameters } from '../src/runtime/parameters.ts'
import { ratios, statistic } from './timing.ts'

const { values } = parseArgs({
  options: {
    repeats: { type: 'string', default: '15' },
    // 23.5 million parameters without a classifier.
    network: { type: 'string', default: 'resnet50' },
    child: { type: 'string' },
    folder: { type: 'string', default: '' },
  },
})
const MOST_TIME = 1.5
const MOST_MIB = 64

if (values.child === undefined) await measure()
else await beChild(values.child === 'load', values.folder)

async function measure(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'regraft-opening-'))
  try {
    await saveModel(await freshModel(values.network, 1), join(folder, 'model'))
    const file = join(folder, 'model', 'model.safetensors')
    const bytes = statSync(file).size
    console.log(`${values.network}, ${(bytes / 1e6).toFixed(1)} MB`)

    const graph = network()
    const works = { 'reading the file': () => readFile(file), 'opening it': () => readTensors(file, graph) }
    const seconds = Object.values(works).map((): number[] => [])
    for (let round = -1; round < Number(values.repeats); round++) {
      for (const [at, work] of Object.values(works).entries()) {
        const startedAt = performance.now()
        await work()
        // The first round fills the system's cache.
        if (round >= 0) seconds[at]?.push((performance.now() - startedAt) / 1000)
      }
    }
    for (const [at, name] of Object.keys(works).entries()) {
      const { median, lowest, highest } = statistic(seconds[at] ?? [])
      console.log(`${name}: ${[median, lowest, highest].map((value) => `${(value * 1000).toFixed(0)} ms`).join(', ')}`)
    }
    const [reading = [], opening = []] = seconds
    tell('time', statistic(ratios(opening, reading)).median, MOST_TIME, 'of reading')

    const mostMiB = (child: string) =>
      Number(
        execFileSync(process.execPath, [
          ...process.execArgv,
          import.meta.filename,
          '--network',
          values.network,
          '--child',
          child,
          '--folder',
          folder,
        ]),
      )
    const arena = mostMiB('arena')
    const load = mostMiB('load')
    console.log(`arena alone ${arena.toFixed(0)} MiB, with the model loaded ${load.toFixed(0)} MiB`)
    tell('memory', load - arena - bytes / 2 ** 20, MOST_MIB, 'MiB beyond arena and file')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function tell(what: string, value: number, most: number, unit: string): void {
  if (value > most) process.exitCode = 1
  console.log(`${what}: ${value.toFixed(2)} ${unit}, at most ${most}: ${value <= most ? 'holds' : 'does not hold'}`)
}

/** As `loadModel` does it: all tensors as floats, fitted to the network, and looked through for values that are no numbers. */
async function readTensors(file: string, graph: Graph): Promise<void> {
  await fitWeights(graph, await openCheckpoint(file))
}

function network(): Graph {
  const mean = [0, 0, 0] as const
  return architectureNamed(values.network).build({ classes: 0, height: 224, width: 224, mean, std: [1, 1, 1] })
}

/** Prints the most MiB that this process took. */
async function beChild(load: boolean, folder: string): Promise<void> {
  const engine = createEngine({ threads: 1, simd: 'baseline' })
  const store = createParameters(engine, network())
  for (const { address, length } of store.parameters) engine.floats(address, length).fill(1)
  if (load) {
    const { model } = await loadModel(join(folder, 'model'))
    for (const [name, tensor] of model.tensors) store.write(name, tensor)
  }
  process.stdout.write(String(process.resourceUsage().maxRSS / 1024))
  await engine.close()
}
