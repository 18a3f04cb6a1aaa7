import { inert } from '../../inert-text.ts'
import { defineCommand } from '../command.ts'
import { nextRun } from '../run-name.ts'
import { overwrite } from '../shared-settings.ts'
import { text } from '../values.ts'

/** `demo`: the first minute. */
export const demo = defineCommand({
  name: 'demo',
  summary: 'train on pictures made on the spot and show what comes out',
  arguments: [],
  examples: ['regraft demo'],
  settings: {
    out: text('<dir>', { group: 'Output', help: 'folder to write', fallback: 'runs/demo-<n>' }),
    overwrite,
  },

  async run({ out, ...options }, _, work) {
    const result = await work.verbs.demo({ ...options, out: out ?? (await nextRun('demo')), ...work.options() })
    await work.output.write(result.lines.map((line) => `${inert(line)}\n`).join(''))
    return 0
  },
})
