// Which Pythons here have PyTorch.
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

export interface Python {
  readonly program: string
  /** Of its PyTorch, the first two numbers. */
  readonly version: string
}

/** A virtual environment beside this folder, the system's Python, and the one that the shell finds. */
const CANDIDATES = [join(import.meta.dirname, '..', '.venv', 'bin', 'python'), '/usr/bin/python3', 'python3']

let found: readonly Python[] | undefined

/** One of each version; a Python without PyTorch where there is none at all. */
export function pythons(): readonly Python[] {
  found ??= findPythons()
  return found
}

function findPythons(): readonly Python[] {
  const byVersion = new Map<string, Python>()
  for (const program of CANDIDATES) {
    try {
      const stdio = ['ignore', 'pipe', 'ignore'] as const
      const text = execFileSync(program, ['-c', 'import torch; print(torch.__version__)'], {
        encoding: 'utf8',
        stdio: [...stdio],
      })
      const version = text.trim().split('.').slice(0, 2).join('.')
      if (!byVersion.has(version)) byVersion.set(version, { program, version })
    } catch {
      // No such Python, or no PyTorch in it.
    }
  }
  return byVersion.size > 0 ? [...byVersion.values()] : [{ program: 'python3', version: '' }]
}
