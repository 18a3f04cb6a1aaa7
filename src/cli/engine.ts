import type { Engine } from '../kernels/engine.ts'
import type { Host } from './host.ts'
import type { Values } from './settings.ts'
import { choice, size, wholeNumber } from './values.ts'

/** The options that decide how the machine is used. Of these only `simd` may change results, in the last bits. */
export const machineSettings = {
  threads: wholeNumber(
    { from: 1, to: 64 },
    { group: 'Machine', help: 'computing workers; results do not depend on it', fallback: 'the cores, at most 8' },
  ),
  simd: choice(['auto', 'baseline', 'relaxed', '256'], {
    group: 'Machine',
    help: 'build of the kernels; baseline gives the same bits on every machine, 256 is relaxed in 256-bit registers where Node can (24 to 26)',
    fallback: 'auto',
  }),
  maxMemory: size(
    { from: 2 ** 24, to: 2 ** 32, words: 'a size from 16MiB to 4GiB' },
    { group: 'Machine', help: 'most memory for the kernels, such as 512MiB', fallback: '4GiB' },
  ),
}

/** An engine that is started when it is first wanted, and closed once. */
export interface LazyEngine {
  get(): Engine
  close(): Promise<void>
}

/** The engine as the options want it. The process is ours alone, so V8's flags may be set. */
export function lazyEngine(host: Host, { threads, simd, maxMemory }: Values<typeof machineSettings>): LazyEngine {
  let engine: Engine | undefined
  return {
    get() {
      engine ??= host.createEngine({
        allowV8Flags: true,
        ...(threads !== undefined && { threads }),
        ...(simd !== undefined && { simd }),
        ...(maxMemory !== undefined && { maxMemoryBytes: maxMemory }),
      })
      return engine
    },
    async close() {
      await engine?.close()
    },
  }
}
