#!/usr/bin/env node
// What the command `regraft` starts: it says how many threads decode, then gives way to main.ts. It is CommonJS because libuv reads the size
// of its pool once, when the pool is first used, and loading a module uses it.
const { availableParallelism }: typeof import('node:os') = require('node:os')

/** Node's own exit code for a program whose main module never came to its end. */
const unsettled = 13

// sharp decodes in that pool, which has four threads however many cores there are. As many as pictures are decoded at a time: see
// data/decodes-at-a-time.ts. Workers and processes that are started inherit it.
process.env['UV_THREADPOOL_SIZE'] ??= String(Math.max(4, availableParallelism() + 1))

// Node notices by itself when the main module does not end, but not when this one is done and that one is not.
const stoppedShort = (code: number): void => {
  if (code !== 0 || process.exitCode !== undefined) return
  process.exitCode = unsettled
  process.stderr.write('regraft: nothing was left to wait for before the work had ended.\n')
}
process.once('exit', stoppedShort)

import('./main.ts').then(
  () => process.off('exit', stoppedShort),
  (error: unknown) => {
    process.off('exit', stoppedShort)
    // Out of the promise: an error while loading is uncaught as it is in a main module, whatever Node was told about rejections.
    process.nextTick(() => {
      throw error
    })
  },
)
