// Checks the types of the peers where their packages are installed; the root's check covers the rest of this folder.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

const here = import.meta.dirname
if (existsSync(join(here, 'node_modules'))) {
  const compiler = join(here, '..', 'node_modules', 'typescript', 'bin', 'tsc')
  const { status } = spawnSync(process.execPath, [compiler, '-p', here], { stdio: 'inherit' })
  process.exitCode = status ?? 1
}
