import { createHash } from 'node:crypto'
import { breathing } from '../breath.ts'
import { compareCodePoints } from '../files/folder.ts'
import type { Sample } from './sample.ts'

/** Samples to learn from and samples to check with, both in their former order. */
export interface Split {
  readonly train: readonly Sample[]
  readonly validation: readonly Sample[]
}

/**
 * Takes a fraction of each class for validation. Who is taken depends on the seed and the picture's path alone, so the
 * order of files does not matter, and a few files more or fewer move only a few. Of each class at least one picture
 * stays for training, and of two or more at least one goes to validation.
 * @param fraction  0 (none) up to but without 1
 */
export async function splitByFraction(samples: readonly Sample[], fraction: number, seed: number): Promise<Split> {
  const byLabel = new Map<number, { hash: string; sample: Sample }[]>()
  const breath = breathing()
  for (const sample of samples) {
    const hash = createHash('sha256').update(`${seed}\n${sample.path}`).digest('hex')
    const group = byLabel.get(sample.label)
    if (group) group.push({ hash, sample })
    else byLabel.set(sample.label, [{ hash, sample }])
    if (breath.due()) await breath.pause()
  }
  const taken = new Set<Sample>()
  for (const group of byLabel.values()) {
    group.sort((a, b) => compareCodePoints(a.hash, b.hash) || compareCodePoints(a.sample.path, b.sample.path))
    for (const { sample } of group.slice(0, validationCount(group.length, fraction))) taken.add(sample)
    if (breath.due()) await breath.pause()
  }
  return {
    train: samples.filter((sample) => !taken.has(sample)),
    validation: samples.filter((sample) => taken.has(sample)),
  }
}

function validationCount(count: number, fraction: number): number {
  if (fraction === 0 || count < 2) return 0
  return Math.min(count - 1, Math.max(1, Math.round(count * fraction)))
}
