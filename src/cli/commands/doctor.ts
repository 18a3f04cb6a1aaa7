import { inert } from '../../inert-text.ts'
import { defineCommand } from '../command.ts'
import { jsonText } from '../format.ts'
import { json } from '../shared-settings.ts'

/** `doctor`: what this machine offers, and a self-test. */
export const doctor = defineCommand({
  name: 'doctor',
  summary: 'look at this machine and test the installation',
  arguments: [],
  examples: ['regraft doctor', 'regraft doctor --json'],
  settings: { json },

  async run({ json }, _, work) {
    const { checks } = await work.verbs.doctor(work.options())
    const ok = checks.every((check) => check.ok)
    if (json) {
      const document = { ok, checks: checks.map(({ name, ok, detail }) => ({ name, ok, detail })) }
      await work.output.write(`${jsonText(document, 2)}\n`)
    } else {
      const width = Math.max(0, ...checks.map(({ name }) => name.length))
      const lines = checks.map(
        ({ name, ok, detail }) => `${ok ? 'ok    ' : 'FAILED'}  ${name.padEnd(width)}  ${detail}`,
      )
      await work.output.write(lines.map((line) => `${inert(line)}\n`).join(''))
    }
    return ok ? 0 : 1
  },
})
