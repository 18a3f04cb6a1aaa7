import { fileURLToPath } from 'node:url'
import { createEngine } from '../kernels/engine.ts'
import type { StopSignal } from './host.ts'
import { run } from './run.ts'
import { verbs } from './verbs.ts'

/** Whatever is still open after the work (a pipe, a worker) may delay the end this long, not longer. */
const graceMs = 2000

process.exitCode = await run(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  environment: process.env,
  program: [process.execPath, ...process.execArgv, fileURLToPath(import.meta.url)],
  verbs,
  createEngine,
  onSignal(listener) {
    const signals: readonly StopSignal[] = ['SIGINT', 'SIGTERM']
    const listeners = signals.map((signal) => ({ signal, heard: () => listener(signal) }))
    for (const { signal, heard } of listeners) process.on(signal, heard)
    return () => {
      for (const { signal, heard } of listeners) process.off(signal, heard)
    }
  },
  exit: (code) => process.exit(code),
  now: () => performance.now(),
})
setTimeout(() => process.exit(), graceMs).unref()
