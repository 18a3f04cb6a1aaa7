// Everybody who can be asked.
import { type Entrant, script } from './contestants.ts'
import { usualBuild } from './ours/builds.ts'
import { pythons } from './peers/pythons.ts'

export interface OursOptions {
  readonly threads?: number
  readonly build?: string
  /** Path of a Node; the running one when absent. */
  readonly node?: string | undefined
  readonly label?: string
}

export function ours({ threads = 1, build = usualBuild, node, label = 'regraft' }: OursOptions = {}): Entrant {
  return { label, command: script('ours/main.ts', ['--build', build], node), threads }
}

/** The loop that says what the registers allow, at the time of the measurement. */
export const registerPeak = ours({ label: 'register peak' })

export const onnxruntimeWeb = (threads: number, node?: string): Entrant => ({
  label: 'onnxruntime-web',
  command: script('peers/onnxruntime-web.ts', [], node),
  threads,
})

export const onnxruntimeNode = (threads: number): Entrant => ({
  label: 'onnxruntime-node',
  command: script('peers/onnxruntime-node.ts'),
  threads,
  ...rest(threads),
})

/** The thread pools of native libraries go on looking for work for up to some 50 ms. */
const rest = (threads: number) => (threads > 1 ? { restMs: 100 } : {})

/** One thread: its thread pool needs the browser's workers. */
export const tfjsWasm: Entrant = { label: 'tfjs-wasm', command: script('peers/tfjs-wasm.ts'), threads: 1 }

/** One thread, for the same reason. */
export const jaxJs: Entrant = { label: 'jax-js', command: script('peers/jax-js.ts'), threads: 1 }

/** One for each PyTorch that a Python here has; one that will not come where there is none. */
export function pytorch(threads: number, variant = ''): Entrant[] {
  return pythons().map(({ program, version }) => ({
    label: `PyTorch ${version} ${variant}`.trim(),
    command: [program, script('peers/contestant.py')[3] ?? ''],
    threads,
    ...rest(threads),
  }))
}
