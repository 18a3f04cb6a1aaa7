// The verb `doctor`: what this machine offers, and whether regraft computes on it what it should.
import { availableParallelism, freemem, totalmem } from 'node:os'
import * as path from 'node:path'
import sharp from 'sharp'
import { formatBytes } from '../format-bytes.ts'
import { openSafetensors } from '../formats/safetensors.ts'
import { relaxedAvailable } from '../kernels/load.ts'
import { DEFAULT_MODEL, modelsFolder } from '../model/find-model.ts'
import { loadModel } from '../model/load.ts'
import { version } from '../version.ts'
import { opened } from './opened.ts'
import type { WorkOptions } from './options.ts'
import { openInference, openSession } from './session.ts'

export interface DoctorReport {
  readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly detail: string }[]
}

/** Largest difference from the stored outputs that another build of the kernels may show. */
const GOLDEN_TOLERANCE = 1e-3

/** Looks at the machine and runs a self-test. Never throws for what it finds; what is wrong stands in the report. */
export async function doctor(options: WorkOptions): Promise<DoctorReport> {
  const { engine, signal } = options
  const checks: { name: string; ok: boolean; detail: string }[] = []
  const check = async (name: string, work: () => Promise<string> | string): Promise<void> => {
    try {
      checks.push({ name, ok: true, detail: await work() })
    } catch (error) {
      checks.push({ name, ok: false, detail: error instanceof Error ? error.message : String(error) })
    }
  }
  await check('regraft', () => version)
  await check(
    'node',
    () => `${process.versions.node} (V8 ${process.versions.v8}) on ${process.platform} ${process.arch}`,
  )
  await check('cores', () => `${availableParallelism()}; ${engine.threads} computing workers`)
  await check(
    'memory',
    () =>
      `${formatBytes(freemem())} free of ${formatBytes(totalmem())}; kernels may use up to ${formatBytes(engine.arena.limitBytes)}`,
  )
  await check('kernels', () =>
    [
      `${engine.build} build, digest ${engine.digest}`,
      `relaxed SIMD ${relaxedAvailable(true) ? 'available' : 'not available on this Node'}`,
      ...(engine.simdNote === undefined ? [] : [engine.simdNote]),
    ].join('; '),
  )
  await check('arithmetic', async () => multiplyAdds(options))
  await check(
    'sharp',
    () =>
      `${sharp.versions.sharp}, libvips ${sharp.versions.vips}; reads JPEG, PNG, WebP, GIF, TIFF, AVIF; BMP by itself`,
  )
  await check('default model', async () => {
    const { model } = await loadModel('default')
    const golden = await openSafetensors(path.join(modelsFolder, DEFAULT_MODEL, 'golden.safetensors'))
    const pictures = await golden.readBytes('pictures')
    const expected = await golden.read('outputs')
    const count = golden.shape('pictures')[0] ?? 0
    const all = opened()
    try {
      const session = all.add(await openSession(engine, model))
      const runner = all.add(await openInference(engine, session, count, [], signal))
      runner.writeBytes(pictures)
      await runner.run(count, { signal })
      const outputs = runner.read(session.graph.output, count)
      const worst = outputs.reduce(
        (largest, value, index) => Math.max(largest, Math.abs(value - (expected.data[index] ?? Number.NaN))),
        0,
      )
      if (!(worst <= GOLDEN_TOLERANCE))
        throw new Error(
          `its outputs differ from the stored ones by ${worst.toPrecision(2)}: the kernels do not compute what they should on this machine. Try --simd baseline.`,
        )
      return `${DEFAULT_MODEL}: outputs as stored (largest difference ${worst === 0 ? '0' : worst.toExponential(1)})`
    } finally {
      all.close()
    }
  })
  return { checks }
}

/** The rate of multiply-adds that the registers allow, one worker. */
async function multiplyAdds({ engine, signal }: WorkOptions): Promise<string> {
  const address = engine.arena.allocate(4096, 'A small test')
  const iterations = 500_000
  const program = engine.register([{ kernel: 'registerPeak', args: [address, iterations], units: 1, grain: 1 }])
  try {
    let best = Number.POSITIVE_INFINITY
    for (let repeat = 0; repeat < 5; repeat++) {
      const startedAt = performance.now()
      await engine.run([program], 1, signal)
      best = Math.min(best, performance.now() - startedAt)
    }
    return `${((2 * 4 * 12 * iterations) / best / 1e6).toFixed(0)} GFLOP/s at most, one worker`
  } finally {
    engine.forget(program)
    engine.arena.free(address)
  }
}
