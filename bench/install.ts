// Brings what the benchmark needs beside the package: the peers, and a Node 24.
import { execFile } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const QUIET = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']

/** Installs the peers when they are missing. @returns why that was not possible */
export async function installPeers(): Promise<string | undefined> {
  const folder = import.meta.dirname
  if (existsSync(join(folder, 'node_modules'))) return undefined
  try {
    await run('npm', ['ci', ...QUIET], { cwd: folder })
    return undefined
  } catch (error) {
    return lastLine(error)
  }
}

/** Path of a Node 24: the running one, or one from npm, kept in the system's temporary folder. @throws Error when npm has none */
export async function findNode24(): Promise<string> {
  if (process.versions.node.startsWith('24.')) return process.execPath
  const name = `node-${process.platform}-${process.arch}`
  const folder = join(tmpdir(), 'regraft-nodes', '24')
  const binary = join(folder, 'node_modules', name, 'bin', 'node')
  if (!existsSync(binary)) {
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'package.json'), '{ "private": true }')
    await run('npm', ['install', ...QUIET, `${name}@24`], { cwd: folder }).catch((error) => {
      throw new Error(lastLine(error))
    })
  }
  chmodSync(binary, 0o755)
  return binary
}

function lastLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return text.trim().split('\n').at(-1) ?? text
}
