import type { Change } from '../change-pixels.ts'
import type { Frame } from '../frame.ts'
import type { Augmentation, Draws, PictureAtHand, PicturePlan } from './augmentation.ts'
import { type AugmentEntry, openEntry } from './entries.ts'
import type { Effect } from './kind.ts'
import { product } from './matrix.ts'

/** An augmentation that does what a complete list says, in its order. Turns, shifts, sizes and slants that follow each other become one. */
export function compileAugmentation(entries: readonly AugmentEntry[]): Augmentation {
  const seen = new Map<string, number>()
  const steps = entries.map((entry) => {
    const { kind, options } = openEntry(entry)
    const purpose = kind.purpose ?? kind.name
    const before = seen.get(purpose) ?? 0
    seen.set(purpose, before + 1)
    return { kind, options, purpose: before === 0 ? purpose : `${purpose} ${before + 1}` }
  })
  return {
    key: JSON.stringify(entries),
    plan(picture: PictureAtHand, draws: Draws): PicturePlan {
      const effects = steps.flatMap(({ kind, options, purpose }) => {
        const stream = draws(purpose)
        if (options.p < 1 && !(stream.uniform() < options.p)) return []
        return kind.effects(options, stream, picture)
      })
      return planOf(effects)
    },
  }
}

function planOf(effects: readonly Effect[]): PicturePlan {
  let frame: Frame | undefined
  const changes: Change[] = []
  let pending: Extract<Effect, { warp: unknown }> | undefined
  const flush = () => {
    if (pending) changes.push(['affine', ...pending.warp, ...pending.outside])
    pending = undefined
  }
  for (const effect of effects) {
    if ('warp' in effect) {
      if (pending && pending.outside.join() !== effect.outside.join()) flush()
      pending = pending ? { ...pending, warp: product(pending.warp, effect.warp) } : effect
      continue
    }
    flush()
    if ('frame' in effect) frame = { ...effect.frame, flip: false }
    else if ('change' in effect) changes.push(effect.change)
    // Whoever resizes mirrors at no cost.
    else if (frame && changes.length === 0) frame = { ...frame, flip: !frame.flip }
    else changes.push(['flipHorizontally'])
  }
  flush()
  return { frame, changes }
}
