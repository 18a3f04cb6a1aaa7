import { RegraftError } from '../errors.ts'
import type { SaveEvery } from '../train/save-points.ts'
import { secondsOf } from './time-span.ts'

/** '200' steps, or a time such as '5m'. @throws RegraftError 'usage' */
export function parseSaveEvery(text: string): SaveEvery {
  const steps = /^\d+$/.test(text) ? Number(text) : 0
  if (Number.isSafeInteger(steps) && steps >= 1) return { steps }
  const seconds = secondsOf(text)
  if (seconds !== undefined && seconds > 0) return { seconds }
  throw new RegraftError(
    'usage',
    `--save-every ${text} is not understood. Give a number of steps (200) or a time with its unit (90s, 5m, 1h).`,
  )
}
