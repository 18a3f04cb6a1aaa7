import { parse as parseYaml } from 'yaml'
import { RegraftError } from '../errors.ts'
import { readTextLimited } from '../files/read-file.ts'
import { parseStrictJson } from '../files/strict-json.ts'
import { inertName } from '../inert-text.ts'

const mostBytes = 2 ** 20

/**
 * Reads a file that people write: YAML, or JSON when its name says so; also from a pipe.
 * @throws RegraftError 'usage' with the line of the mistake; keys that stand twice are one
 */
export async function readYamlFile(file: string): Promise<unknown> {
  const text = await readTextLimited(file, mostBytes, { acceptPipe: true })
  return /\.json$/i.test(file) ? parseStrictJson(text, { file }) : readYaml(text, file)
}

function readYaml(text: string, file: string): unknown {
  try {
    // The core schema of YAML 1.2: 'no' and 'on' are words, not truth values. Aliases would let a small file grow large.
    return parseYaml(text, { schema: 'core', maxAliasCount: 0, prettyErrors: true, logLevel: 'error' }) ?? null
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new RegraftError('usage', `${inertName(file)}: this YAML cannot be read: ${reason.trim()}`, {
      file,
      cause: error,
    })
  }
}
