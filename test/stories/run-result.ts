import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** What a run came to, without what depends on time: the history, and a digest of each file of tensors. */
export function resultOf(run: string): {
  readonly history: string
  readonly tensors: Readonly<Record<string, string>>
} {
  const best = join(run, 'best')
  const names = readdirSync(best).filter((name) => name.endsWith('.safetensors'))
  return {
    history: withoutSeconds(readFileSync(join(run, 'history.csv'), 'utf8')),
    tensors: Object.fromEntries(names.sort().map((name) => [name, digestOf(join(best, name))])),
  }
}

function withoutSeconds(history: string): string {
  const rows = history.split('\n').map((row) => row.split(','))
  const at = rows[0]?.indexOf('seconds') ?? -1
  return rows.map((row) => row.toSpliced(at, 1).join(',')).join('\n')
}

export function digestOf(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex')
}
